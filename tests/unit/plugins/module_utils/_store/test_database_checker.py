# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that examines databases holds nothing of ours, ends with us, and can be ended."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.databases import DAMAGED, NOT_CHECKED, SOUND
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.database_checker import (
    CheckLimits,
    DatabaseChecker,
    facts,
    own_limits,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import costly, filled, long_winded, nameless

KILLED = """
import sys
sys.path[:] = sys.argv[2:]
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.database_checker import DatabaseChecker
one = DatabaseChecker()
one.facts(sys.argv[1])
print(one._process.pid, flush=True)
sys.stdin.read()
"""


def process_of(examiner: DatabaseChecker) -> subprocess.Popen[bytes]:
    assert examiner._process is not None
    return examiner._process


def test_one_process_examines_one_after_the_other(tmp_path: Path) -> None:
    paths = [filled(tmp_path / f"{number}.db") for number in range(20)]
    with DatabaseChecker() as examiner:
        found = {(one.check, one.tables["t"]) for one in (examiner.facts(str(path)) for path in paths)}
        process = process_of(examiner)
        examiner.facts(str(paths[0]))
        assert process_of(examiner) is process
    assert found == {(SOUND, 3)}
    assert process.poll() is not None


def test_it_has_no_descriptor_of_ours_and_so_no_lock(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(lock, True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with DatabaseChecker() as examiner:
        examiner.facts(str(filled(tmp_path / "a.db")))
        process = process_of(examiner)
        assert sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"]
        os.close(lock)
        other = os.open(tmp_path / "lock", os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)


def test_it_ends_when_we_are_killed(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until and not ended(pid):
        time.sleep(0.01)
    assert ended(pid)


def ended(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_it_is_ended_when_it_takes_too_long_and_another_one_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DatabaseChecker() as examiner:
        examiner.facts(str(filled(tmp_path / "a.db")))
        first = process_of(examiner)
        os.kill(first.pid, signal.SIGSTOP)
        answer = examiner._asked({"path": "", "seconds": 0.0}, 0.05)
        assert answer == {"check": NOT_CHECKED, "why": "its check took longer than 0 seconds"}
        assert first.poll() == -signal.SIGKILL
        assert examiner.facts(str(tmp_path / "a.db")).check == SOUND
        assert process_of(examiner) is not first


def test_a_database_at_rest_is_given_up_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "still").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "still").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "still"))
    began = time.monotonic()
    with DatabaseChecker() as examiner:
        found = examiner.facts(str(filled(tmp_path / "a.db")), limits=CheckLimits(0.5, 128 << 20))
    assert (found.check, found.why) == (NOT_CHECKED, "its check took longer than 0.5 seconds")
    assert time.monotonic() - began < 5


def test_an_end_of_its_own_is_said(tmp_path: Path) -> None:
    with DatabaseChecker() as examiner:
        examiner.facts(str(filled(tmp_path / "a.db")))
        os.kill(process_of(examiner).pid, signal.SIGKILL)
        found = examiner.facts(str(tmp_path / "a.db"))
        assert (found.check, found.why) == (NOT_CHECKED, "the process that examined it ended with -9")
        assert (found.bytes, found.tables, found.journal_mode) == ((tmp_path / "a.db").stat().st_size, {}, "rollback")


def test_an_end_in_the_middle_of_an_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cut").write_text("""#!/bin/sh\nprintf '{"check": "sou'\n""")
    (tmp_path / "cut").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "cut"))
    found = facts(str(filled(tmp_path / "a.db")))
    assert (found.check, found.why) == (NOT_CHECKED, "the process that examined it ended with 0")


def test_a_costly_database_costs_seconds_and_little_memory(tmp_path: Path) -> None:
    path = costly(tmp_path / "a.db")
    with DatabaseChecker() as examiner:
        examiner.facts(str(filled(tmp_path / "b.db")))
        began = time.monotonic()
        found = examiner.facts(str(path), limits=CheckLimits(1.0, 128 << 20))
        assert found.check == NOT_CHECKED
        assert time.monotonic() - began < 8
        peak = next(
            line
            for line in Path(f"/proc/{process_of(examiner).pid}/status").read_text().splitlines()
            if "VmHWM" in line
        )
        assert int(peak.split()[1]) < 200 << 10
        assert examiner.facts(str(tmp_path / "b.db")).check == SOUND


def test_what_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    found = facts(str(nameless(tmp_path / "a.db")))
    assert (found.check, found.tables, found.uncounted) == (SOUND, {"t": 3}, ("ttt\\xff",))
    assert found.why == "some rows break rules of their tables: NULL value in ttt\\xff.n"


def test_no_name_makes_an_answer_long(tmp_path: Path) -> None:
    found = facts(str(long_winded(tmp_path / "a.db")))
    assert found.check == DAMAGED
    assert len(found.why) < 2100


def test_the_limits_grow_with_a_database_of_ones_own() -> None:
    small, large = own_limits(0), own_limits(10 << 30)
    assert (small.seconds, small.memory) == (120.0, 512 << 20)
    assert large.seconds > 10_000
    assert large.memory > small.memory


def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"x" * 4096)
    with pytest.raises(DockerVpsError, match="does not begin as an SQLite 3 database does"):
        facts(str(tmp_path / "a.db"))
