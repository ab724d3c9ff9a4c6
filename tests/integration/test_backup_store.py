# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of both stores through the plays: damage is told of each set that has it and fixed, and no set is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from lab import SUPPORT, App, MakeApp, Played, docker, run

NAME = "it-backup-store"
ALL = {"docker_vps_backup_keep_last": 50}
ONE = {
    "docker_vps_backup_keep_last": 1,
    "docker_vps_backup_keep_daily": 0,
    "docker_vps_backup_keep_weekly": 0,
    "docker_vps_backup_keep_monthly": 0,
}
PHOTO = 3_000_000  # bytes

Facts = Mapping[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application with rows and uploads, whose sets are shared and stay."""
    app = make_app(NAME, docker_vps_backup_store="shared", **ALL)
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "first"}).status == 201
    for name in ("one", "two"):
        photo(app, name)
    return app


@pytest.fixture(autouse=True)
def older_sets_are_not_touched(app: App) -> Iterator[None]:
    """Whatever the plays do, what stays of a set's files is as it was: bytes, mode, owner, time and inode."""
    before = facts(app)
    yield
    after = facts(app)
    assert {name: after[name] for name in before if name in after} == {
        name: before[name] for name in before if name in after
    }


def facts(app: App) -> Facts:
    """Return what is to stay of archives, indexes and chunks; a manifest gets the results of drills."""
    found = {}
    for path in sorted(app.backups.glob("**/*")):
        if path.is_file() and not path.name.startswith((".", "manifest-", "runs")) and path.suffix != ".json":
            seen = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name = str(path.relative_to(app.backups))
            found[name] = (seen.st_ino, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, digest)
    return found


def media(app: App) -> Path:
    return Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{app.name}-media"))


def photo(app: App, name: str) -> None:
    (media(app) / f"{name}.jpg").write_bytes(os.urandom(PHOTO))


def content(app: App) -> dict[str, Any]:
    """Return the names of the vendors, and the uploads by their digests."""
    uploads = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in media(app).rglob("*") if path.is_file()
    }
    return {"vendors": app.get("/api/vendors").json, "uploads": uploads}


def sets(app: App) -> list[BackupSet]:
    """Return the sets, newest first."""
    return list(Sets(str(app.backups), NAME).listing().sets)


def backed_up(app: App, **variables: Any) -> BackupSet:
    app.playbook("backup", **variables).succeeded()
    return sets(app)[0]


def restored(app: App, **variables: Any) -> Played:
    return app.playbook("restore", docker_vps_restore_stop_app=True, **variables).succeeded()


def looked_at(app: App, level: str = "full") -> Played:
    """Verify all sets, so that the play fails when something is wrong with one."""
    given = {"docker_vps_backup_verify": level, "docker_vps_backup_fail_on_problems": True}
    return app.playbook("backup_list", **given)


def chunks(app: App) -> dict[str, int]:
    """Return the chunks with their sizes in bytes."""
    return {path.name: path.stat().st_size for path in (app.backups / "chunks").iterdir()}


@contextmanager
def elsewhere(app: App) -> Iterator[None]:
    """Let there be no set, as on another host."""
    away = app.backups.with_name(f"{NAME}-away")
    app.backups.rename(away)
    try:
        yield
    finally:
        shutil.rmtree(app.backups, ignore_errors=True)
        away.rename(app.backups)


