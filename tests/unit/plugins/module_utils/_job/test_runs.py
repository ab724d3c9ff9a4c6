# SPDX-License-Identifier: GPL-3.0-or-later
"""The last runs of jobs, on disk."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._job.runs import FILE, Run, read, record

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
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / FILE).read_text())["drill"] == {
        "at": "2026-01-31T02:00:00Z",
        "ok": True,
        "seconds": 7.1,
        "message": "Set 20260131-020000 of shop.",
        "cautions": [],
    }


def test_cautions_are_kept_and_told(tmp_path: Path) -> None:
    run = replace(GOOD, cautions=("Gone.",))
    record(str(tmp_path), "backup", run)
    assert read(str(tmp_path)) == {"backup": run}
    assert [one.told().split(",")[:2] for one in (run, GOOD, replace(BAD, cautions=("Gone.",)))] == [
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


@pytest.mark.parametrize("text", ["{", "[]", '{"backup": 1}', '{"backup": {"ok": true}}'])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DockerVpsError, match=f"{FILE} is damaged; remove it, and the next run"):
        read(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DockerVpsError, match="is damaged"):
        record(str(tmp_path), "backup", GOOD)
    assert len(os.listdir("/proc/self/fd")) == before
