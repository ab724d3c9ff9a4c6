# SPDX-License-Identifier: GPL-3.0-or-later
"""The module git_checkout: parameters, results and what is shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.git_checkout import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.repositories import Author

SECRET = "tok-sesame-4711"


@pytest.fixture
def author(tmp_path: Path) -> Author:
    made = Author(tmp_path / "author", tmp_path / "site.git")
    made.push(page="first")
    return made


def asked(author: Author, **given: Any) -> dict[str, Any]:
    return {"repository": str(author.bare), "version": "main", "path": str(author.place.with_name("source")), **given}


def test_main_checks_out_and_shows_no_secret(exit_of: Any, author: Author) -> None:
    ended = exit_of(main, **asked(author, token=SECRET))
    assert (ended.code, ended.result["changed"], ended.result["before"]) == (0, True, "")
    assert ended.result["after"] == author.git("rev-parse", "HEAD")
    assert ended.result["diff"]["after"] == f"{ended.result['after']}\n"
    assert SECRET not in ended.text
    assert not exit_of(main, **asked(author)).result["changed"]


def test_main_in_check_mode_asks_only(exit_of: Any, author: Author) -> None:
    ended = exit_of(main, check=True, **asked(author))
    assert ended.result["after"] == author.git("rev-parse", "HEAD")
    assert not author.place.with_name("source").exists()


@pytest.mark.parametrize("check", [True, False])
def test_only_a_real_run_remembers_a_server(
    exit_of: Any, author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    asked_with = tmp_path / "arguments"
    (tmp_path / "ssh").write_text(f'#!/bin/sh\necho "$*" >>{asked_with}\nexit 1\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert exit_of(main, check=check, **asked(author, repository="ssh://git.example.com/site")).code == 1
    assert "StrictHostKeyChecking=accept-new" in asked_with.read_text()
    assert ("UserKnownHostsFile=/dev/null" in asked_with.read_text()) == check


def test_main_fails_with_the_cause_and_the_variable(exit_of: Any, author: Author) -> None:
    ended = exit_of(main, **asked(author, version="mian"))
    assert ended.code == 1
    assert ended.result["msg"] == (
        f"mian of {author.bare} cannot be checked out into {author.place.with_name('source')}. "
        "The repository has no branch, tag or commit mian: check docker_vps_git_version. It has main."
    )


def test_main_refuses_a_key_that_yaml_made_something_else_of(exit_of: Any, author: Author) -> None:
    ended = exit_of(main, **asked(author, submodule_keys={"acme/ui": 4711}))
    assert "acme/ui in submodule_keys is a number" in ended.result["msg"]
