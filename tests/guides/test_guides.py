# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages, followed command by command: from an empty directory, over SSH, on hosts that have nothing but sshd.

What is not as the pages say is in tests/support/reader.py: EXAMPLES, what pages have as examples, and LACKING, the
settings for what this machine does not reach. The tests with the site of the quickstart go on from each other.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import guide
import pytest
from bare_host import Host, MakeHost, visit
from lab import CA_BUNDLE, ROOT, STANDIN, App, commit, docker, request, until
from payload import ACTIONS_KEY, PASSWORD, PICTURE, Site
from reader import NAME, Page, Reader, Repositories

MakeReader = Callable[[], Reader]
TIMESTAMP = r"20260131-020000"
APP_NAME = r"ptnextjs(?![.-]docker_vps)"
AUTHORITY = "/var/lib/docker/volumes/reverse-proxy-data/_data/caddy/pki/authorities/local/root.crt"
HEALTH = "  if (pathname === '/api/health')"
PAGE = "  if (pathname === '/') return [200, {}]\n"
# The stand-in for the application, with the page at / that applications have.
WITH_A_PAGE = {"server.js": (STANDIN / "server.js").read_text().replace(HEALTH, PAGE + HEALTH)}
# Pages that say how to operate a site, and need nothing prepared.
OPERATING = ("audit", "deploy", "doctor", "maintenance", "scaling", "secrets", "status")
# With this one a play fails if anything is found: the library of the reference application is an old one.
FINDING = {"ansible-playbook ptnextjs.docker_vps.doctor -i prod -e docker_vps_doctor_fail": "which is database-library"}


def built(reader: Reader, page: Page) -> None:
    """Build the tarball in a checkout, as step 1 of the quickstart says, and go to an empty directory."""
    reader.sh(f"git clone --quiet {ROOT} ../checkout && cd ../checkout")
    page.run()
    reader.words[r"/path/to/ptnextjs"] = reader.sh("pwd") + "/ptnextjs"
    reader.sh("cd ../empty")


@dataclass
class Followed:
    """A site that the quickstart has deployed, with its host, the sources, and the page as far as it was followed."""

    reader: Reader
    host: Host
    sources: Path
    page: Page
    printed: str
    scratch: Path

    def visited(self) -> Site:
        """Return the site as a neighbour of the host reaches it by its name."""
        ask = functools.partial(request, ask=visit(self.host.address(), self.reader.root.read_text()).open)
        return Site(App("site", self.scratch), f"https://{NAME}", ask)

    def revision(self) -> str:
        """Return the commit that is live."""
        record = json.loads(self.host.sh("cat /opt/site/releases/current/release.json"))
        return str(record["revision"])

    def change(self) -> str:
        """Commit a change of the sources, which is to be pushed, and return its id."""
        with (self.sources / "package.json").open("a") as file:
            file.write("\n")
        return commit(self.sources)

    def newest(self) -> str:
        """Return the timestamp of the newest set, and take it for that of the pages."""
        names = self.host.sh("ls /var/backups/site")
        self.reader.words[TIMESTAMP] = max(re.findall(r"manifest-(.*)\.json", names))
        return self.reader.words[TIMESTAMP]


@pytest.fixture(scope="module")
def followed(
    make_reader: MakeReader, make_host: MakeHost, repositories: Repositories, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Followed]:
    """Follow the quickstart until the reference application is deployed, built here as for a host that is too small."""
    reader, host = make_reader(), make_host("trixie", python=False)
    url, sources = repositories.add("site", ROOT / "examples/payload-app")
    reader.rent(host)
    reader.point(host)
    reader.words |= {
        r"https://git\.example\.com/acme/site\.git": url,
        r"/path/to/your/application": str(sources),
        APP_NAME: "site",
        r"vps1\.example\.com": host.address(),
        r"vps1,vps2": host.address(),
    }
    page = reader.opens("docs/quickstart.md")
    built(reader, page)
    page.run()
    page.run()
    page.uncomment()
    reader.lack(docker_vps_build_ca=CA_BUNDLE, docker_vps_server_actions_key=ACTIONS_KEY)
    assert "`docker_vps_build_on: controller`" in page.text
    reader.edit(docker_vps_build_on="controller")
    yield Followed(reader, host, sources, page, page.run(), tmp_path_factory.mktemp("followed"))
    for image in docker("images", "--format", "{{.Repository}}:{{.Tag}}", "site-app").split():
        docker("rmi", image, check=False)  # another run on this engine may use it


def test_quickstart(followed: Followed) -> None:
    host, page = followed.host, followed.page
    assert page.unseen(followed.printed) == []
    assert "Warning: " not in followed.printed
    assert host.reached() == [22, 80, 443]
    site = followed.visited()
    health = site.ask("/api/health")
    assert (health.status, health.json["database"]) == (200, "connected")
    assert b"first" in site.ask("/admin/create-first-user").body
    site.fill()
    printed = page.run()
    assert f"Set {followed.newest()} of site: 2 archives" in printed
    assert f"The set {followed.newest()} of site is verified" in " ".join(printed.split())
    assert "site-backup.timer" in host.sh("systemctl list-timers 'site-*'")
    before, after = followed.revision(), followed.change()
    printed = page.rest()
    assert f"{after}, release" in printed
    assert followed.revision() == before
    assert site.vendors() == ["Example Ltd"]
    assert site.ask(site.picture).body == PICTURE


