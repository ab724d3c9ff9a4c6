# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of an engine's configuration, of a Docker SDK that does not work, and of what is wanted besides."""

from __future__ import annotations

from typing import Any, Iterator

import pytest
from bare_host import Host
from lab import Played, docker, run

DAEMON = "/etc/docker/daemon.json"


def configured(host: Host, options: Any, *arguments: str) -> Played:
    return host.play([{"ptnextjs.docker_vps.engine_config": {"options": options}}], *arguments)


def begin(host: Host, name: str, command: str, options: str) -> None:
    """Start a container that has the programs of the host, of which no registry is needed."""
    root = "bin lib lib64 usr/bin usr/lib usr/lib64"
    host.sh(f"docker images --quiet app | grep -q . || tar -C / -c {root} | docker import - app")
    host.sh(f"docker run --detach --name {name} {options} app {command}")


@pytest.fixture
def daemon(ready: Host) -> Iterator[str]:
    """Yield what is in daemon.json, which is the same afterwards, and the engine runs."""
    before = ready.sh(f"cat {DAEMON}")
    yield before
    assert ready.sh(f"cat {DAEMON}") == before
    ready.sh("docker version && docker network create after && docker network rm after")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"default-address-pools": [{"base": "10.88.0.0/16", "size": 24}]},
            "The network 10.88.0.0/16 in default-address-pools overlaps the route to 10.88.3.0/24",
        ),
        ({"bip": "10.88.3.1/24"}, "The network 10.88.3.0/24 in bip overlaps the route to 10.88.3.0/24"),
        (
            {"default-address-pools": [{"base": "fd77::/48", "size": 64}]},
            "The network fd77::/48 in default-address-pools overlaps the route to fd77:0:0:3::/64",
        ),
        ({"log-drivr": "x"}, "The engine refuses that configuration, and nothing was changed."),
    ],
    ids=["pool", "bridge", "pool-6", "unknown"],
)
def test_what_is_refused_before_anything_is_changed(ready: Host, daemon: str, options: Any, says: str) -> None:
    ready.sh(
        "ip link del far 2>/dev/null; set -e; ip link add far type veth peer name away; "
        "sysctl -qw net.ipv6.conf.far.disable_ipv6=0; ip link set far up; ip link set away up; "
        "ip route add 10.88.3.0/24 dev far; ip -6 route add fd77:0:0:3::/64 dev far"
    )
    started = ready.sh("systemctl show docker --property=ExecMainPID")
    assert says in configured(ready, options).failed().text
    assert ready.sh("systemctl show docker --property=ExecMainPID") == started
    ready.sh("ip link del far")


def test_a_configuration_with_which_the_engine_does_not_start_is_put_back(ready: Host, daemon: str) -> None:
    """It is valid, and the file system of the engine's directory is another one."""
    text = configured(ready, {"storage-driver": "btrfs"}).failed().text
    assert "is as it was before, and the engine runs with it again." in text


def test_an_application_bears_ten_restarts_of_the_engine(ready: Host) -> None:
    before = ready.sh(f"cat {DAEMON}")
    begin(ready, "app", "python3 -m http.server 80", "--restart unless-stopped")
    ready.sh("sleep 2")
    started = ready.sh("docker inspect --format '{{.State.StartedAt}}' app")
    sizes = [{"default-address-pools": [{"base": "10.201.0.0/16", "size": 24 + n % 2}]} for n in range(10)]
    loop = {"ptnextjs.docker_vps.engine_config": {"options": "{{ item }}"}, "loop": sizes}
    ready.play([loop]).succeeded()
    assert ready.sh("systemctl show docker --property=NRestarts") == "NRestarts=0"
    assert ready.sh("docker inspect --format '{{.State.StartedAt}} {{.RestartCount}}' app") == f"{started} 0"
    address = ready.sh("docker inspect --format '{{.NetworkSettings.IPAddress}}' app")
    ready.sh(f"python3 -c 'import urllib.request as r; r.urlopen(\"http://{address}/\")'")
    ready.write(DAEMON, before + "\n")
    ready.sh("docker rm --force app; systemctl restart docker")


def test_a_copy_of_pip_that_shadows_a_part_of_the_sdk(ready: Host) -> None:
    """Debian 13 has requests 2.32 and a docker that knows it; pip brings one that does not."""
    place = ready.sh("python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'")
    scratch = str(ready.scratch / "pip")
    run("pip", "install", "--quiet", "--no-deps", "--target", scratch, "docker==7.0.0", "packaging")
    ready.sh(f"mkdir -p {place}")
    docker("cp", "--quiet", f"{scratch}/docker", f"{ready.name}:{place}/docker")
    lacks = ready.setup("--check").failed().text
    docker("cp", "--quiet", f"{scratch}/packaging", f"{ready.name}:{place}/packaging")
    looked = ready.play([{"ptnextjs.docker_vps.host_info": {"commands": ["no-such"]}}]).failed().text
    setup = ready.setup().failed().text
    ready.sh(f"rm -r {place}/docker {place}/packaging")
    assert f"does not work: docker in {place}: No module named 'packaging'." in lacks
    for text in (looked, setup):
        assert f"docker 7.0.0 in {place}, requests 2.32" in text
        assert "in /usr/lib/python3/dist-packages" in text
        assert "Not supported URL scheme http+docker" in text
    assert "command no-such: expected installed" in looked


