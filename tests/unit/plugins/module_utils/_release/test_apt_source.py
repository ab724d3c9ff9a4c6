# SPDX-License-Identifier: GPL-3.0-or-later
"""How a repository comes into apt's sources, from each state in which they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.apt_source import Params, run

URL, KEY_URL = "https://download.example.com/linux/debian", "https://download.example.com/linux/debian/gpg"
FINGERPRINT = "CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"
# The key of RFC 9580, appendix A.3.
KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laM=
-----END PGP PUBLIC KEY BLOCK-----
"""
DEBIAN = "deb http://deb.debian.org/debian bookworm main\n"
LINE = f"deb [arch=amd64 signed-by=/etc/apt/keyrings/other.gpg] {URL} bookworm stable\n"


class Apt:
    """One that reads any repository, or none."""

    def __init__(self) -> None:
        self.refuses, self.holder = "", ""
        self.read: list[str] = []

    def architecture(self) -> str:
        return "amd64"

    def update(self, path: str) -> str:
        self.read.append(Path(path).read_text())
        if self.refuses:
            raise DockerVpsError(self.refuses)
        return self.holder


class Host:
    """The sources of apt in a directory of a test."""

    def __init__(self, place: Path) -> None:
        self.place, self.apt, self.fetched, self.key = place, Apt(), 0, KEY
        (place / "sources.list.d").mkdir()
        (place / "sources.list").write_text(DEBIAN)

    def run(self, check_mode: bool = False, fingerprint: str = FINGERPRINT) -> Any:
        params = Params("docker", URL, "bookworm", "stable", KEY_URL, fingerprint, str(self.place))

        def fetch(url: str) -> str:
            assert url == KEY_URL
            self.fetched += 1
            return self.key

        return run(params, self.apt, fetch, check_mode)

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.place)): path.read_text() for path in self.place.rglob("*") if path.is_file()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_that_has_nothing(host: Host) -> None:
    before = host.files()
    assert host.run(check_mode=True)["changed"] is True
    assert (host.files(), host.fetched, host.apt.read) == (before, 0, [])
    result = host.run()
    assert result["files"] == [
        str(host.place / name) for name in ("keyrings/docker.asc", "sources.list.d/docker.sources")
    ]
    assert (host.place / "keyrings/docker.asc").read_text() == KEY
    assert (host.place / "keyrings").stat().st_mode & 0o777 == 0o755
    entry = (host.place / "sources.list.d/docker.sources").read_text()
    assert f"URIs: {URL}\nSuites: bookworm\nComponents: stable\nArchitectures: amd64\n" in entry
    assert f"Signed-By: {host.place}/keyrings/docker.asc\n" in entry
    for check_mode in (True, False):
        assert host.run(check_mode) == {"changed": False, "files": [], "warnings": []}
    assert (host.fetched, host.apt.read) == (1, [entry])


@pytest.mark.parametrize(
    "name", ["sources.list.d/docker.list", "sources.list.d/docker-ce.list", "sources.list.d/docker.sources"]
)
def test_one_that_somebody_has_made_goes(host: Host, name: str) -> None:
    stanza = f"Types: deb\nURIs: {URL}/\nSuites: bookworm\nComponents: stable\nSigned-By: /etc/apt/keyrings/other.gpg\n"
    (host.place / name).write_text(stanza if name.endswith("sources") else LINE)
    host.run()
    names = {one for one, text in host.files().items() if URL in text}
    assert names == {"sources.list.d/docker.sources"}
    assert "docker.asc" in host.files()["sources.list.d/docker.sources"]
    assert host.run()["changed"] is False


def test_other_entries_of_a_file_stay(host: Host) -> None:
    (host.place / "sources.list").write_text(DEBIAN + LINE)
    (host.place / "sources.list.d/own.list").write_text("deb https://example.com/debian stable main\n" + LINE)
    host.run()
    found = host.files()
    assert found["sources.list"] == f"{DEBIAN}# Switched off by ptnextjs.docker_vps: {LINE}"
    assert found["sources.list.d/own.list"].startswith("deb https://example.com/debian stable main\n# Switched off")
    assert host.run()["changed"] is False


def test_the_main_file_is_never_removed(host: Host) -> None:
    (host.place / "sources.list").write_text(LINE)
    host.run()
    assert host.files()["sources.list"] == f"# Switched off by ptnextjs.docker_vps: {LINE}"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (
            "<html>Sign in</html>",
            f"{KEY_URL} is not the key of {URL}. That is no armored OpenPGP key. Nothing was changed.",
        ),
        (KEY + KEY, f"has the fingerprint {FINGERPRINT} and {FINGERPRINT}, and {FINGERPRINT} was expected."),
    ],
)
def test_another_key_is_refused(host: Host, key: str, why: str) -> None:
    before, host.key = host.files(), key
    with pytest.raises(InvalidInput) as refused:
        host.run()
    assert why in refused.value.message
    assert host.files() == before


def test_a_key_that_is_there_and_another_one_is_fetched_anew(host: Host) -> None:
    host.run()
    (host.place / "keyrings/docker.asc").write_text("not a key")
    assert host.run()["files"] == [str(host.place / "keyrings/docker.asc")]
    with pytest.raises(InvalidInput, match=f"has the fingerprint {FINGERPRINT}, and {'0' * 40} was expected"):
        host.run(fingerprint="0" * 40)
    assert host.fetched == 3


def test_a_repository_that_apt_cannot_use_leaves_all_as_it_was(host: Host) -> None:
    (host.place / "sources.list.d/docker.list").write_text(LINE)
    before = host.files()
    host.apt.refuses = "The repository does not have a Release file."
    with pytest.raises(DockerVpsError, match=r"does not have a Release file. Everything is as it was before."):
        host.run()
    assert host.files() == before


def test_whose_lock_was_waited_for(host: Host) -> None:
    host.apt.holder = "Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
    (warning,) = host.run()["warnings"]
    assert warning.startswith("apt had to wait for another process: Could not get lock")
    assert host.run()["warnings"] == []