def test_update(followed: Followed) -> None:
    page = followed.reader.opens("docs/update.md")
    followed.reader.sh(f"git -C {followed.sources} push --quiet")
    before = followed.revision()
    page.run()
    assert followed.revision() == before
    page.rest()
    assert followed.revision() != before


@pytest.mark.parametrize("name", OPERATING)
def test_operating(followed: Followed, name: str) -> None:
    followed.reader.refusals |= FINDING
    followed.reader.opens(f"docs/{name}.md").rest()
    assert followed.visited().ask("/api/health").status == 200


def test_firewall(followed: Followed) -> None:
    """The page ends with an open firewall, which setup.yml closes again as it says."""
    followed.reader.opens("docs/firewall.md").rest()
    assert "docker_vps" not in followed.host.sh("nft list tables")
    followed.reader.sh("ansible-playbook setup.yml -i prod")
    assert followed.host.reached() == [22, 80, 443]


def test_watch(followed: Followed) -> None:
    followed.reader.edit(docker_vps_notify_command=["/usr/bin/logger"])
    followed.reader.opens("docs/watch.md").rest()
    assert "test-message" in followed.host.sh("journalctl --identifier root")


def test_backup(followed: Followed) -> None:
    reader, host, page = followed.reader, followed.host, followed.reader.opens("docs/backup.md")
    host.sh("mkdir -p /srv/media /mnt/usb")
    page.run()
    assert followed.visited().vendors() == ["Example Ltd"]
    followed.newest()
    page.run()
    host.sh("ls /srv/media/square.png && rm -r /srv/media/*")
    before = reader.variables.read_text()
    reader.edit(docker_vps_backup_store="shared")
    reader.sh("ansible-playbook backup.yml -i prod")
    followed.newest()
    page.run()
    host.sh("ls /srv/media/square.png")
    reader.variables.write_text(before)
    page.run()
    page.run()
    followed.newest()
    page.rest()
    assert followed.visited().vendors() == ["Example Ltd"]


@pytest.fixture(scope="module")
def off_site(followed: Followed, make_host: MakeHost) -> Host:
    """Have copies off-site as the page about backups says, on a server that takes them over SFTP."""
    reader, server = followed.reader, make_host("trixie", python=False)
    server.sh("ssh-keygen -A && systemctl start ssh && usermod --shell /bin/sh --home /home/backup backup")
    server.sh("mkdir -p /home/backup/.ssh /srv/restic && chown -R backup: /home/backup /srv/restic")
    followed.host.sh("apt-get install --quiet --yes --no-install-recommends restic")
    admit(followed.host, server)
    page = reader.opens("docs/backup.md").text.partition("## Off-site\n")[2]
    text = reader.variables.read_text().replace("# docker_vps_payload_secret", "docker_vps_payload_secret")
    reader.variables.write_text(f"{text}\n{guide.replaced(guide.settings(page)[0], reader.words)}")
    secret = followed.host.sh("sed -n 's/^PAYLOAD_SECRET=//p' /opt/site/.env.production")
    vault = {"vault_restic_password": "correct horse", "vault_payload_secret": secret}
    (reader.site / "prod/group_vars/all/vault.yml").write_text(json.dumps(vault))
    return server


def admit(host: Host, server: Host) -> None:
    """Have root of a host copy to a server by its name: with a key, and with the key of the server."""
    key = host.sh("ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519 && cat ~/.ssh/id_ed25519.pub")
    known = server.sh("cat /etc/ssh/ssh_host_ed25519_key.pub")
    host.sh(f"echo '{server.address()} backup.example.com' >>/etc/hosts")
    host.write("/root/.ssh/known_hosts", f"backup.example.com {known}\n")
    server.sh(f"echo '{key}' >>/home/backup/.ssh/authorized_keys")


def test_lifecycle(followed: Followed, off_site: Host) -> None:
    """The page ends with everything removed, and says what brings it back."""
    reader = followed.reader
    printed = reader.opens("docs/lifecycle.md").rest()
    assert "restore.yml, then setup.yml, then deploy.yml bring the application back" in " ".join(printed.split())
    assert followed.host.sh("docker volume ls --quiet --filter name=site-") == ""
    for verb in ("restore", "setup", "deploy", "schedule"):
        reader.sh(f"ansible-playbook {verb}.yml -i prod")
    assert followed.visited().vendors() == ["Example Ltd"]


