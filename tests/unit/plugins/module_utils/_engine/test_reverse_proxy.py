# SPDX-License-Identifier: GPL-3.0-or-later
"""The container of a reverse proxy, with a docker command of our own on the PATH; and ports of this machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.reverse_proxy import KINDS, Found
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import reverse_proxy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.reverse_proxy import (
    ProxyContainer,
    holder_of,
)

INSPECTED = '[{"State": {"Running": true}, "NetworkSettings": {"Networks": {"web": {}, "proxy": {}}}}]'
DOCKER = f"""case "$*" in
"container inspect front") echo '{INSPECTED}' ;;
"image inspect caddy:2") echo '[{{}}]' ;;
*publish=443/udp*) printf 'front\\nother\\n' ;;
*publish*) ;;
"exec front wget"*) echo 1234 ;;
"exec front caddy reload"*|compose*|stop*|rm*) ;;
"run --rm"*) echo "Caddyfile:3: no such directive" >&2; exit 1 ;;
logs*) echo out; echo err >&2 ;;
esac"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a docker command on a PATH where there is nothing else, and return where its calls are written down."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n{DOCKER}\n')
    (tmp_path / "docker").chmod(0o755)
    return tmp_path / "calls"


def proxy(kind: str = "caddy") -> ProxyContainer:
    return ProxyContainer("front", KINDS[kind], f"{kind}:2", "unix:///run/docker.sock")


def test_what_there_is(calls: Path) -> None:
    assert proxy().look() == Found(True, ["proxy", "web"])
    assert (proxy().has_image(), proxy("nginx").has_image()) == (True, False)
    assert (proxy().generation(), proxy().last_lines()) == ("1234", "out\nerr")


def test_what_is_asked_of_it(calls: Path) -> None:
    proxy().up("/opt/front")
    proxy().reload()
    proxy().remove()
    asked = calls.read_text().splitlines()
    assert asked[0].endswith("--file /opt/front/compose.yml up --detach --no-build --pull never")
    assert asked[1:] == [
        "exec front caddy reload --config /etc/reverse-proxy/Caddyfile --adapter caddyfile",
        "container inspect front",
        "stop front",
        "rm front",
    ]


def test_a_configuration_that_it_refuses(calls: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"Caddyfile:3: no such directive"):
        proxy().validate("/opt/front/.trial")
    command = calls.read_text()
    assert command.startswith("run --rm --network=none --pull=never --volume=/opt/front/.trial:/etc/reverse-proxy:ro ")
    assert command.endswith(
        " --entrypoint=caddy caddy:2 validate --config /etc/reverse-proxy/Caddyfile --adapter caddyfile\n"
    )


def test_without_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (proxy().look(), proxy().has_image(), proxy().generation(), proxy().last_lines()) == (None, False, "", "")
    proxy().remove()


def test_a_port_that_another_container_publishes(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reverse_proxy, "PORTS", ((1, "tcp"), (443, "udp")))
    assert proxy().taken() == (443, "udp", "the container other")
    monkeypatch.setattr(reverse_proxy, "PORTS", ((1, "tcp"),))
    assert proxy().taken() is None


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")])
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_a_process_holds(kind: int, protocol: str, family: int, address: str) -> None:
    with socket.socket(family, kind) as held:
        held.bind((address, 0))
        port = held.getsockname()[1]
        if protocol == "tcp":
            assert holder_of(port, protocol) == ""  # nobody listens yet
            held.listen()
        assert holder_of(port, protocol).endswith(f" ({os.getpid()})")
    assert holder_of(port, protocol) == ""


def test_a_process_of_somebody_else(tmp_path: Path) -> None:
    """Such as one in another namespace of processes; and one that ends while it is checked."""
    (tmp_path / "net").mkdir()
    (tmp_path / "1").mkdir()
    line = "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1"
    (tmp_path / "net/tcp").write_text(f"  sl  local_address\n{line}\n")
    assert holder_of(80, "tcp", str(tmp_path)) == "a process that is not seen from here"
    assert holder_of(80, "udp", str(tmp_path)) == ""
