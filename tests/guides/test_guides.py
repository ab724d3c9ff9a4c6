# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages, followed command by command: from an empty directory, over SSH, on hosts that have nothing but sshd.

What is not as the pages say is in tables of tests/support/reader.py: EXAMPLES, what pages write as an example, and LACKING, the
settings for what this machine does not reach. The tests of this file follow each other.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest
from bare_host import Host, MakeHost, visit
from lab import CA_BUNDLE, ROOT, App, commit, request
from payload import ACTIONS_KEY, PICTURE, Site
from reader import NAME, Page, Reader, Repositories

MakeReader = Callable[[], Reader]
TIMESTAMP = r"20260131-020000"
APP_NAME = r"ptnextjs(?![.-]docker_vps)"
# Pages that say how to operate a site, and need nothing prepared.
OPERATING = ("audit", "deploy", "doctor", "maintenance", "scaling", "secrets", "status", "troubleshooting")


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
) -> Followed:
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
        r"<proxy container>": "reverse-proxy",
    }
    page = reader.opens("docs/quickstart.md")
    built(reader, page)
    page.run()
    page.run()
    page.uncomment()
    reader.lack(docker_vps_build_ca=CA_BUNDLE, docker_vps_server_actions_key=ACTIONS_KEY)
    assert "`docker_vps_build_on: controller`" in page.text
    reader.edit(docker_vps_build_on="controller")
    return Followed(reader, host, sources, page, page.run(), tmp_path_factory.mktemp("followed"))


def test_quickstart(followed: Followed) -> None:
    reader, host, page = followed.reader, followed.host, followed.page
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
    reader, page = followed.reader, followed.reader.opens("docs/update.md")
    reader.sh(f"git -C {followed.sources} push --quiet")
    before = followed.revision()
    page.run()
    assert followed.revision() == before
    page.rest()
    assert followed.revision() != before