def test_on_call(followed: Followed, off_site: Host, make_host: MakeHost) -> None:
    """At last the host is gone, and another one has all of it back from the copies."""
    reader, site = followed.reader, followed.visited()
    site.token = str(site.ask("/api/users/login", PASSWORD).json["token"])
    assert site.ask("/api/vendors", {"name": "Another Ltd"}).status == 201
    followed.change()
    reader.sh(f"git -C {followed.sources} push --quiet && ansible-playbook update.yml -i prod")
    page = reader.opens("docs/oncall.md")
    for _block in range(3):
        page.run()
    followed.host.remove()

    host = make_host("trixie", python=False)
    reader.rent(host, r"203\.0\.113\.77")
    (reader.site / "prod/hosts.yml").write_text(page.settings())
    admit(host, off_site)
    page.rest()
    reader.point(host)
    followed.host = host
    token, site = site.token, followed.visited()
    until(lambda: "HTTP/2 200" in reader.said("curl --head https://www.example.com/"), 400, "the certificate")
    site.token = token
    assert site.ask("/api/users/me").json["user"]["email"] == PASSWORD["email"]
    assert sorted(site.vendors()) == ["Another Ltd", "Example Ltd"]
    assert site.ask("/api/media?limit=1").json["docs"][0]["filename"] == "square.png"


NO_PYTHON = "has no Python, without which Ansible sees nothing there. Without --check, setup installs it"


def test_from_a_bare_vps(make_reader: MakeReader, make_host: MakeHost, repositories: Repositories) -> None:
    """On Debian 12, with the proxy's own authority, and then the second site that README has on the same host."""
    reader, host = make_reader(), make_host("bookworm", python=False)
    reader.rent(host)
    reader.point(host)
    reader.words |= {
        r"https://git\.example\.com/acme/site\.git": repositories.add("vps", STANDIN, **WITH_A_PAGE)[0],
        r"https://git\.example\.com/acme/shop\.git": repositories.add("shop", STANDIN, **WITH_A_PAGE)[0],
        r"vps1\.example\.com": host.address(),
        r"<proxy container>": "reverse-proxy",
        APP_NAME: "site",
    }
    readme, vps, proxies = (reader.opens(name) for name in ("README.md", "docs/vps.md", "docs/proxies.md"))
    reader.sh(f"git clone --quiet {ROOT} ../checkout && cd ../checkout")
    readme.run()
    reader.sh(f"cd {reader.place}/empty")
    vps.run()
    vps.uncomment()
    reader.lack(docker_vps_tls="internal")
    reader.refusals["ansible-playbook setup.yml -i prod --check"] = NO_PYTHON
    vps.run()
    reader.refusals.clear()
    proxies.rest()
    reader.root.write_text(host.sh(f"cat {AUTHORITY}") + "\n")
    printed = vps.run()
    assert "is live and healthy" in printed
    assert "Warning: " not in printed
    vps.rest()
    reader.opens("docs/troubleshooting.md").rest()
    assert json.loads(reader.sh("curl https://www.example.com/api/health"))["database"] == "connected"
    assert host.reached() == [22, 80, 443]
    reader.sh(f"cd {reader.place}/empty")
    readme.run()
    reader.lack()
    assert "shop-app is healthy" in readme.run()
    assert json.loads(reader.sh("curl https://www.example.com/api/health"))["database"] == "connected"


def test_a_site_without_a_name(make_reader: MakeReader, make_host: MakeHost, repositories: Repositories) -> None:
    """As the quickstart says: by its address, and under TLS once there is a name."""
    reader, host = make_reader(), make_host("trixie", python=False)
    reader.rent(host)
    url = repositories.add("nameless", STANDIN, **WITH_A_PAGE)[0]
    reader.words |= {r"https://git\.example\.com/acme/site\.git": url, APP_NAME: "site"}
    page = reader.opens("docs/quickstart.md")
    built(reader, page)
    page.run()
    page.run()
    page.uncomment()
    reader.lack()
    named = reader.variables.read_text()
    (advice,) = re.findall(r"(?s)Without a name yet, (.*?)\. Once there is one", page.text)
    settings = guide.replaced("\n".join(re.findall(r"`(docker_vps_\w+: .*?)`", advice)), reader.words)
    reader.variables.write_text(re.sub(r"(?m)^docker_vps_server_url.*", "", named) + settings + "\n")
    again = page.next()
    printed = page.run()
    assert f"Public address: http://{host.address()}" in printed
    assert "Warning: " not in printed
    assert json.loads(reader.sh(f"curl --silent http://{host.address()}/api/health"))["database"] == "connected"
    reader.variables.write_text(named)
    reader.point(host)
    printed = reader.follow(again)
    assert "Warning: " not in printed
    assert json.loads(reader.sh("curl https://www.example.com/api/health"))["database"] == "connected"


def test_every_block_that_is_not_marked_was_run(ran: set[tuple[str, int]]) -> None:
    """It fails when only some of these tests are chosen."""
    pages = [page for page, _line in ran]
    assert {page: pages.count(page) for page in guide.BLOCKS} == {
        page: run for page, (_all, run) in guide.BLOCKS.items()
    }
