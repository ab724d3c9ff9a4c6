# SPDX-License-Identifier: GPL-3.0-or-later
"""How restic is called, what its answers mean, and that no secret gets out. tests/integration has the real one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import Restic, ResticSnapshot
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeProgram

REPOSITORY = "rest:https://user:l%40g1n-word@backup.example.com:8000/shop"
PASSWORD = "the pa55word"
KEY = "s3cr3t-key"
SECRETS = ("l%40g1n-word", "l@g1n-word", PASSWORD, KEY)
TIME = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
ONE = ResticSnapshot("ab" * 32, "db.tar", "web1", ("app=shop",))
# Said by restic 0.14.0 and 0.18.0.
LOCKED = (
    "unable to create lock in backend: repository is already locked by PID 23188 on vm by root (UID 0, GID 0)\n"
    "lock was created at 2026-11-24 22:58:58 (2.465312295s ago)\nstorage ID 6f7953d4\n"
    "the `unlock` command can be used to remove stale locks\n"
)
REFUSED = 'client.Head: Head "http://u:***@127.0.0.1:9/config": dial tcp 127.0.0.1:9: connect: connection refused'
WHERE = "Is there a repository at the following location?\nrest:http://u:***@127.0.0.1:9/\n"
TRACE = """Remove(<snapshot/ee99b21953>) returned error, retrying after 552.330144ms: blob not removed
unable to remove <snapshot/ee99b21953> from the repository
blob not removed, server response: 403 Forbidden (403)
github.com/restic/restic/internal/backend/rest.(*Backend).Remove
\tgithub.com/restic/restic/internal/backend/rest/rest.go:399
runtime.goexit
\truntime/asm_amd64.s:1594
"""
REFUSED_QUIETLY = """Remove(<snapshot/2b1d8acea2>) failed: unexpected HTTP response (403): 403 Forbidden
unable to remove snapshot/2b1d8acea22906d675b598812437d4487401d7ab86af97e5e444e61d20f6d18c from the repository
"""


@pytest.fixture
def program(tmp_path: Path) -> FakeProgram:
    return FakeProgram(tmp_path)


def restic_of(program: FakeProgram, **more: Any) -> Restic:
    given: Mapping[str, Any] = {
        "environment": {"AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "eu"},
        "options": {},
        **more,
    }
    return Restic(REPOSITORY, PASSWORD, program=program.path, **given)


def test_secrets_are_in_the_environment_only(program: FakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD_FILE", "/etc/of-somebody-else")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert restic_of(program, options={"sftp.command": "ssh -p 2222 backup"}).exists()
    ((arguments, environment, given, own_session),) = program.calls()
    assert arguments == ["--option=sftp.command=ssh -p 2222 backup", "cat", "config"]
    assert environment["RESTIC_REPOSITORY"] == REPOSITORY
    assert environment["RESTIC_PASSWORD"] == PASSWORD
    assert environment["AWS_SECRET_ACCESS_KEY"] == KEY
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert (environment["LC_ALL"], environment["TZ"]) == ("C", "UTC")
    assert "RESTIC_PASSWORD_FILE" not in environment
    assert (given, own_session) == ("", True)


def test_what_may_be_shown(program: FakeProgram) -> None:
    restic = restic_of(program)
    assert restic.name == "rest:https://user:***@backup.example.com:8000/shop"
    assert sorted(restic.secrets) == sorted(SECRETS)  # eu is too short to be one
    raw = Restic("rest:https://u:pa/ss#w@example.com/shop", "", {}, {})
    assert (raw.name, raw.secrets) == ("rest:https://u:***@example.com/shop", ["pa/ss#w"])
    for plain in ("sftp:backup@example.com:/srv/x", "s3:https://s3.example.com/bucket", "/srv/restic"):
        assert Restic(plain, "", {}, {}).name == plain
        assert Restic(plain, "", {}, {}).secrets == []


@pytest.mark.parametrize(
    "output",
    [
        "Fatal: unable to open config file: stat /srv/x/config: no such file or directory\n" + WHERE,
        "Fatal: unable to open config file: <config/> does not exist\n" + WHERE,
        "Fatal: repository does not exist: unable to open config file: stat /x/config: no such file or directory\n",
        "Fatal: unable to open config file: Stat: The specified key does not exist.\n" + WHERE,
    ],
)
def test_a_repository_that_is_not_there(program: FakeProgram, output: str) -> None:
    program.answer(cat={"code": 1, "err": output})
    assert not restic_of(program).exists()


@pytest.mark.parametrize(
    ("output", "cause", "step"),
    [
        ("Fatal: wrong password or no key found\n", ": wrong password or no key found. ", "Give the password"),
        (
            json.dumps({"message_type": "exit_error", "code": 12, "message": "Fatal: wrong password or no key found"}),
            ": wrong password or no key found. ",
            "Give the password",
        ),
        (f"Fatal: unable to open config file: {REFUSED}\n{WHERE}", "connection refused. ", "Is the storage up"),
        (
            f"Fatal: unable to open config file: unexpected HTTP response (401): 401 Unauthorized\n{WHERE}",
            "401 Unauthorized. ",
            "Correct the user",
        ),
        (
            "subprocess ssh: ssh: connect to host 127.0.0.1 port 22: Connection refused\n"
            "Fatal: unable to open repository at sftp:u@127.0.0.1:/x: unable to start the sftp session, error: EOF\n",
            "port 22: Connection refused. ",
            "Is the storage up",
        ),
        ("subprocess ssh: Host key verification failed.\n", "Host key verification failed. ", "known_hosts"),
        ("subprocess ssh: u@h: Permission denied (publickey).\n", "denied (publickey). ", "Correct the credentials"),
        ("Fatal: create repository at rest:x failed: Fatal: no\n", "create repository at rest:x failed", "Is the"),
        ("[1]\n", ": [1]. ", "Is the storage up"),
        ("", ": it ended with 1 and said nothing. ", "Is the storage up"),
    ],
)
def test_why_it_cannot_be_opened(program: FakeProgram, output: str, cause: str, step: str) -> None:
    program.answer(cat={"code": 1, "err": output})
    restic = restic_of(program)
    with pytest.raises(DockerVpsError) as caught:
        restic.exists()
    assert caught.value.message.startswith(f"restic cannot open {restic.name}: ")
    assert cause in caught.value.message
    assert step in caught.value.message
    assert "\n" not in caught.value.message


def test_secrets_in_what_restic_says_are_masked(program: FakeProgram) -> None:
    program.answer(cat={"code": 1, "err": f"Fatal: {' '.join(SECRETS)} in eu\n"})
    with pytest.raises(DockerVpsError, match=r": \*\*\* \*\*\* \*\*\* \*\*\* in eu\. "):
        restic_of(program).exists()


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (f"Stat(<config/>) returned error, retrying after 942.168107ms: {REFUSED}\n", f": {REFUSED}. Is"),
        ("", ": no answer within 1 s. Is"),
    ],
)
def test_patience_ends(program: FakeProgram, output: str, cause: str) -> None:
    program.answer(cat={"err": output, "sleeps": 60})
    with pytest.raises(DockerVpsError) as caught:
        restic_of(program, patience=1).exists()
    assert cause in caught.value.message
    assert program.calls() == []


def test_it_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"cannot be started: No such file.*apt-get install restic\."):
        Restic(REPOSITORY, PASSWORD, {}, {}, program=str(tmp_path / "restic")).exists()


def test_make_one(program: FakeProgram) -> None:
    restic_of(program).create()
    assert [call[0] for call in program.calls()] == [["init"]]
    program.answer(init={"code": 1, "err": "Fatal: create repository at x failed: bucket does not exist\n"})
    with pytest.raises(DockerVpsError, match="restic cannot make rest:.*bucket does not exist"):
        restic_of(program).create()


def test_list_snapshots(program: FakeProgram) -> None:
    rows: list[dict[str, Any]] = [
        {"id": ONE.id, "paths": ["/db.tar"], "tags": ["app=shop"], "hostname": "web1", "time": "2026-01-31T02:00:00Z"},
        {"id": "1", "paths": ["/db.tar"], "hostname": "web1", "original": ONE.id},
        {"id": "2", "paths": ["/srv/db.tar"], "hostname": "web1"},
        {"id": "3", "paths": ["/etc", "/home"], "tags": None},
        {"id": "4", "paths": None},
    ]
    program.answer(snapshots={"out": json.dumps(rows)})
    assert restic_of(program).snapshots() == [
        ONE,
        ResticSnapshot("1", "db.tar", "web1", (), touched=True),
        ResticSnapshot("2", "", "web1", ()),
        ResticSnapshot("3", "", "", ()),
        ResticSnapshot("4", "", "", ()),
    ]
    (call,) = program.calls()
    assert call[0] == ["snapshots", "--json", "--no-lock"]
    program.answer(snapshots={"out": "null"})
    assert restic_of(program).snapshots() == []


def test_save_a_file(program: FakeProgram) -> None:
    summary = {"message_type": "summary", "snapshot_id": "9b87ab0b", "data_added": 300, "total_bytes_processed": 12}
    program.answer(backup={"out": f"{json.dumps({'message_type': 'status'})}\n{json.dumps(summary)}\n"})
    tags = ["app=shop", "set=20260131-020000"]
    assert restic_of(program).save("db.tar", [b"some ", b"", b"data"], "web1", TIME, tags) == 300
    ((arguments, _unused, given, _unused),) = program.calls()
    assert given == "some data"
    assert arguments == [
        *("backup", "--json", "--quiet", "--stdin", "--stdin-filename=db.tar", "--time=2026-01-31 02:00:00"),
        *("--host=web1", "--tag=app=shop", "--tag=set=20260131-020000"),
    ]


def test_what_breaks_off_is_not_kept(program: FakeProgram) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise DockerVpsError("The other half is damaged.")

    with pytest.raises(DockerVpsError, match=r"^The other half is damaged\.$"):
        restic_of(program).save("db.tar", broken(), "web1", TIME, [])
    assert program.calls() == []  # killed before it saw an end


def test_restic_ends_before_its_input_does(program: FakeProgram) -> None:
    program.answer(backup={"reads": 1, "code": 1, "err": "Fatal: unable to save snapshot: no space left on device\n"})
    with pytest.raises(DockerVpsError, match="restic cannot write to rest:.*: unable to save snapshot: no space left"):
        restic_of(program).save("db.tar", iter(lambda: bytes(1 << 20), b""), "web1", TIME, [])


def test_load_a_file(program: FakeProgram) -> None:
    program.answer(dump={"out": "x" * 3_000_000})
    assert sum(len(block) for block in restic_of(program).load(ONE)) == 3_000_000
    assert [call[0] for call in program.calls()] == [["dump", ONE.id, "db.tar"]]
    program.answer(dump={"out": "half", "code": 1, "err": "Fatal: ciphertext verification failed\n"})
    with pytest.raises(
        DockerVpsError, match=r"restic cannot read db\.tar from rest:.*: ciphertext verification failed"
    ):
        list(restic_of(program).load(ONE))


def test_loading_may_stop_early(program: FakeProgram) -> None:
    program.answer(dump={"out": "x" * 3_000_000})
    blocks = restic_of(program).load(ONE)
    assert next(blocks)
    blocks.close()  # type: ignore[attr-defined]


def test_snapshots_and_data_are_removed_in_two_steps(program: FakeProgram) -> None:
    assert restic_of(program).forget([ONE, ResticSnapshot("cd" * 32, "manifest.json", "web1", ())]) == ""
    assert [call[0] for call in program.calls()] == [["forget", "--quiet", "ab" * 32, "cd" * 32]]
    restic_of(program).prune()
    assert program.calls()[-1][0] == ["prune", "--quiet"]


def test_thousands_of_snapshots_are_no_argument_list_too_long(program: FakeProgram) -> None:
    many = [ResticSnapshot(f"{number:064x}", "db.tar", "web1", ()) for number in range(15_000)]
    restic_of(program).forget(many)
    calls = [call[0] for call in program.calls()]
    assert [one for call in calls for one in call[2:]] == [one.id for one in many]
    assert max(map(len, calls)) == 1002


@pytest.mark.parametrize(
    ("code", "output", "why"),
    [
        (1, TRACE, "blob not removed, server response: 403 Forbidden (403)"),
        (0, REFUSED_QUIETLY, "Remove(<snapshot/2b1d8acea2>) failed: unexpected HTTP response (403): 403 Forbidden"),
        (1, f"Fatal: {PASSWORD}\n", "***"),
    ],
)
def test_a_removal_that_is_refused_is_told(program: FakeProgram, code: int, output: str, why: str) -> None:
    program.answer(forget={"code": code, "err": output})
    assert restic_of(program).forget([ONE]) == why


@pytest.mark.parametrize("sign", ["Fatal: " + LOCKED, json.dumps({"message": LOCKED}) + "\n"])
def test_somebody_else_at_work_is_named(program: FakeProgram, sign: str) -> None:
    program.answer(forget={"code": 1, "err": sign}, prune={"code": 1, "err": sign})
    named = r"restic cannot prune .*already locked by PID 23188 on vm by root .UID 0, GID 0.\. Wait for .*restic unlock"
    with pytest.raises(Locked, match=named):  # which passes: the timers wait for it
        restic_of(program).forget([ONE])
    with pytest.raises(Locked, match=named):
        restic_of(program).prune()


HERE = socket.gethostname()


def ended() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def lock(host: str, process: int, minutes: float = 0.0) -> str:
    at = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    return json.dumps({"time": f"{at:%Y-%m-%dT%H:%M:%S}.106294429Z", "hostname": host, "pid": process})


@pytest.mark.parametrize(
    ("held", "freed"),
    [
        (lambda: lock(HERE, ended()), True),
        (lambda: lock(HERE, os.getpid(), minutes=31), True),  # the number is another process's by now
        (lambda: lock(HERE, 1), False),
        (lambda: lock("elsewhere", 99999999), False),
        (lambda: lock("elsewhere", 99999999, minutes=31), False),
        (lambda: "", False),  # gone meanwhile
    ],
    ids=["dead", "old", "alive", "another host's", "another host's, old", "gone"],
)
def test_locks_of_killed_processes_of_this_host_are_removed(
    program: FakeProgram, held: Callable[[], str], freed: bool
) -> None:
    found = {"list": {"out": "6f7953d4\n"}, "cat": {"out": held()}}
    program.answer(prune={"code": 1, "err": LOCKED}, unlock={"unlocks": "prune"}, **found)
    if freed:
        restic_of(program).prune()
    else:
        with pytest.raises(DockerVpsError, match="already locked by PID 23188"):
            restic_of(program).prune()
    asked = [call[0] for call in program.calls()]
    assert asked[:3] == [["prune", "--quiet"], ["list", "locks", "--no-lock"], ["cat", "lock", "6f7953d4", "--no-lock"]]
    assert asked[3:] == ([["unlock"], ["prune", "--quiet"]] if freed else [])


@pytest.mark.parametrize(
    "output",
    [
        "Stat(<config/>) returned error, retrying after 728.165885ms: Stat: The specified bucket does not exist\n",
        "Stat(<config/>) returned error, retrying after 1s: storage: bucket doesn't exist\n",
    ],
)
def test_a_bucket_that_is_not_there_is_no_repository_at_once(program: FakeProgram, output: str) -> None:
    program.answer(cat={"err": output, "sleeps": 60})
    began = time.monotonic()
    assert not restic_of(program).exists()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("why", "step"),
    [
        ("Stat: Access Denied.", "Correct the credentials"),
        (
            "Stat: The Access Key Id you provided does not exist in our records.",
            "Correct the credentials of the storage",
        ),
    ],
)
def test_what_is_tried_again_in_vain_is_not_waited_for(program: FakeProgram, why: str, step: str) -> None:
    program.answer(cat={"err": f"Stat(<config/>) returned error, retrying after 1s: {why}\n", "sleeps": 60})
    began = time.monotonic()
    with pytest.raises(DockerVpsError, match=f"restic cannot open .*: {why.rstrip('.')}. {step}"):
        restic_of(program).exists()
    assert time.monotonic() - began < 20


def test_a_copy_that_is_there_is_not_called_off_for_its_lock(program: FakeProgram) -> None:
    answer = {"out": json.dumps({"data_added": 4}), "err": "Remove(<lock/6f79>) failed: Access Denied\n", "sleeps": 1}
    program.answer(backup=answer)
    assert restic_of(program).save("db.tar", [b"data"], "web1", TIME, []) == 4


def test_check_the_repository(program: FakeProgram) -> None:
    restic = restic_of(program)
    restic.check("")
    restic.check("5%")
    assert [call[0] for call in program.calls()] == [
        ["check", "--quiet"],
        ["check", "--quiet", "--read-data-subset=5%"],
    ]
    program.answer(check={"code": 1, "err": "error for tree 4cb2: not found\nFatal: repository contains errors\n"})
    with pytest.raises(DockerVpsError, match="restic cannot verify rest:.*: repository contains errors. Follow what"):
        restic.check("")
