# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of releases, and the link that says which one is live."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import Release
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import releases as code
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import Kept
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases

ONE = Release("20260201-020000", "2026-02-01T02:00:00Z", "shop:1", "sha256:1", "e1", "d1")
ENV = Kept("WORD=x\n", 0o640, os.geteuid(), os.getegid())


def mode(path: object) -> int:
    return os.stat(str(path)).st_mode & 0o777


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    one = Releases(str(tmp_path / "opt"), str(tmp_path / "opt/.env"))
    one.prepare()
    return one


def begun(releases: Releases, release_id: str = ONE.id) -> Release:
    one = Release(**{**vars(ONE), "id": release_id})
    releases.begin(one, "services: {}\n", ENV)
    return one


@pytest.mark.parametrize("before", ["", "services: {old: {}}\n"])
def test_the_difference_of_the_definitions(tmp_path: Path, before: str) -> None:
    path = tmp_path / "compose.yml"
    if before:
        path.write_text(before)
    assert Releases(str(tmp_path), "/x").definition_diff("services: {}\n") == {
        "before": before,
        "after": "services: {}\n",
        "before_header": str(path),
        "after_header": str(path),
    }


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    one = Releases(str(tmp_path / "opt"), "/x")
    assert (one.listing(), one.current(), one.unfinished(), one.read("x")) == ([], "", [], None)
    assert list(tmp_path.iterdir()) == []


def test_directories_are_made_for_root_alone(releases: Releases) -> None:
    assert (mode(releases.home), mode(releases.directory)) == (0o750, 0o700)
    releases.prepare()


def test_a_release_is_begun(releases: Releases) -> None:
    one = begun(releases)
    folder = os.path.join(releases.directory, one.id)
    assert {name: mode(f"{folder}/{name}") for name in os.listdir(folder)} == {
        "release.json": 0o600,
        "compose.yml": 0o640,
        ".env.production": 0o640,
    }
    assert mode(folder) == 0o700
    assert releases.read(one.id) == one
    assert releases.has_log(one.id) is False


def test_the_newest_comes_first_and_what_was_not_written_down_is_none(releases: Releases) -> None:
    for number in (2, 1, 3):
        begun(releases, f"{number}")
    os.mkdir(f"{releases.directory}/4")
    releases.make_current("2")
    assert [one.id for one in releases.listing()] == ["3", "2", "1"]


def test_one_that_cannot_be_read_is_told(releases: Releases) -> None:
    begun(releases)
    Path(releases.path(ONE.id, "release.json")).write_text("{")
    with pytest.raises(DockerVpsError, match="is not a release"):
        releases.listing()


def test_the_live_one_changes_in_one_step(releases: Releases) -> None:
    os.symlink("left by a killed run", f"{releases.directory}/current.partial")
    for name in ("1", "2"):
        releases.make_current(name)
        assert releases.current() == name
        assert os.readlink(f"{releases.directory}/current") == name
    assert sorted(os.listdir(releases.directory)) == ["current"]


def test_files_are_put_live_with_their_modes_only_where_they_differ(releases: Releases) -> None:
    begun(releases)
    releases.put_live(ONE.id)
    env = Path(releases.live[".env.production"])
    assert (env.read_text(), mode(env), env.name) == ("WORD=x\n", 0o640, ".env")
    assert Path(releases.live["compose.yml"]).read_text() == "services: {}\n"
    before = env.stat().st_ino
    releases.put_live(ONE.id)
    assert env.stat().st_ino == before
    env.chmod(0o644)
    releases.put_live(ONE.id)
    assert mode(env) == 0o640


def test_what_was_written_since_stays_when_a_failed_one_goes(releases: Releases) -> None:
    begun(releases, "1")
    begun(releases, "2")
    Path(releases.path("2", ".env.production")).write_text("WORD=y\n")
    Path(releases.path("2", "compose.yml")).write_text("services: {app: {}}\n")
    env, compose = (Path(releases.live[name]) for name in (".env.production", "compose.yml"))
    for written, stays in (("WORD=y\n", "WORD=x\n"), ("WORD=z\n", "WORD=z\n"), ("WORD=x\n", "WORD=x\n")):
        releases.put_live("2")
        env.write_text(written)
        releases.put_live("1", instead_of="2")
        assert (env.read_text(), compose.read_text()) == (stays, "services: {}\n")


