# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped reverse proxies, under load, while the application is exchanged behind them as a cutover does it."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import pytest
from lab import ROOT, Response, docker, image_of, inspect, request, run, until
from traffic import Report, Traffic, reached

APP, NETWORK, PROXY, BLOCKER = "proxies-app", "proxies-net", "proxies-proxy", "proxies-blocker"
NEXT, OLD = f"{APP}-next", f"{APP}-old"
HOST = {"Host": "www.example.com"}
RELOAD = ("docker", "exec", PROXY, "nginx", "-s", "reload")
# For how long an old version serves beside the new one: longer than Nginx believes what it was told about the name.
DRAIN = 2.5
# Of writes it keeps the names, so that lost and doubled ones are found.
SERVER = """
const fs = require('node:fs')
const http = require('node:http')
const server = http.createServer((request, response) => {
  if (request.url === '/broken') return response.writeHead(503).end('its own')
  if (request.method === 'GET') return response.end(JSON.stringify({ version: process.env.VERSION }))
  const parts = []
  request.on('data', (part) => parts.push(part)).on('end', () => {
    fs.appendFileSync('/written/names', JSON.parse(Buffer.concat(parts)).name + '\\n')
    response.writeHead(201).end()
  })
})
setTimeout(() => server.listen(3000), process.env.VERSION === '1' ? 0 : 1000)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
"""


@dataclass
class Site:
    """The application, and a proxy before it; ``files`` are copies of the shipped ones with our name in them."""

    files: Path
    url: str = ""

    @property
    def maintenance(self) -> Path:
        return self.files / "maintenance"

    def names(self) -> list[str]:
        written = self.files / "written/names"
        return written.read_text().split() if written.exists() else []

    def ask(self, path: str = "/", data: bytes | None = None) -> Response:
        return request(self.url + path, data, HOST)

    def version(self) -> str:
        return str(self.ask().json["version"])

    def create(self, name: str, version: str) -> None:
        mounts = ("--volume", f"{self.files}/server.js:/server.js:ro", "--volume", f"{self.files}/written:/written")
        options = ("--name", name, "--network", NETWORK, "--env", f"VERSION={version}", *mounts)
        docker("create", *options, image_of("base_image.sh"), "node", "/server.js")

    def start(self, name: str) -> None:
        docker("start", name)
        probe = ("docker", "exec", name, "wget", "-q", "-O-", "http://localhost:3000/")
        until(lambda: run(*probe, check=False).returncode == 0, 20, f"{name} healthy")

    def stop_first(self, reload: Sequence[str] = ()) -> float:
        """Exchange the application, one at a time, and return for how many seconds there was none."""
        self.create(NEXT, "2")
        address = address_of(APP)
        began = time.monotonic()
        docker("rename", APP, OLD)
        docker("stop", OLD)
        # Takes the address that was freed.
        image = image_of("base_image.sh")
        docker("run", "--detach", "--init", "--name", BLOCKER, "--network", NETWORK, image, "sleep", "600")
        self.start(NEXT)
        assert address_of(NEXT) != address
        docker("rename", NEXT, APP)
        gap = time.monotonic() - began
        if reload:
            run(*reload)
        return gap

    def overlap(self, reload: Sequence[str] = ()) -> None:
        """Exchange the application; the new one starts beside the old one."""
        self.create(NEXT, "2")
        self.start(NEXT)
        docker("rename", APP, OLD)
        docker("rename", NEXT, APP)
        if reload:
            run(*reload)
        time.sleep(DRAIN)
        docker("stop", OLD)

    @contextlib.contextmanager
    def traffic(self) -> Iterator[Traffic]:
        """Fifty requests a second, also for a while before and after."""
        with Traffic(self.url, headers=HOST) as traffic:
            time.sleep(1)
            yield traffic
            time.sleep(1.5)

    def report(self, traffic: Traffic) -> Report:
        return traffic.report(self.names())


