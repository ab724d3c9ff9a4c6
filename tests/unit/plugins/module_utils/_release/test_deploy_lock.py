# SPDX-License-Identifier: GPL-3.0-or-later
"""When a play may have the lock of an application; whose it is then, is tested with the action."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import Held, LockRules, Owner
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.deploy_lock import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, locked

NOW = 1_790_000_000.0
ANN = Owner("ann@desk", "deploy", "desk-1", "41:900", "vps1")
BOB = Owner("bob@ci", "update", "ci-7", "41:900", "vps1")


def asked(place: Path, owner: Owner = ANN) -> Params:
    return Params(str(place / "deploy.lock"), owner, LockRules(max_age=3600))


def test_it_is_held_from_then_on(tmp_path: Path) -> None:
    taken = {"changed": False, "held": True, "message": "", "interrupted": []}
    assert run(asked(tmp_path), NOW, check_mode=False) == taken
    with pytest.raises(Held, match="deploy of ann@desk"):
        run(asked(tmp_path, BOB), NOW, check_mode=False)
    assert run(asked(tmp_path), NOW, check_mode=False) == taken


def test_check_mode_says_who_has_it_and_takes_nothing(tmp_path: Path) -> None:
    assert run(asked(tmp_path), NOW, check_mode=True)["message"] == ""
    assert not (tmp_path / "deploy.lock").exists()
    run(asked(tmp_path), NOW, check_mode=False)
    assert run(asked(tmp_path), NOW + 60, check_mode=True)["message"] == ""
    result = run(asked(tmp_path, BOB), NOW + 60, check_mode=True)
    assert (result["held"], result["message"].startswith("deploy of ann@desk")) == (False, True)


def test_a_release_that_was_interrupted_is_named(tmp_path: Path) -> None:
    release = tmp_path / "releases/20260201-020000"
    release.mkdir(parents=True)
    (release / "journal.json").write_text("{}")
    assert run(asked(tmp_path), NOW, check_mode=True)["interrupted"] == ["20260201-020000"]


def refusing() -> dict[str, object]:
    raise DockerVpsError("This host cannot take it.", findings=[1])


def test_the_host_is_looked_at_under_the_lock(tmp_path: Path) -> None:
    seen: list[bool] = []

    def look() -> dict[str, object]:
        seen.append((tmp_path / "deploy.lock").exists())
        return {"live": "x"}

    assert run(asked(tmp_path), NOW, False, look)["host"] == {"live": "x"}
    with pytest.raises(Held):
        run(asked(tmp_path, BOB), NOW, False, look)
    assert seen == [True]


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_host_that_is_refused_leaves_the_lock_held(tmp_path: Path, check_mode: bool) -> None:
    with pytest.raises(DockerVpsError, match="cannot take it") as caught:
        run(asked(tmp_path), NOW, check_mode, refusing)
    assert (caught.value.evidence["held"], caught.value.evidence["findings"]) == (not check_mode, [1])
    assert (tmp_path / "deploy.lock").exists() is not check_mode


def test_what_was_interrupted_comes_first(tmp_path: Path) -> None:
    (tmp_path / "releases/20260201-020000").mkdir(parents=True)
    (tmp_path / "releases/20260201-020000/journal.json").write_text("{}")
    assert "host" not in run(asked(tmp_path), NOW, False, refusing)
    assert run(asked(tmp_path), NOW, True, lambda: {"live": "x"})["host"] == {"live": "x"}


@pytest.mark.parametrize("written", ["", "[]", "{}", '{"containers": []}', '{"containers": null}'])
def test_nothing_is_waited_for_that_has_halted_nothing(tmp_path: Path, written: str) -> None:
    folder = tmp_path / "sets/.partial-20260201-020000"
    folder.mkdir(parents=True)
    (folder / "journal.json").write_text(written)
    with locked(str(tmp_path / "sets/.lock"), "a backup"):
        assert run(replace(asked(tmp_path), backups=str(tmp_path / "sets")), NOW, check_mode=False)["held"]


def test_a_backup_that_has_halted_the_application_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "sets/.restore-20260201-020000"
    folder.mkdir(parents=True)
    (folder / "journal.json").write_text('{"containers": ["app"]}')
    params = replace(asked(tmp_path), backups=str(tmp_path / "sets"))
    with subprocess.Popen(["flock", "--no-fork", str(tmp_path / "sets/.lock"), "cat"], stdin=subprocess.PIPE) as holder:
        until = time.monotonic() + 10
        while not (tmp_path / "sets/.lock").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        with pytest.raises(Locked):
            run(params, NOW, check_mode=False)
        assert not (tmp_path / "deploy.lock").exists()
        holder.kill()
    assert run(params, NOW, check_mode=False)["held"]
