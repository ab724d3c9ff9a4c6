# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of nft and ufw, with commands of our own on the PATH."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.nftables import Nftables, Ufw

Commands = Callable[..., Path]
OURS = '{"nftables": [{"metainfo": {}}, {"table": {"family": "inet", "name": "docker_vps", "handle": 1}}]}'
OTHERS = '{"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "docker_vps", "handle": 1}}]}'


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Put commands ahead on the PATH, and return where their calls and what they read is written down."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def install(**scripts: str) -> Path:
        for name, script in scripts.items():
            (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\n{script}\n')
            (tmp_path / name).chmod(0o755)
        return tmp_path / "calls"

    return install


def test_what_the_table_has(commands: Commands) -> None:
    commands(nft=f"case \"$1\" in --json) echo '{OURS}' ;; *) echo 'table inet docker_vps' ;; esac")
    assert Nftables().listing() == "table inet docker_vps\n"
    commands(nft=f"echo '{OTHERS}'")
    assert Nftables().listing() == ""
    assert Nftables().exists()


def test_what_all_tables_have(commands: Commands) -> None:
    calls = commands(nft=f"echo '{OTHERS}'")
    assert list(Nftables().ruleset()[1]) == ["table"]
    assert calls.read_text() == "nft --json list ruleset\n"


def test_a_transaction_is_tried_elsewhere(commands: Commands) -> None:
    calls = commands(unshare="cat")
    assert Nftables().rendered("table inet x") == "table inet x"
    assert calls.read_text().startswith("unshare --net sh -c nft --file -")
    commands(unshare="echo 'Operation not supported' >&2; exit 1")
    with pytest.raises(DockerVpsError, match="does not take the rules .* nothing was changed.*Operation not supported"):
        Nftables().rendered("table inet x")


def test_a_transaction_is_carried_out(commands: Commands, tmp_path: Path) -> None:
    calls = commands(nft=f"cat >{tmp_path}/given")
    Nftables().load("table inet x")
    assert (calls.read_text(), (tmp_path / "given").read_text()) == ("nft --file -\n", "table inet x")


@pytest.mark.parametrize(
    ("text", "expected"), [("# ufw\nENABLED=yes\n", True), ("ENABLED='yes'\n", True), ("ENABLED=no\n", False)]
)
def test_whether_ufw_rules(commands: Commands, tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "ufw.conf").write_text(text)
    assert Ufw(str(tmp_path)).rules_here() is False, "what was configured once is not installed any more"
    commands(ufw="")
    assert Ufw(str(tmp_path)).rules_here() is expected
    assert Ufw(str(tmp_path / "none")).rules_here() is False


def test_what_ufw_is_told(commands: Commands, tmp_path: Path) -> None:
    calls = commands(ufw="")
    there = Ufw(str(tmp_path))
    assert there.rules() == ""
    (tmp_path / "user.rules").write_text("### tuple ###\n")
    assert there.rules() == "### tuple ###\n"
    there.allow("tcp", 80)
    there.delete("udp", 443)
    assert calls.read_text() == "ufw allow 80/tcp comment ptnextjs.docker_vps\nufw delete allow 443/udp\n"