def address_of(container: str) -> str:
    return str(inspect(container)["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])


def clear() -> None:
    docker("rm", "--force", APP, NEXT, OLD, PROXY, BLOCKER, check=False)
    docker("network", "rm", NETWORK, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clear()
    files = tmp_path / "proxy"
    shutil.copytree(ROOT / "examples/proxy", files)
    for name in ("Caddyfile", "nginx.conf", "nginx-cached.conf"):
        text = (files / name).read_text()
        assert "ptnextjs-app:3000" in text
        (files / name).write_text(text.replace("ptnextjs-app", APP))
    (files / "server.js").write_text(SERVER)
    (files / "written").mkdir()
    docker("network", "create", NETWORK)
    site = Site(files)
    site.create(APP, "1")
    site.start(APP)
    try:
        yield site
    finally:
        clear()


def ready(site: Site) -> Site:
    site.url = f"http://{address_of(PROXY)}"
    until(reached(f"{site.url}/"), 20, "an answer through the proxy")
    return site


@pytest.fixture
def caddy(site: Site) -> Iterator[Site]:
    """Caddy, from the shipped Compose file."""
    override = {"services": {"caddy": {"container_name": PROXY}}}
    (site.files / "override.json").write_text(json.dumps(override))
    definitions = ("--file", str(site.files / "compose.yml"), "--file", str(site.files / "override.json"))
    compose = ("docker", "compose", "--project-name", PROXY, *definitions)
    settings = {"PROXY_IMAGE": image_of("proxy_image.sh"), "PROXY_PORT": "127.0.0.1:0", "PROXY_NETWORK": NETWORK}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        run(*compose, "up", "--detach")
        try:
            yield ready(site)
        finally:
            run(*compose, "down")


def with_nginx(site: Site, name: str) -> Site:
    mounts = {site.files / name: "/etc/nginx/conf.d/default.conf", site.maintenance: "/srv/maintenance"}
    volumes = [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
    options = ("--detach", "--name", PROXY, "--network", NETWORK, "--dns-option", "ndots:1", *volumes)
    docker("run", *options, image_of("nginx_image.sh"), "nginx", "-g", "daemon off;")
    return ready(site)


@pytest.fixture
def nginx(site: Site) -> Site:
    return with_nginx(site, "nginx.conf")


@pytest.fixture
def cached(site: Site) -> Site:
    return with_nginx(site, "nginx-cached.conf")


@pytest.fixture(params=["caddy", "nginx", "cached"])
def any_proxy(request: pytest.FixtureRequest) -> Site:
    site: Site = request.getfixturevalue(request.param)
    return site


def assert_page(answer: Response) -> None:
    headers: Mapping[str, str] = answer.headers
    assert (answer.status, headers["Retry-After"], headers["Cache-Control"]) == (503, "5", "no-store")
    assert b'<meta http-equiv="refresh"' in answer.body


def test_caddy_holds_requests_while_there_is_no_application(caddy: Site) -> None:
    with caddy.traffic() as traffic:
        gap = caddy.stop_first()
    report = caddy.report(traffic).flawless()
    assert report.longest < gap + 1
    assert caddy.version() == "2"


def test_caddy_moves_over_without_a_pause(caddy: Site) -> None:
    with caddy.traffic() as traffic:
        caddy.overlap()
    assert caddy.report(traffic).flawless().longest < 1
    assert caddy.version() == "2"


@pytest.mark.parametrize("proxy", ["caddy", "nginx"])
def test_a_large_body_is_held_whole(proxy: str, request: pytest.FixtureRequest) -> None:
    """Caddy up to 2.11.1 by itself cannot send a body after a failed try."""
    site: Site = request.getfixturevalue(proxy)
    docker("stop", APP)
    back = threading.Timer(1, docker, ("start", APP))
    back.start()
    began = time.monotonic()
    assert site.ask("/", json.dumps({"name": "x" * 3_000_000}).encode()).status == 201
    assert time.monotonic() - began > 0.5
    back.join()
    assert [len(name) for name in site.names()] == [3_000_000]


@pytest.mark.parametrize(("proxy", "held"), [("caddy", False), ("nginx", True)])
def test_a_body_that_does_not_say_its_size_is_held_as_documented(
    proxy: str, held: bool, request: pytest.FixtureRequest
) -> None:
    """docs/proxies.md says so of Caddy up to 2.11.1, and of which version holds such a body, too."""
    site: Site = request.getfixturevalue(proxy)
    docker("stop", APP)
    back = threading.Timer(1, docker, ("start", APP))
    back.start()
    chunked = {**HOST, "Transfer-Encoding": "chunked"}
    asked = urllib.request.Request(site.url, iter([json.dumps({"name": "chunked"}).encode()]), chunked)  # type: ignore[arg-type]
    try:
        status = urllib.request.urlopen(asked, timeout=30).status
    except urllib.error.HTTPError as error:
        status = error.code
    back.join()
    assert (status, site.names()) == ((201, ["chunked"]) if held else (503, []))


def test_nginx_holds_requests_while_there_is_no_application(nginx: Site) -> None:
    with nginx.traffic() as traffic:
        gap = nginx.stop_first()
    report = nginx.report(traffic).flawless()
    assert report.longest < gap + 3
    assert nginx.version() == "2"


def test_nginx_moves_over_without_a_pause(nginx: Site) -> None:
    with nginx.traffic() as traffic:
        nginx.overlap()
    assert nginx.report(traffic).flawless().longest < 1
    assert nginx.version() == "2"


def test_nginx_finds_the_new_address_by_itself(nginx: Site) -> None:
    nginx.create(NEXT, "2")
    nginx.start(NEXT)
    assert nginx.version() == "1"
    docker("rename", APP, OLD)
    docker("rename", NEXT, APP)
    until(lambda: nginx.version() == "2", DRAIN, "the new version through Nginx")


def test_nginx_with_a_cached_name_shows_the_page_until_it_is_told(cached: Site) -> None:
    with cached.traffic() as traffic:
        cached.stop_first()
        assert_page(cached.ask())
        run(*RELOAD)
        moved = time.monotonic()
    report = cached.report(traffic)
    assert report.failed
    assert all(one.startswith("status 503") for one in report.failed)
    assert (report.lost, report.doubled) == ([], [])
    assert not traffic.report(cached.names(), since=moved + 1).failed
    assert cached.version() == "2"


def test_nginx_with_a_cached_name_moves_over_when_it_is_told(cached: Site) -> None:
    with cached.traffic() as traffic:
        cached.overlap(RELOAD)
    assert cached.report(traffic).flawless().longest < 1
    assert cached.version() == "2"


def test_the_page_comes_at_once_while_the_flag_is_there(any_proxy: Site) -> None:
    flag = any_proxy.maintenance / "on"
    flag.touch()
    began = time.monotonic()
    assert_page(any_proxy.ask("/some/page"))
    assert_page(any_proxy.ask("/api/vendors", b'{"name": "x"}'))
    assert time.monotonic() - began < 1
    flag.unlink()
    assert any_proxy.version() == "1"
    assert any_proxy.names() == []


@pytest.mark.parametrize(("proxy", "patience"), [("caddy", 3), ("nginx", 13), ("cached", 0)])
def test_the_page_comes_when_the_application_stays_away(
    proxy: str, patience: float, impatient: None, request: pytest.FixtureRequest
) -> None:
    """What the application itself answers is left alone."""
    site: Site = request.getfixturevalue(proxy)
    assert site.ask("/broken").body == b"its own"
    docker("stop", APP)
    with ThreadPoolExecutor() as visitors:
        began = time.monotonic()
        read = visitors.submit(site.ask, "/some/page")
        write = visitors.submit(site.ask, "/api/vendors", b'{"name": "x"}')
        assert_page(read.result())
        assert_page(write.result())
    assert patience <= time.monotonic() - began < patience + 5


@pytest.fixture
def impatient(site: Site) -> None:
    """Have Caddy wait for three seconds instead of thirty."""
    text = (site.files / "Caddyfile").read_text()
    assert "lb_try_duration 30s" in text
    (site.files / "Caddyfile").write_text(text.replace("lb_try_duration 30s", "lb_try_duration 3s"))
