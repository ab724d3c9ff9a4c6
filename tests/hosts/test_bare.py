# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that have nothing get an engine, from Docker's repository or from the distribution."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import pytest
from bare_host import REPOSITORY, Host, MakeHost
from lab import docker

SOURCES = "/etc/apt/sources.list.d"
OF_DOCKER = ["containerd.io", "docker-buildx-plugin", "docker-ce", "docker-ce-cli", "docker-compose-plugin"]
READY = [
    {
        "ptnextjs.docker_vps.host_info": {
            "engine_version_min": "25.0",
            "compose_version_min": "2.20",
            "buildx": True,
            "commands": ["git", "ssh", "ssh-keygen"],
        }
    }
]
HOLD = """perl -MFcntl -e '
open my $file, ">>", "%s";
my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl $file, F_SETLK, $lock or die;
sleep %s'"""


def assert_set_up(host: Host, packages: list[str]) -> None:
    """There is an engine with all of these, it stays so, and apt works."""
    names = " ".join(packages)
    host.sh(f"dpkg-query --show {names}; systemctl is-enabled docker; docker network create a && docker network rm a")
    again = host.setup().succeeded()
    assert again.recap["changed"] == 0, again.output
    assert host.setup("--check").succeeded().recap["changed"] == 0
    host.sh("apt-get update")


def test_a_key_with_another_fingerprint_is_refused(trixie: Host) -> None:
    before = trixie.state()
    wrong = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    text = trixie.setup(docker_vps_engine_fingerprint=wrong).failed().text
    assert f", and {wrong} was expected. Nothing was changed." in text
    assert trixie.state() == before


def test_a_configuration_that_is_no_json_is_refused(trixie: Host) -> None:
    trixie.write("/etc/docker/daemon.json", "{debug: true}")
    before = trixie.state()
    for arguments in ((), ("--check",)):
        assert "/etc/docker/daemon.json is not JSON" in trixie.setup(*arguments).failed().text
    assert trixie.state() == before
    trixie.sh("rm -r /etc/docker")


def test_a_dry_run_says_what_would_be_installed(trixie: Host) -> None:
    before = trixie.state()
    text = trixie.setup("--check").succeeded().text
    assert "docker-ce, docker-ce-cli, containerd.io, docker-compose-plugin, docker-buildx-plugin" in text
    assert trixie.state() == before


def test_what_is_lacking_is_told_in_one_message(trixie: Host) -> None:
    text = trixie.play(READY).failed().text
    checks = ("Docker SDK for Python", "compose", "buildx", "command git", "engine")
    assert all(f"{check}: expected " in text for check in checks), text
    assert "setup.yml installs what is lacking." in text


def test_debian_13_with_python(trixie: Host, request: pytest.FixtureRequest) -> None:
    trixie.setup().succeeded()
    assert_set_up(trixie, OF_DOCKER)
    source = trixie.sh(f"cat {SOURCES}/docker.sources")
    assert f"URIs: {trixie.variables['docker_vps_engine_repository']}/debian\nSuites: trixie\n" in source
    assert "Signed-By: /etc/apt/keyrings/docker.asc" in source


def one_line(key: str) -> Callable[[str], dict[str, str]]:
    return lambda url: {f"{SOURCES}/docker.list": f"deb [arch=amd64 signed-by={key}] {url} trixie stable\n"}


def deb822(url: str) -> dict[str, str]:
    stanza = f"Types: deb\nURIs: {url}/\nSuites: trixie\nComponents: stable\nSigned-By: /usr/share/keyrings/d.asc\n"
    return {f"{SOURCES}/download_docker_com.sources": stanza}