def test_files_that_are_gone_cannot_be_put_live(releases: Releases) -> None:
    begun(releases)
    os.unlink(releases.path(ONE.id, "compose.yml"))
    with pytest.raises(DockerVpsError, match=f"compose.yml is gone, so the release {ONE.id} cannot be put live"):
        releases.put_live(ONE.id)


def test_a_log_is_kept(releases: Releases) -> None:
    begun(releases)
    path = releases.keep_log(ONE.id, "hello\n")
    assert (Path(path).read_text(), mode(path), releases.has_log(ONE.id)) == ("hello\n", 0o600, True)


def test_unfinished_ones(releases: Releases) -> None:
    for name in ("1", "2", "3"):
        begun(releases, name)
    Path(releases.path("2", "journal.json")).touch()
    assert releases.unfinished() == ["2"]


def test_one_is_forgotten(releases: Releases) -> None:
    begun(releases)
    releases.forget(ONE.id)
    releases.forget("never was")
    assert os.listdir(releases.directory) == []


def test_one_at_a_time(releases: Releases) -> None:
    message = "a rollback of shop: a release of shop"
    with releases.lock("a release of shop", 0), pytest.raises(Locked, match=message), releases.lock(
        "a rollback of shop", 0
    ):
        raise AssertionError("two at once")


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "releases").write_text("")
    one = Releases(str(tmp_path), "/x")
    with pytest.raises(DockerVpsError, match=r"releases cannot be read: Not a directory\. See with ls -l"):
        one.unfinished()


def test_a_directory_of_somebody_else_is_told(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    chmod: Callable[..., None] = refuse
    monkeypatch.setattr(code.os, "chmod", chmod)
    with pytest.raises(DockerVpsError, match="cannot be kept for its owner: Operation not permitted"):
        releases.prepare()


PLACE = "/opt/shop/releases/{release}/secrets/WORD"


@pytest.fixture
def secret(releases: Releases) -> Release:
    """A release whose container has a value as a file."""
    one = Release(**{**vars(ONE), "secrets": ("WORD",)})
    env = Kept(f"WORD=x\nOTHER=y\nPUID={os.geteuid()}\nPGID={os.getegid()}\n", 0o600, os.geteuid(), os.getegid())
    releases.begin(one, f"file: {PLACE}\n", env)
    releases.put_live(one.id)
    releases.make_current(one.id)
    return one


def test_secrets_are_files_of_their_release(releases: Releases, secret: Release) -> None:
    folder = Path(releases.directory, ONE.id)
    assert (folder / "secrets/WORD").read_text() == "x"
    assert (mode(folder / "secrets"), mode(folder / "secrets/WORD")) == (0o700, 0o400)
    given = (folder / "container.env").read_text()
    assert given == f"OTHER=y\nPUID={os.geteuid()}\nPGID={os.getegid()}\nWORD_FILE=/run/secrets/WORD\n"
    assert mode(folder / "container.env") == 0o600
    assert Path(releases.live["compose.yml"]).read_text() == f"file: /opt/shop/releases/{ONE.id}/secrets/WORD\n"
    assert releases.definition_diff(f"file: {PLACE}\n")["before"] == f"file: {PLACE}\n"
    assert releases.read(ONE.id) == secret
    assert releases.unreleased() == []


def test_secrets_that_are_gone_are_made_again(releases: Releases, secret: Release) -> None:
    path = Path(releases.path(ONE.id, "secrets/WORD"))
    for spoil in (path.unlink, lambda: path.chmod(0o444), lambda: path.write_text("z")):
        path.exists() and path.chmod(0o600)
        spoil()
        assert releases.unreleased() == releases.put_back() == [str(path)]
        assert (path.read_text(), mode(path)) == ("x", 0o400)
    assert os.listdir(path.parent) == ["WORD"]  # nothing is kept of what lay there


def test_what_a_container_has_mounted_stays(releases: Releases, secret: Release) -> None:
    before = os.stat(releases.path(ONE.id, "secrets/WORD"))
    env = Kept("WORD=new\nPUID=1000\nPGID=1000\n", 0o600, os.geteuid(), os.getegid())
    releases.begin(Release(**{**vars(secret), "id": "2"}), "services: {}\n", env)
    releases.put_live("2")
    assert os.stat(releases.path(ONE.id, "secrets/WORD")) == before
    assert os.stat(releases.path("2", "secrets/WORD")).st_uid == 1000
    releases.put_live(ONE.id, instead_of="2")
    assert os.stat(releases.path(ONE.id, "secrets/WORD")) == before