def test_damage_in_a_shared_chunk_is_told_of_each_set_and_mended(app: App) -> None:
    first = backed_up(app)
    assert {archive.shared for archive in first.manifest.archives} == {True}
    assert [*app.backups.glob("*.tar*")] == []
    before = chunks(app)
    photo(app, "three")
    second = backed_up(app)
    added = sum(size for name, size in chunks(app).items() if name not in before)
    assert PHOTO <= added < PHOTO + 200_000
    looked_at(app).succeeded()

    place = app.backups / "chunks" / max(before, key=lambda name: before[name])
    data = place.read_bytes()
    damaged = bytes([data[0] ^ 1]) + data[1:]
    place.write_bytes(damaged)
    told = looked_at(app, "checksum").failed().text
    for one in (first, second):
        assert f"{one.manifest.id}: " in told
    assert f"The chunk {place}, which sets share, is not what was written" in told
    app.playbook("backup_export", docker_vps_export_directory=str(app.scratch / "damaged")).failed()

    backed_up(app, docker_vps_backup_reread=1)
    assert place.read_bytes() == data
    looked_at(app).succeeded()


def test_drill_restore_undo_and_export(app: App, tmp_path: Path) -> None:
    backed_up(app)
    before = content(app)
    assert "is verified" in app.playbook("restore_drill").succeeded().text
    assert app.post("/api/vendors", {"name": "later"}).status == 201
    photo(app, "later")
    changed = content(app)
    assert changed != before
    to = tmp_path / "export"
    asked = {"docker_vps_export_directory": str(to)}
    assert "would be written into" in app.playbook("backup_export", "--check", **asked).succeeded().text
    assert not to.exists()
    assert app.playbook("backup_export", **asked).succeeded().recap["changed"] == 1
    again = app.playbook("backup_export", **asked).succeeded()
    assert again.recap["changed"] == 0
    assert "is already in" in again.text
    run("tar", "tzf", str(next(to.glob("media-*.tar.gz"))))

    restored(app)
    assert content(app) == before
    restored(app, docker_vps_restore_undo=True)
    assert content(app) == changed

    with elsewhere(app):
        restored(app, docker_vps_backup_directory=str(to))
        assert content(app) == before


def test_from_one_store_to_the_other_and_back_no_set_is_lost(app: App) -> None:
    states = []
    for number, store in enumerate(["shared", "files", "files", "shared"]):
        if number != 2:
            assert app.post("/api/vendors", {"name": f"vendor {number}"}).status == 201
            photo(app, f"photo {number}")
        states.append((backed_up(app, docker_vps_backup_store=store), content(app)))
    kinds = [{archive.shared for archive in one.manifest.archives} for one, _content in states]
    assert kinds == [{True}, {False}, {False}, {True}]
    same = [Path(one.path(one.manifest.archives[1])) for one, _content in states[1:3]]
    assert same[0].samefile(same[1])
    before = facts(app)
    looked_at(app).succeeded()
    for one, then in states:
        restored(app, docker_vps_restore_set=one.manifest.id)
        assert content(app) == then
    assert facts(app) == before


def test_sets_of_both_kinds_off_site_and_back(app: App, tmp_path: Path) -> None:
    run(str(SUPPORT / "packages.sh"), "restic")
    repository = {
        "docker_vps_backup_offsite_repository": str(tmp_path / "repository"),
        "docker_vps_backup_offsite_password": "password-of-the-repository",
    }
    backed_up(app, **repository)
    before = content(app)
    photo(app, "newer")
    with elsewhere(app):
        restored(app, docker_vps_restore_from_offsite=True, **repository)
        assert content(app) == before


def test_prune_frees_what_no_set_has_any_more(app: App) -> None:
    first = backed_up(app)
    for path in media(app).glob("*.jpg"):
        path.unlink()
    photo(app, "the only one")
    before = chunks(app)
    last = backed_up(app, **ONE, docker_vps_backup_accept_loss=True)
    assert [one.manifest.id for one in sets(app)] == [last.manifest.id] != [first.manifest.id]
    after = chunks(app)
    indexes = [index for index in map(last.index, last.manifest.archives) if index]
    used = {chunk.sha256 for index in indexes for chunk in index.chunks}
    assert set(after) == used
    assert sum(after.values()) < PHOTO + 1_000_000 < sum(before.values())
    assert [*app.backups.glob("*.tar*")] == []
    looked_at(app).succeeded()
