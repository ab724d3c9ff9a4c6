# SPDX-License-Identifier: GPL-3.0-or-later
"""The module firewall: its exits."""

from __future__ import annotations

from typing import Any

from ansible_collections.ptnextjs.docker_vps.plugins.modules import firewall


def test_main(exit_of: Any) -> None:
    ended = exit_of(firewall.main, check=True, state="confirmed")
    assert (ended.code, ended.result["changed"]) == (0, False)
    ended = exit_of(firewall.main, check=True, ssh_ports=[1])
    assert ended.code == 1
    assert ended.result["msg"].startswith("Nothing listens on port 1, which is to be open for SSH")
    assert "docker_vps_firewall_ssh_ports" in ended.result["msg"]
