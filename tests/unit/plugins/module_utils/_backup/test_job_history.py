# SPDX-License-Identifier: GPL-3.0-or-later
"""The last runs of jobs, on disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.job_history import (
    UNKNOWN,
    Run,
    begun,
    read,
    record,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError

GOOD = Run("2026-01-31T02:00:00Z", True, 7.1, "Set 20260131-020000 of shop.")
BAD = Run("2026-02-01T02:00:00Z", False, 0.2, "The volume shop-db does not exist.")


def test_nothing_ran_where_nothing_is_written(tmp_path: Path) -> None:
    assert read(str(tmp_path)) == {}
    assert read(str(tmp_path / "nowhere")) == {}


def test_the_last_run_of_each_job_is_kept(tmp_path: Path) -> None:
    record(str(tmp_path), "backup", BAD)
    record(str(tmp_path), "drill", GOOD)
    record(str(tmp_path), "backup", GOOD)
    assert read(str(tmp_path)) == {"backup": GOOD, "drill": GOOD}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run-backup.json", ".run-drill.json"]
    assert (tmp_path / ".run-drill.json").stat().st_mode & 0o777 == 0o600
    given = json.loads((tmp_path / ".run-drill.json").read_text())
    assert {**given, "cautions": []} == {
        "at": "2026-01-31T02:00:00Z",
        "success": True,
        "seconds": 7.1,
        "message": "Set 20260131-020000 of shop.",
        "cautions": [],
    }


def test_cautions_are_kept_and_told(tmp_path: Path) -> None:
    run = replace(GOOD, cautions=("Gone.",))
    record(str(tmp_path), "backup", run)
    assert read(str(tmp_path)) == {"backup": run}
    assert [one.summary().split(",")[:2] for one in (run, GOOD, replace(BAD, cautions=("Gone.",)))] == [
        ["ok", " with a caution"],
        ["ok", " 2026-01-31T02:00:00Z"],
        ["FAILED", " 2026-02-01T02:00:00Z"],
    ]


def test_jobs_that_end_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    names = [f"job{number}" for number in range(20)]
    threads = [threading.Thread(target=record, args=(str(tmp_path), name, GOOD)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(str(tmp_path)) == dict.fromkeys(names, GOOD)


@pytest.mark.parametrize(
    "text", ["{", "[]", "1", '{"success": true}', "[" * 100_000, '{"at": 1, "success": 1, "seconds": 1}']
)
def test_a_damaged_record_is_a_failed_run_and_keeps_no_other_from_being_read(tmp_path: Path, text: str) -> None:
    record(str(tmp_path), "drill", GOOD)
    (tmp_path / ".run-backup.json").write_text(text)
    found = read(str(tmp_path))
    assert found["drill"] == GOOD
    assert not found["backup"].success
    assert ".run-backup.json cannot be read: it is damaged. Remove it; the next run" in found["backup"].message
    record(str(tmp_path), "backup", GOOD)
    assert read(str(tmp_path))["backup"] == GOOD


def test_a_pipe_in_the_place_of_a_record_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".run-backup.json")
    assert "it is a pipe or a device" in read(str(tmp_path))["backup"].message
    with begun(str(tmp_path), "backup"):
        record(str(tmp_path), "backup", GOOD)
    assert read(str(tmp_path)) == {"backup": GOOD}


def test_while_a_job_is_at_work_the_run_before_is_the_last(tmp_path: Path) -> None:
    for before in ({}, {"backup": GOOD}):
        with begun(str(tmp_path), "backup"):
            assert read(str(tmp_path)) == before
            with begun(str(tmp_path), "backup"):  # by hand, while the timer's is running
                pass
            assert read(str(tmp_path)) == before
            record(str(tmp_path), "backup", GOOD)
            assert read(str(tmp_path)) == {"backup": GOOD}
        assert read(str(tmp_path)) == {"backup": GOOD}


@pytest.mark.parametrize("before", [True, False])
def test_a_job_that_was_killed_has_failed(tmp_path: Path, before: bool) -> None:
    if before:
        record(str(tmp_path), "backup", GOOD)
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        with begun(str(tmp_path), "backup"):
            os.write(mouth, b".")
            signal.pause()
    os.read(ear, 1)
    assert read(str(tmp_path)) == ({"backup": GOOD} if before else {})
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = read(str(tmp_path))["backup"]
    assert (found.success, found.message) == (False, UNKNOWN)
    assert found.at > "2026-"
    assert found.summary().startswith(f"FAILED, {found.at}")


def test_a_run_that_finds_no_room_for_its_record_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(str(tmp_path), "backup", GOOD)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, begun(str(tmp_path), "backup"):
        patched.setattr(os, "fsync", full)
        with pytest.raises(DockerVpsError, match=r"cannot be written: No space left on device \(the disk at "):
            record(str(tmp_path), "backup", GOOD)
    assert not read(str(tmp_path))["backup"].success
    with begun(str(tmp_path / "nowhere"), "backup"):
        assert read(str(tmp_path / "nowhere")) == {}
