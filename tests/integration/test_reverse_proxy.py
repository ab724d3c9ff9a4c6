# SPDX-License-Identifier: GPL-3.0-or-later
"""The role reverse_proxy: sites under TLS, asked as visitors do, and what becomes of them when others come and go.

It publishes the ports 80 and 443 of this machine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping

import http3
import pytest
from certificates import certificate
from lab import STANDIN, App, MakeApp, Played, Response, copied, docker, image_of, inspect, run, until

NETWORK, PROXY, AUTHORITY = "it-proxy-net", "it-proxy", "it-proxy-ca"
VOLUME = f"{PROXY}-data"
DIRECTORY = Path("/opt/it-proxy")
SHOP, BLOG = "it-proxy-shop", "it-proxy-blog"
DOMAINS = {SHOP: "shop.test", BLOG: "blog.test"}
# An application that is deployed; its name is one that leads to this host.
DEPLOYED = "it-proxy-deployed"
LIMIT = 1 << 20
# Says what it was asked, and sends back what comes on a websocket.
SERVER = """
const server = require('node:http').createServer((request, response) => {
  let size = 0
  request.on('data', (part) => { size += part.length }).on('end', () => {
    response.setHeader('Content-Type', 'application/json')
    const padding = request.url === '/long' ? 'x'.repeat(10000) : ''
    response.end(JSON.stringify({ name: process.env.NAME, url: request.url, size, headers: request.headers, padding }))
  })
})
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n')
  socket.on('error', () => {}).pipe(socket)
})
server.listen(3000)
"""


class Visit(http.client.HTTPSConnection):
    """A connection to this machine under the name of a site; only the authority of the tests is trusted."""

    def __init__(self, domain: str, authority: str) -> None:
        super().__init__(domain, timeout=30, context=ssl.create_default_context(cadata=authority))

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", 443), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)  # type: ignore[attr-defined]


@dataclass
class Sites:
    """A proxy and two applications behind it."""

    apps: Mapping[str, App]
    variables: Mapping[str, Any]
    authority: str = ""

    def play(self, app: str, *arguments: str, **variables: Any) -> Played:
        role = {"name": "ptnextjs.docker_vps.reverse_proxy"}
        given = {**self.variables, "docker_vps_domains": [DOMAINS.get(app, "localhost")], **variables}
        return self.apps[app].play(json.dumps([{"ansible.builtin.import_role": role}]), *arguments, **given)

    def ask(self, domain: str, path: str = "/", body: bytes | None = None, **headers: str) -> Response:
        with contextlib.closing(Visit(domain, self.authority)) as visit:
            visit.request("GET" if body is None else "POST", path, body, headers)
            answer = visit.getresponse()
            return Response(answer.status, answer.read(), dict(answer.headers))

    def serves(self, app: str) -> bool:
        try:
            answer = self.ask(DOMAINS[app])
        except OSError:
            return False
        return answer.status == 200 and answer.json["name"] == app

    def certificate(self, domain: str) -> Mapping[str, Any]:
        """Return what Python says of the certificate that a visitor is shown."""
        with contextlib.closing(Visit(domain, self.authority)) as visit:
            visit.connect()
            shown: Mapping[str, Any] = visit.sock.getpeercert()
            return shown


def plain(domain: str, path: str = "/") -> Response:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", 80, timeout=30)) as visit:
        visit.request("GET", path, headers={"Host": domain})
        answer = visit.getresponse()
        return Response(answer.status, answer.read(), dict(answer.headers))


def start(name: str) -> None:
    docker("rm", "--force", name, check=False)
    options = ("--detach", "--init", "--name", name, "--network", NETWORK, "--env", f"NAME={name}")
    docker("run", *options, image_of("base_image.sh"), "node", "-e", SERVER)


def address_of(container: str) -> str:
    return str(inspect(container)["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])


def clear() -> None:
    docker("rm", "--force", "--volumes", PROXY, AUTHORITY, SHOP, BLOG, check=False)
    docker("volume", "rm", VOLUME, check=False)
    docker("network", "rm", NETWORK, check=False)
    shutil.rmtree(DIRECTORY, ignore_errors=True)


@pytest.fixture(scope="module")
def apps(make_app: MakeApp) -> Iterator[Mapping[str, App]]:
    clear()
    docker("network", "create", NETWORK)
    for name in DOMAINS:
        start(name)
    yield {**{name: make_app(name, docker_vps_container=name) for name in DOMAINS}, DEPLOYED: make_app(DEPLOYED)}
    clear()


def variables(kind: str, image: str, **others: Any) -> dict[str, Any]:
    return {
        "docker_vps_network": NETWORK,
        "docker_vps_reverse_proxy": kind,
        "docker_vps_reverse_proxy_image": image,
        "docker_vps_reverse_proxy_container": PROXY,
        "docker_vps_reverse_proxy_directory": str(DIRECTORY),
        "docker_vps_upload_max": "1M",
        **others,
    }


@contextlib.contextmanager
def served(sites: Sites) -> Iterator[Sites]:
    """Have a proxy serve the shop, and remove it with all that it has left."""
    sites.play(SHOP).succeeded()
    if not sites.authority:
        root = "/data/caddy/pki/authorities/local/root.crt"
        sites.authority = until(lambda: docker("exec", PROXY, "cat", root, check=False), 20, "an authority of its own")
    until(lambda: sites.serves(SHOP), 20, "an answer of the shop")
    try:
        yield sites
    finally:
        docker("rm", "--force", PROXY, check=False)
        docker("volume", "rm", "--force", VOLUME)
        shutil.rmtree(DIRECTORY, ignore_errors=True)


@pytest.fixture(scope="module")
def caddy(apps: Mapping[str, App]) -> Iterator[Sites]:
    given = variables("caddy", image_of("proxy_image.sh"), docker_vps_tls="internal", docker_vps_hsts=True)
    with served(Sites(apps, given)) as sites:
        yield sites


@pytest.fixture(scope="module")
def nginx(apps: Mapping[str, App], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    place = tmp_path_factory.mktemp("certificates")
    text, key = certificate(place, *DOMAINS.values())
    pair = {"docker_vps_tls_certificate": text, "docker_vps_tls_key": key}
    given = variables("nginx", image_of("nginx_image.sh"), docker_vps_tls="certificate", docker_vps_hsts=True, **pair)
    with served(Sites(apps, given, text)) as sites:
        yield sites


def test_a_port_that_somebody_else_has_is_refused_before_anything_is_changed(apps: Mapping[str, App]) -> None:
    sites = Sites(apps, variables("caddy", image_of("proxy_image.sh"), docker_vps_tls="internal"))
    with socket.create_server(("127.0.0.1", 80)):
        text = sites.play(SHOP).failed().text
        assert "Port 80/tcp of this host is taken by the process py" in text
        assert f"({os.getpid()})" in text
    assert not DIRECTORY.exists()
    assert docker("ps", "-aq", "--filter", f"name=^{PROXY}$") == ""


def assert_served(sites: Sites, moved: int, **claimed: str) -> None:
    """A visitor gets the shop, and the shop gets what it has to know of the visitor, whatever that one claims.

    Args:
        moved: the status with which the proxy leads from HTTP to HTTPS.
        claimed: headers of the visitor's own.
    """
    answer = sites.ask("shop.test", "/a%2fb?c=%20d", **claimed)
    headers = answer.json["headers"]
    asked = (answer.json["url"], headers["host"], headers["x-forwarded-proto"])
    assert asked == ("/a%2fb?c=%20d", "shop.test", "https")
    assert headers["x-real-ip"] == headers["x-forwarded-for"] != "192.0.2.1"
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert sites.ask("shop.test", "/long", **{"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"
    led = plain("shop.test", "/x")
    assert (led.status, led.headers["Location"]) == (moved, "https://shop.test/x")
    assert plain("nobody.test").status == 404


def test_caddy_serves_a_site_under_tls(caddy: Sites) -> None:
    assert_served(caddy, 308, **{"X-Real-IP": "192.0.2.1", "X-Forwarded-For": "192.0.2.1"})
    for arguments in ((), ("--check",)):
        assert caddy.play(SHOP, *arguments).succeeded().recap["changed"] == 0


def test_caddy_is_hardened(caddy: Sites) -> None:
    found = inspect(PROXY)["HostConfig"]
    kept = [name.replace("CAP_", "") for name in found["CapAdd"]]
    assert (found["CapDrop"], kept, found["ReadonlyRootfs"]) == (["ALL"], ["NET_BIND_SERVICE"], True)
    assert found["SecurityOpt"] == ["no-new-privileges:true"]
    assert found["PortBindings"].keys() == {"80/tcp", "443/tcp", "443/udp"}
    assert (found["DnsSearch"], found["DnsOptions"]) == (["."], ["ndots:1"])
    resolving = docker("exec", PROXY, "cat", "/etc/resolv.conf").splitlines()
    assert [line for line in resolving if line.startswith("search")] == []
    assert stat.S_IMODE((DIRECTORY / "config").stat().st_mode) == 0o750
    # Who can talk to it there can stop it, or have it serve something else.
    probe = (
        f"const s = require('node:net').connect(2019, '{address_of(PROXY)}'); s.on('connect', () => process.exit(0))"
    )
    refused = run(
        "docker",
        "exec",
        SHOP,
        "node",
        "-e",
        f"{probe}.on('error', (e) => {{ console.log(e.code); process.exit(9) }})",
        check=False,
    )
    assert (refused.returncode, refused.stdout.strip()) == (9, "ECONNREFUSED")
    docker("exec", PROXY, "caddy", "stop", check=False)
    until(lambda: caddy.serves(SHOP), 20, "an answer after it was stopped from within")


def test_another_site_changes_nothing_for_the_first(caddy: Sites) -> None:
    sites = caddy
    assert_uploads_end_at_the_limit(sites)
    with websocket(sites) as talk:
        assert talk(b"before") == b"before"
        assert sites.play(BLOG).succeeded().recap["changed"] == 1
        until(lambda: sites.serves(BLOG), 20, "an answer of the blog")
        if is_caddy(2, 7):  # which knows stream_close_delay
            assert talk(b"after") == b"after"
    assert sites.serves(SHOP)
    text = sites.play(BLOG, docker_vps_domains=["blog.test", "shop.test"]).failed().text
    assert f"shop.test belongs to another site, sites/{SHOP}." in text
    assert_wrong_sites_are_refused(sites)
    # Nothing that was refused is found by the next start.
    docker("stop", SHOP)
    docker("restart", PROXY)
    until(lambda: sites.serves(BLOG), 20, "the blog while the shop is away")
    assert_new_addresses_are_found(sites)


def is_caddy(*least: int) -> bool:
    """Return whether it has a version or a newer one."""
    version = docker("exec", PROXY, "caddy", "version").lstrip("v").split(".")
    return (int(version[0]), int(version[1])) >= least


def assert_new_addresses_are_found(sites: Sites) -> None:
    """The shop is away, and comes back; where the blog was, there is somebody else then."""
    before = address_of(BLOG)
    docker("rm", "--force", BLOG)
    docker("start", SHOP)
    others: list[str] = []
    while before not in map(address_of, [SHOP, *others]):
        others.append(docker("run", "--detach", "--network", NETWORK, image_of("base_image.sh"), "sleep", "60"))
    start(BLOG)
    assert address_of(BLOG) != before
    for other in others:
        docker("rm", "--force", other)
    until(lambda: sites.serves(BLOG) and sites.serves(SHOP), 10, "answers from new addresses")


def sites_of() -> dict[str, str]:
    return {path.stem: path.read_text() for path in (DIRECTORY / "config/sites").iterdir()}


def assert_uploads_end_at_the_limit(sites: Sites) -> None:
    assert sites.ask("shop.test", "/", b"x" * LIMIT).json["size"] == LIMIT
    assert sites.ask("shop.test", "/", b"x" * (LIMIT + 1)).status == 413


def assert_wrong_sites_are_refused(sites: Sites) -> None:
    before = sites_of()
    wrong = {
        "kind": sites.variables["docker_vps_reverse_proxy"],
        "image": sites.variables["docker_vps_reverse_proxy_image"],
        "name": PROXY,
        "directory": str(DIRECTORY),
        "network": NETWORK,
        "definition": (DIRECTORY / "compose.yml").read_text(),
        "config": next((DIRECTORY / "config").glob("[Cn]*")).read_text(),
        "app": BLOG,
        "domains": ["blog.test"],
        "site": "server { nonsense",
    }
    text = sites.apps[BLOG].play(json.dumps([{"ptnextjs.docker_vps.reverse_proxy": wrong}])).failed().text
    assert (
        "refuses what its configuration would be, so nothing was changed, and what is served stays as it was." in text
    )
    assert sites_of() == before
    assert sorted(path.name for path in DIRECTORY.iterdir()) == [".lock", "compose.yml", "config", "maintenance"]
    assert sites.serves(BLOG)
    assert sites.serves(SHOP)


@contextlib.contextmanager
def websocket(sites: Sites) -> Iterator[Any]:
    """Give a function that sends bytes on an open websocket and returns what comes back."""
    with contextlib.closing(Visit("shop.test", sites.authority)) as visit:
        visit.connect()
        lines = ("GET /socket HTTP/1.1", "Host: shop.test", "Connection: Upgrade", "Upgrade: websocket")
        keys = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        visit.sock.sendall("\r\n".join([*lines, *keys, "", ""]).encode())
        begun = b""
        while not begun.endswith(b"\r\n\r\n"):
            begun += visit.sock.recv(1000)
        assert begun.startswith(b"HTTP/1.1 101 ")

        def talk(sent: bytes) -> bytes:
            visit.sock.sendall(sent)
            return bytes(visit.sock.recv(1000))

        yield talk


def with_a_page(place: Path) -> str:
    """Return sources whose application has a page, which the stand-in has not."""
    route = "  if (pathname === '/api/health')"
    server = (STANDIN / "server.js").read_text()
    assert route in server
    paged = server.replace(route, f"  if (pathname === '/') return [200, Buffer.from('Welcome')]\n{route}")
    return str(copied(STANDIN, place, **{"server.js": paged}))


def test_a_deploy_asks_as_visitors_do(caddy: Sites, sources: Path, tmp_path: Path) -> None:
    app, root = caddy.apps[DEPLOYED], tmp_path / "root.pem"
    root.write_text(caddy.authority)
    trusting = {"SSL_CERT_FILE": str(root)}
    given = {**caddy.variables, "docker_vps_server_url": "https://localhost", "docker_vps_public_check": "fail"}
    caddy.play(DEPLOYED).succeeded()
    first = app.deploy(environment=trusting, **given, docker_vps_source_path=with_a_page(sources)).succeeded()
    assert "localhost is" not in first.text
    # What it lacks now is a page; its health check knows nothing of that.
    undone = app.deploy(environment=trusting, **given).failed().text
    assert "https://localhost is not served: the application answers 404; see its log." in undone
    assert caddy.ask("localhost").body == b"Welcome"
    kept = app.deploy(**given | {"docker_vps_server_url": "https://127.0.0.1", "docker_vps_public_check": "warn"})
    assert "https://127.0.0.1 is not served: TLS with 127.0.0.1 fails:" in kept.succeeded().text
    assert caddy.ask("localhost").status == 404


def test_each_leg_of_the_way_is_told_from_the_others(caddy: Sites, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_text(caddy.authority)
    broken = {
        "https://nobody.invalid": "the name nobody.invalid has no address",
        "https://localhost:444": "port 444 of 127.0.0.1 does not answer (Connection refused)",
        "https://127.0.0.1": "TLS with 127.0.0.1 fails",
        "https://shop.test": "the reverse proxy does not answer (no answer within 5 s)",
        "https://localhost": "the application answers 404",
    }
    asked = {"url": "{{ item }}", "here": "{{ item is search('.test') }}", "text": "Welcome"}
    tasks = [
        {
            "ptnextjs.docker_vps.public_url_info": asked,
            "loop": list(broken),
            "environment": {"SSL_CERT_FILE": str(root)},
            "register": "seen",
        },
        {"ansible.builtin.debug": {"var": "seen.results | map(attribute='summary')"}},
    ]
    docker("stop", SHOP)
    said = caddy.apps[SHOP].play(json.dumps(tasks)).succeeded().text
    docker("start", SHOP)
    for url, leg in broken.items():
        assert f"{url} is not served: {leg}" in said


def test_a_removal_takes_the_site_along(caddy: Sites) -> None:
    app, foreign = caddy.apps[DEPLOYED], DIRECTORY / "config/sites/foreign.caddy"
    given = {**caddy.variables, "docker_vps_remove_confirm": DEPLOYED}
    site = f"the site in the reverse proxy, {DIRECTORY}/config/sites/{DEPLOYED}.caddy"
    foreign.write_text("foreign.test {\n\tnonsense\n}\n")
    refused = app.playbook("remove", **given).failed().text
    assert "The reverse proxy refuses what its configuration would be, so nothing was changed" in refused
    assert caddy.ask("localhost").status == 404
    foreign.unlink()
    before = sites_of().keys()
    assert f"Would go: {site}" in app.playbook("remove", "--check", **given).succeeded().text
    assert sites_of().keys() == before
    assert f"Gone: {site}" in app.playbook("remove", **given).succeeded().text
    assert sites_of().keys() == before - {DEPLOYED}
    assert caddy.serves(SHOP)
    assert plain("localhost").status == 404
    assert app.playbook("remove", **given).succeeded().recap["changed"] == 0


def test_certificates_of_an_acme_authority_survive_the_container(caddy: Sites) -> None:
    """Caddy is the authority, in another container; the name of the proxy is a name that it can ask."""
    config = "{\n\tskip_install_trust\n}\nit-proxy-ca {\n\ttls internal\n\tacme_server\n\tlog\n}\n"
    written = DIRECTORY / "authority"
    written.write_text(config)
    mount = f"--volume={written}:/etc/Caddyfile:ro"
    options = ("--detach", "--name", AUTHORITY, "--network", NETWORK, "--env", "XDG_DATA_HOME=/data", mount)
    docker(
        "run",
        *options,
        caddy.variables["docker_vps_reverse_proxy_image"],
        "caddy",
        "run",
        "--config",
        "/etc/Caddyfile",
        "--adapter",
        "caddyfile",
    )
    root = until(
        lambda: docker("exec", AUTHORITY, "cat", "/data/caddy/pki/authorities/local/root.crt", check=False),
        20,
        "an authority",
    )
    acme = {
        "docker_vps_tls": "acme",
        "docker_vps_domains": [PROXY],
        "docker_vps_acme_directory": f"https://{AUTHORITY}/acme/local/directory",
        "docker_vps_acme_ca": root,
    }
    assert caddy.play(SHOP, **acme).succeeded().recap["changed"] == 1
    visitors = Sites(caddy.apps, {}, root)

    def answers() -> bool:
        try:
            return visitors.ask(PROXY).status == 200
        except OSError:
            return False

    until(answers, 60, "a certificate")
    assert_http3(visitors)
    for _turn in range(5):
        docker("compose", "--file", str(DIRECTORY / "compose.yml"), "up", "--detach", "--force-recreate")
        until(answers, 20, "an answer under the same certificate")
    assert_http3(visitors)
    before = visitors.certificate(PROXY)["serialNumber"]
    lose_and_restore_certificates(caddy.apps[SHOP])
    until(answers, 20, "an answer under the restored certificate")
    assert visitors.certificate(PROXY)["serialNumber"] == before
    asked = run("docker", "logs", AUTHORITY).stderr
    assert asked.count('"uri":"/acme/local/new-order"') == 1
    docker("rm", "--force", "--volumes", AUTHORITY)


def assert_http3(visitors: Sites) -> None:
    """HTTP/3 is offered only where it is answered, which a name that came with a reload is not by Caddy 2.6."""
    offered = "Alt-Svc" in visitors.ask(PROXY).headers
    assert offered == is_caddy(2, 7)
    if offered:
        host = inspect(PROXY)["NetworkSettings"]["Networks"][NETWORK]["Gateway"]
        assert http3.ask(host, PROXY, visitors.authority).json["name"] == SHOP


def lose_and_restore_certificates(app: App) -> None:
    """Back the volume of the proxy up, remove it with the container, restore it, and start the proxy again."""
    asked = {"app": app.name, "directory": str(app.backups), "volumes": {"certificates": VOLUME}}
    app.play(json.dumps([{"ptnextjs.docker_vps.volume_backup": asked}])).succeeded()
    docker("rm", "--force", PROXY)
    docker("volume", "rm", VOLUME)
    app.playbook("restore", docker_vps_restore_volumes={"certificates": VOLUME}).succeeded()
    docker("compose", "--file", str(DIRECTORY / "compose.yml"), "up", "--detach")


def test_a_site_is_removed_and_the_certificates_stay(caddy: Sites) -> None:
    caddy.play(BLOG).succeeded()
    refused = caddy.play(SHOP, docker_vps_reverse_proxy_state="absent").failed().text
    assert f"sites/{BLOG}.caddy of other applications would not be served any more." in refused
    assert caddy.play(SHOP, docker_vps_reverse_proxy_state="site_absent").succeeded().recap["changed"] == 1
    assert sites_of().keys() == {BLOG}
    assert caddy.serves(BLOG)
    removed = caddy.play(BLOG, docker_vps_reverse_proxy_state="absent").succeeded()
    assert f"The volume {VOLUME} with the certificates stays." in removed.text
    assert not DIRECTORY.exists()
    assert docker("ps", "-aq", "--filter", f"name=^{PROXY}$") == ""
    assert docker("volume", "inspect", VOLUME)
    DIRECTORY.mkdir()


def test_nginx_serves_sites_with_a_given_certificate(nginx: Sites, tmp_path: Path) -> None:
    # It adds to X-Forwarded-For, which docs/proxies.md says.
    assert_served(nginx, 301, **{"X-Real-IP": "192.0.2.1"})
    key = DIRECTORY / f"config/certificates/{SHOP}.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert_uploads_end_at_the_limit(nginx)
    with websocket(nginx) as talk:
        assert talk(b"before") == b"before"
        shown = nginx.play(BLOG, "-vvvv", "--diff").succeeded()
        assert shown.recap["changed"] == 1
        assert key.read_text().splitlines()[1] not in shown.output
        assert talk(b"after") == b"after"
    until(lambda: nginx.serves(BLOG), 10, "an answer of the blog")
    assert_wrong_sites_are_refused(nginx)
    docker("stop", SHOP)
    docker("restart", PROXY)
    until(lambda: nginx.serves(BLOG), 20, "the blog while the shop is away")
    assert_new_addresses_are_found(nginx)


def test_a_certificate_is_replaced_and_a_wrong_one_is_not(nginx: Sites, tmp_path: Path) -> None:
    def ends() -> str:
        return str(nginx.certificate(DOMAINS[SHOP])["notAfter"])

    before = ends()
    text, key = certificate(tmp_path, *DOMAINS.values(), days=200)
    wrong = nginx.play(SHOP, docker_vps_tls_certificate=text).failed().text
    assert "do not belong together" in wrong
    assert ends() == before
    assert nginx.play(SHOP, docker_vps_tls_certificate=text, docker_vps_tls_key=key).succeeded().recap["changed"] == 1
    nginx.authority = text
    assert until(ends, 5, "another certificate") != before
