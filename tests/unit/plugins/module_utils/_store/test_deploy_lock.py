# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the lock of an application."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import (
    Held,
    Lock,
    LockRules,
    Owner,
    parse,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import deploy_lock

ME = Owner("me@here", "deploy", "here", "1:2", "vps")
OTHER = Owner("other@there", "update", "there", "3:4", "vps")
RULES = LockRules(3600)
NOW = 1_790_000_000.9


def test_it_is_written_for_its_owner_only_and_says_who(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    path.touch(0o644)
    lock, message = deploy_lock.take(str(path), ME, RULES, NOW)
    assert (lock, message) == (Lock(ME, int(NOW)), "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert parse(path.read_text()) == lock == deploy_lock.look(str(path))


def test_a_missing_directory_is_made_and_that_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "shop/deploy.lock"
    assert deploy_lock.take(str(path), ME, RULES, NOW)[0].made_directory is True
    # Also by the one that takes it over.
    assert deploy_lock.take(str(path), OTHER, LockRules(0, force=True), NOW)[0].made_directory is True
    assert path.parent.stat().st_mode & 0o777 == 0o750


def test_the_second_is_refused_and_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    deploy_lock.take(str(path), ME, RULES, NOW)
    before = path.read_bytes()
    with pytest.raises(Held, match="deploy of me@here"):
        deploy_lock.take(str(path), OTHER, RULES, NOW + 5)
    assert path.read_bytes() == before


def test_garbage_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    path.write_bytes(b"\xff\x00garbage" * 5000)
    lock, message = deploy_lock.take(str(path), ME, RULES, NOW)
    assert "was damaged" in message
    assert parse(path.read_text()) == lock


def test_nobody_holds_what_is_not_there_or_garbage(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    assert deploy_lock.look(str(path)) is None
    assert not path.exists()
    path.write_bytes(b"\xff")
    assert deploy_lock.look(str(path)) is None


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    path = str(tmp_path / "deploy.lock")
    got: list[int] = []

    def attempt(number: int) -> None:
        try:
            deploy_lock.take(path, Owner("x", "x", "here", str(number), "vps"), RULES, NOW)
        except Held:
            return
        got.append(number)

    attempts = [threading.Thread(target=attempt, args=(number,)) for number in range(16)]
    for one in attempts:
        one.start()
    for one in attempts:
        one.join()
    assert len(got) == 1
    there = deploy_lock.look(path)
    assert there is not None
    assert there.owner.process == str(got[0])


@pytest.mark.parametrize("anew", [True, False])
def test_a_file_that_is_released_meanwhile_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    path = tmp_path / "deploy.lock"
    flock = fcntl.flock

    def release_first(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        if anew:
            path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", release_first)
    deploy_lock.take(str(path), OTHER, RULES, NOW)
    there = deploy_lock.look(str(path))
    assert there is not None
    assert there.owner == OTHER


def test_a_process_that_never_lets_go_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.lock"
    path.touch()
    monkeypatch.setattr(deploy_lock, "EXCHANGED_WITHIN", 0.0)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DockerVpsError, match="has .*deploy.lock open and locked"):
            deploy_lock.take(str(path), ME, RULES, NOW)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "deploy.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DockerVpsError, match="cannot be written"):
        deploy_lock.take(str(tmp_path / "deploy.lock"), ME, RULES, NOW)
    assert not (tmp_path / "victim").exists()


def test_it_is_given_back_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deploy.lock"
    deploy_lock.take(str(path), ME, RULES, NOW)
    deploy_lock.give_back(str(path), OTHER)
    assert path.exists()
    deploy_lock.give_back(str(path), ME)
    assert not path.exists()
    deploy_lock.give_back(str(path), ME)
    assert not path.exists()
