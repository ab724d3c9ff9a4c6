# SPDX-License-Identifier: GPL-3.0-or-later
"""The module reverse_proxy: its exits, on a host without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules import reverse_proxy
from ansible_collections.ptnextjs.docker_vps.tests.support.certificates import certificate


def test_main(exit_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, key = certificate(tmp_path, "shop.test")
    monkeypatch.setenv("PATH", str(tmp_path))
    place = tmp_path / "proxy"
    site = {"app": "shop", "domains": ["shop.test"], "site": "shop.test {}", "certificate": text, "key": key}
    given = {"kind": "caddy", "image": "caddy:2", "network": "proxy", "directory": str(place), **site}
    ended = exit_of(reverse_proxy.main, state="absent", **given)
    assert (ended.code, ended.result["changed"], ended.result["action"]) == (0, False, "")
    ended = exit_of(reverse_proxy.main, **given)
    assert ended.code == 1
    assert "docker" in ended.result["msg"]
    assert key.splitlines()[1] not in json.dumps(ended.result)
    ended = exit_of(reverse_proxy.main, **{**given, "key": "none"})
    assert ended.result["msg"].startswith(
        "docker_vps_tls_certificate and docker_vps_tls_key are no certificate and key"
    )