@pytest.mark.parametrize(
    ("ours", "key", "files"),
    [
        (False, "/etc/apt/keyrings/docker.asc", one_line("/etc/apt/keyrings/docker.asc")),
        (False, "/etc/apt/keyrings/docker.gpg", one_line("/etc/apt/keyrings/docker.gpg")),
        (False, "/usr/share/keyrings/d.asc", deb822),
        (True, "/usr/share/keyrings/d.gpg", one_line("/usr/share/keyrings/d.gpg")),
        (True, "/usr/share/keyrings/d.asc", deb822),
    ],
    ids=["list-asc", "list-gpg", "deb822", "list-beside-ours", "deb822-beside-ours"],
)
def test_other_entries_of_the_repository(trixie: Host, ours: bool, key: str, files: Any) -> None:
    """Whoever followed another guide has another file and another key; both at once stop every run of apt."""
    url = trixie.variables["docker_vps_engine_repository"] + "/debian"
    trixie.sh("apt-get remove -q -y docker-buildx-plugin")
    if not ours:
        trixie.sh(f"rm -f {SOURCES}/docker.sources /etc/apt/keyrings/docker.*")
    for path, text in files(url).items():
        trixie.write(path, text)
    name = "binary" if key.endswith(".gpg") else "linux/debian/gpg"
    docker("cp", "--quiet", f"{REPOSITORY}:/srv/{name}", str(trixie.scratch / "key"))
    docker("cp", "--quiet", str(trixie.scratch / "key"), f"{trixie.name}:{key}")
    before = trixie.code("apt-get update")
    assert (before != 0) is ours
    assert trixie.setup("--check").succeeded().recap["changed"] > 0
    trixie.setup().succeeded()
    trixie.sh("apt-get update")
    assert trixie.sh(f"grep -rl '^[^#]*{url}' /etc/apt/sources.list*") == f"{SOURCES}/docker.sources"
    assert trixie.setup().succeeded().recap["changed"] == 0


def test_debian_12_without_python(make_host: MakeHost, repository: Mapping[str, str]) -> None:
    """Its own engine is too old, which is said before anything but Python is there; Docker's packages suit."""
    host = make_host("bookworm", python=False, variables=repository)
    before = host.state()
    assert "bare has no Python" in host.setup("--check").failed().text
    assert host.state() == before
    locks = [host.begin(HOLD % (f"/var/lib/{path}", 8)) for path in ("dpkg/lock-frontend", "apt/lists/lock")]
    text = host.setup(docker_vps_engine_source="distribution").failed().text
    assert [lock.wait() for lock in locks] == [0, 0]
    assert "It is held by process" in text
    assert "Debian GNU/Linux 12 (bookworm) has no engine that is new enough, and no Compose v2." in text
    before = host.state()
    assert host.setup(docker_vps_engine_source="distribution").failed().text.count("no Compose v2") >= 1
    assert host.state() == before
    host.setup().succeeded()
    assert_set_up(host, OF_DOCKER)


def test_packages_of_debian_13(make_host: MakeHost) -> None:
    """The locks of apt are taken by others meanwhile, once for lists and once for packages."""
    host = make_host("trixie", variables={"docker_vps_engine_source": "distribution"})
    lock = host.begin(HOLD % ("/var/lib/dpkg/lock-frontend", 60))
    played = host.setup().succeeded()
    assert lock.wait() == 0
    assert (
        "apt had to wait for another process: Could not get lock /var/lib/dpkg/lock-frontend. It is held" in played.text
    )
    assert_set_up(host, ["docker.io", "docker-cli", "docker-compose", "docker-buildx"])


def test_an_old_engine_of_the_distribution_is_replaced(make_host: MakeHost, repository: Mapping[str, str]) -> None:
    """Debian 12 has engine 20.10 and Compose 1, whose files Docker's packages have, too."""
    host = make_host("bookworm", variables=repository)
    host.sh("DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends docker.io docker-compose")
    host.sh("docker volume create kept")
    played = host.setup().succeeded()
    assert_set_up(host, OF_DOCKER)
    assert host.sh("docker volume ls --quiet") == "kept", played.output
    assert host.code("dpkg-query --show --showformat='${db:Status-Abbrev}' docker.io | grep -q ^ii") != 0
