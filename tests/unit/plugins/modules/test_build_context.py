# SPDX-License-Identifier: GPL-3.0-or-later
"""The module build_context on a real directory."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.build_context import main


@pytest.mark.parametrize("check", [False, True])
def test_main_makes_a_place_unless_in_check_mode(exit_of: Any, tmp_path: Path, check: bool) -> None:
    place, contents = tmp_path / "shop", {"dockerfile": "FROM ours", "docker_cli": "#!/bin/sh"}
    ended = exit_of(main, check=check, directory=str(place), context=str(tmp_path), **contents)
    assert (ended.code, ended.result["changed"]) == (0, True)
    assert place.exists() is not check
    if not check:
        assert Path(ended.result["dockerfile"]).read_text() == "FROM ours"


def test_main_fails_with_a_sentence(exit_of: Any, tmp_path: Path) -> None:
    (tmp_path / "shop").touch()
    ended = exit_of(main, directory=str(tmp_path / "shop"), context=str(tmp_path), dockerfile="", docker_cli="")
    assert ended.code == 1
    assert ended.result["msg"].startswith(f"The directory {tmp_path}/shop cannot be created: ")


def test_main_needs_one_kind_of_sources(exit_of: Any, tmp_path: Path) -> None:
    ended = exit_of(main, directory=str(tmp_path), dockerfile="", docker_cli="")
    assert "one of the following is required: path, context, archive" in ended.result["msg"]


def test_main_shows_no_secret_and_blanks_nothing(exit_of: Any, tmp_path: Path) -> None:
    secrets = {"npm": "tok-4711-sesame", "word": {"value": "shop"}}
    asked = {"directory": str(tmp_path / "shop"), "context": str(tmp_path), "dockerfile": "", "docker_cli": ""}
    ended = exit_of(main, **asked, secrets=secrets)
    assert "sesame" not in ended.text
    assert ended.result["place"].startswith(f"{tmp_path}/shop/ansible.")
    assert Path(ended.result["secrets"][0]["src"]).read_text() == "tok-4711-sesame"
    assert ended.result["invocation"]["module_args"]["secrets"] == {"npm": "(hidden)", "word": "(hidden)"}


def test_main_makes_a_key_and_does_not_show_it(exit_of: Any, tmp_path: Path) -> None:
    asked = {"directory": str(tmp_path / "shop"), "context": str(tmp_path), "dockerfile": "", "docker_cli": ""}
    ended = exit_of(main, **asked, keys={"key": str(tmp_path / "key")})
    key = (tmp_path / "key").read_text()
    assert len(base64.b64decode(key, validate=True)) == 32
    assert key not in ended.text
    assert ended.result["invocation"]["module_args"]["keys"] == {"key": str(tmp_path / "key")}


def test_main_refuses_what_is_no_secret(exit_of: Any, tmp_path: Path) -> None:
    asked = {"directory": str(tmp_path / "shop"), "context": str(tmp_path), "dockerfile": "", "docker_cli": ""}
    ended = exit_of(main, **asked, secrets={"npm": 4711})
    assert ended.result["msg"].startswith("npm in secrets is a number, not a string")
