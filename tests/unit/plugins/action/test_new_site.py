# SPDX-License-Identifier: GPL-3.0-or-later
"""The action new_site: which files a site has, what is refused, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Sequence

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.new_site import (
    EXAMPLE,
    FILLED,
    ActionModule,
    filled,
    scalar,
)
from ansible_collections.ptnextjs.docker_vps.tests.support.sites import VALUES
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import docs
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

HOSTS, VARIABLES = FILLED


def acted(check: bool = False, diff: bool = False, extra: Sequence[str] = (), **arguments: Any) -> dict[str, Any]:
    task = Task()
    task.get_variable_manager = lambda: SimpleNamespace(extra_vars=dict.fromkeys(extra))
    task.args, task.async_val, task.check_mode, task.diff = {**VALUES, **arguments}, 0, check, diff
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    return ActionModule(task, connection, None, None, None, None).run()  # type: ignore[no-any-return]


def files_in(place: Path) -> dict[str, str]:
    return {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()}


def refusal(**arguments: Any) -> str:
    with pytest.raises(AnsibleActionFail) as caught:
        acted(**arguments)
    return str(caught.value.message)


def test_what_is_returned_is_what_is_documented(tmp_path: Path) -> None:
    assert set(acted(directory=str(tmp_path))) == set(docs("new_site", "RETURN")) | {"changed"}


def test_a_site_has_the_files_of_the_example(tmp_path: Path) -> None:
    result = acted(directory=str(tmp_path / "deep/shop"))
    made = files_in(tmp_path / "deep/shop")
    assert result["changed"] is True
    assert result["written"] == sorted(made)
    assert made == {**files_in(EXAMPLE), "requirements.txt": (ROOT / "requirements.txt").read_text()}
    assert (tmp_path / "deep/shop/deploy.yml").stat().st_mode & 0o777 == 0o644
    assert result["summary"][0] == f"{len(made)} files are new in {tmp_path}/deep/shop."


def test_a_second_time_nothing_changes(tmp_path: Path) -> None:
    acted(directory=str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = acted(directory=str(tmp_path), diff=True)
    assert (again["changed"], again["written"], again["kept"], "diff" in again) == (False, [], [], False)
    assert again["summary"][0] == f"No file is missing in {tmp_path}."
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_what_somebody_edited_is_left_alone_and_listed(tmp_path: Path) -> None:
    acted(directory=str(tmp_path))
    (tmp_path / "README.md").write_text("Ours.\n")
    (tmp_path / "deploy.yml").unlink()
    again = acted(directory=str(tmp_path), host="vps2.example.com")
    assert (again["written"], again["kept"]) == (["deploy.yml"], ["README.md", HOSTS])
    assert (tmp_path / "README.md").read_text() == "Ours.\n"
    assert "vps2" not in (tmp_path / HOSTS).read_text()
    assert again["summary"][:2] == [
        f"1 file is new in {tmp_path}.",
        "Left as they are, since they differ from what new_site writes: README.md, prod/hosts.yml. "
        "To have one rewritten, move it away and run the same play again.",
    ]


def test_check_and_diff_tell_what_a_run_then_does(tmp_path: Path) -> None:
    place = tmp_path / "shop"
    asked = acted(check=True, diff=True, directory=str(place))
    assert not place.exists()
    assert asked["summary"] == [f"{len(asked['written'])} files would be new in {place}."]
    assert {one["before"] for one in asked["diff"]} == {""}
    made = acted(directory=str(place))
    assert (asked["changed"], asked["written"]) == (made["changed"], made["written"])
    shown = {one["after_header"]: one["after"] for one in asked["diff"]}
    assert shown == {str(place / name): text for name, text in files_in(place).items()}


def test_a_directory_is_found_from_where_the_play_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert acted(check=True)["directory"] == str(tmp_path / "site")
    assert acted(check=True, directory="sites/a")["directory"] == str(tmp_path / "sites/a")
    assert acted(check=True, directory="~/a")["directory"] == str(tmp_path / "home/a")


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    wrong = {
        "site": "Shop",
        "host": "",
        "repository": "https://me:s3cr3t@git.example.com/a.git",
        "url": "www.example.com",
    }
    message = refusal(directory=str(tmp_path / "shop"), **wrong)
    assert message.startswith("Nothing was written, because host is missing: give it, as in -e host=")
    assert "site must be a name of small letters, digits, dashes and underscores, but is 'Shop'." in message
    assert "repository must be a git URL without a password or token" in message
    assert "url must be an http:// or https:// address with a host name, but is 'www.example.com'." in message
    assert "s3cr3t" not in message
    assert not (tmp_path / "shop").exists()


def test_a_variable_that_would_go_nowhere_is_refused(tmp_path: Path) -> None:
    message = refusal(directory=str(tmp_path / "shop"), extra=["site", "docker_vps_git_version", "other"])
    assert message == (
        "Nothing was written, because new_site does not read docker_vps_git_version: "
        f"write it into {VARIABLES} of the site afterwards."
    )


def test_a_place_that_takes_no_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be read: Not a directory" in refusal(directory=str(tmp_path / "file"))
    (tmp_path / "shop/deploy.yml").mkdir(parents=True)
    assert "deploy.yml cannot be read: Is a directory" in refusal(directory=str(tmp_path / "shop"))
    assert os.listdir(tmp_path / "shop") == ["deploy.yml"]


@pytest.mark.parametrize("path", ["", "shop", "shop/prod/group_vars"])
def test_a_dry_run_tells_what_cannot_be_written(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / path
    closed.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(os, "access", lambda folder, mode: folder != str(closed))  # root may write everywhere
    message = refusal(check=True, directory=str(tmp_path / "shop"))
    assert message == f"Nothing can be written into {closed}. Give another directory with -e directory=PATH."


def test_a_dry_run_of_a_whole_site_needs_no_writable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acted(directory=str(tmp_path))
    monkeypatch.setattr(os, "access", lambda _folder, _mode: False)
    assert acted(check=True, directory=str(tmp_path))["changed"] is False


@pytest.mark.parametrize(
    ("host", "name", "variables"),
    [
        ("vps1.example.com", "vps1.example.com", {"ansible_user": "root"}),
        ("root@203.0.113.9", "203.0.113.9", {"ansible_user": "root"}),
        ("deploy@vps1", "vps1", {"ansible_user": "deploy", "ansible_become": True}),
        ("no@1", "1", {"ansible_user": "no", "ansible_become": True}),
        ("2001:db8::1", "2001:db8::1", {"ansible_user": "root"}),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", {"ansible_user": "root"}),
        ("::1", "::1", {"ansible_user": "root"}),
        ("me@localhost", "localhost", {"ansible_user": "me", "ansible_become": True}),
    ],
)
def test_a_host_is_in_the_inventory_as_it_was_given(
    host: str, name: str, variables: dict[str, Any], tmp_path: Path
) -> None:
    acted(directory=str(tmp_path), host=host)
    inventory = InventoryManager(loader=DataLoader(), sources=[str(tmp_path / HOSTS)])
    (found,) = inventory.get_groups_dict()["docker_vps"]
    assert found == name
    kept = inventory.get_host(found).vars.items()
    assert {key: value for key, value in kept if not key.startswith("inventory_")} == variables


def test_localhost_is_this_machine_without_ssh() -> None:
    hosts = yaml.safe_load(filled({**VALUES, "host": "localhost"})[HOSTS])["docker_vps"]["hosts"]
    assert hosts["localhost"]["ansible_connection"] == "local"
    assert hosts["localhost"]["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"


@pytest.mark.parametrize("site", ["true", "no", "1", "1_000", "0x1f", "1e5", "null", "2026-01-31", "shop"])
def test_a_name_stays_a_string(site: str) -> None:
    assert yaml.safe_load(filled({**VALUES, "site": site})[VARIABLES])["docker_vps_app"] == site


@pytest.mark.parametrize(
    "value", ["git@git.example.com:acme/a.git", "a: b", "a #b", "'", "a\nb: c", "é", "😀", " a", "[", ""]
)
def test_any_string_is_the_same_in_yaml(value: str) -> None:
    assert yaml.safe_load(f"key: {scalar(value)}") == {"key": value}


@pytest.mark.parametrize("name", FILLED)
@pytest.mark.parametrize("host", ["vps1", "deploy@vps1", "localhost"])
def test_what_is_filled_in_is_tidy(name: str, host: str) -> None:
    text = filled({**VALUES, "host": host})[name]
    assert text.startswith("---\n")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert [line for line in text.splitlines() if line != line.rstrip() or len(line) > 120] == []