def test_an_unknown_distribution(ready: Host) -> None:
    ready.sh("sed -i.kept 's/^ID=.*/ID=void/; s/^PRETTY_NAME=.*/PRETTY_NAME=Void/' /usr/lib/os-release")
    ready.sh("mv /usr/bin/git /usr/bin/gone")
    before = ready.state()
    for arguments in ((), ("--check",)):
        assert "This host runs Void, and setup knows Debian 12 and 13" in ready.setup(*arguments).failed().text
    assert ready.state() == before
    ready.sh("mv /usr/bin/gone /usr/bin/git; mv /usr/lib/os-release.kept /usr/lib/os-release")


def test_who_holds_the_socket_is_told_before_an_engine_is_raised(ready: Host) -> None:
    begin(ready, "traefik", "sleep 600", "--volume /var/run/docker.sock:/var/run/docker.sock")
    text = ready.setup("--check", docker_vps_engine_version_min="99.0").text
    ready.sh("docker rm --force traefik")
    assert "is replaced by a newer one" in text
    assert "See that these containers work afterwards: traefik." in text


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtleW9mYXRlc3R0aGF0bm9ib2R5aGFzYXBhcnRvZnRo me@example.com"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"docker_vps_swap_size": "4096G", "docker_vps_swap_file": "/var/lib/docker/swap"}, "are free, of which"),
        ({"docker_vps_swap_size": "4096G"}, "its file system is overlayfs, and ext4 and XFS are the ones"),
        ({"docker_vps_deploy_user": "deploy"}, "names no key, so nobody could log in."),
    ],
    ids=["disk", "file-system", "no-key"],
)
def test_what_a_host_cannot_have_is_refused(ready: Host, options: Any, says: str) -> None:
    before = ready.state()
    assert says in ready.setup(**options).failed().text
    assert ready.state() == before


def test_what_a_host_gets_by_choice(ready: Host) -> None:
    there = int(ready.sh("awk '/^SwapTotal/ { print $2 }' /proc/meminfo"))
    swap, user = "/var/lib/docker/swap", "deploy"
    options = {
        "docker_vps_swap_size": f"{there + 16384}K",
        "docker_vps_swap_file": swap,
        "docker_vps_disk_free_min": "1M",
        "docker_vps_unattended_upgrades": True,
        "docker_vps_time_sync": True,
        "docker_vps_deploy_user": user,
        "docker_vps_deploy_user_keys": [KEY],
    }
    # It is a container, whose clock is that of the machine of the tests.
    ready.write("/etc/systemd/system/systemd-timesyncd.service.d/test.conf", "[Unit]\nConditionVirtualization=\n")
    ready.write("/etc/systemd/timesyncd.conf.d/test.conf", "[Time]\nNTP=127.0.0.1\nFallbackNTP=127.0.0.1\n")
    before = ready.state()
    assert ready.setup("--check", **options).succeeded().recap["changed"] > 0
    assert ready.state() == before
    try:
        ready.setup(**options).succeeded()
        for arguments in ((), ("--check",)):
            assert ready.setup(*arguments, **options).succeeded().recap["changed"] == 0
        assert swap in ready.sh("cat /proc/swaps")
        assert ready.sh("cat /etc/fstab").count(swap) == 1
    finally:
        ready.sh(f"swapoff {swap}; rm -f {swap}")
    assert ready.sh("systemctl is-active systemd-timesyncd") == "active"
    held = ready.sh("apt-config dump --format '%v%n' Unattended-Upgrade::Package-Blacklist").split()
    assert held == ["docker", "containerd", "runc$"]
    assert ready.sh(f"stat -c '%U %a' /home/{user}/.ssh /home/{user}/.ssh/authorized_keys").split("\n") == [
        f"{user} 700",
        f"{user} 600",
    ]
    assert ready.sh(f"cat /home/{user}/.ssh/authorized_keys") == KEY
    assert ready.sh(f"su - {user} -c 'sudo -n id -u'") == "0"
    assert "docker" not in ready.sh(f"id -nG {user}").split()
    member = {name: options[name] for name in options if "deploy_user" in name}
    ready.setup(**member, docker_vps_deploy_user_docker=True).succeeded()
    assert "docker" in ready.sh(f"id -nG {user}").split()
