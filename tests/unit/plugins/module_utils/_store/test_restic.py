# SPDX-License-Identifier: GPL-3.0-or-later
"""How restic is called, what its answers mean, and that no secret gets out. tests/integration has the real one."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import Restic, Saved, Snapshot
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeProgram

REPOSITORY = "rest:https://user:l%40g1n-word@backup.example.com:8000/shop"
PASSWORD = "the pa55word"
KEY = "s3cr3t-key"
SECRETS = ("l%40g1n-word", "l@g1n-word", PASSWORD, KEY)
TIME = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
ONE = Snapshot("ab" * 32, "db.tar", ("app=shop",))
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
    for plain in ("sftp:backup@example.com:/srv/x", "s3:https://s3.example.com/bucket", "/srv/restic"):
        assert Restic(plain, "", {}, {}).name == plain
        assert Restic(plain, "", {}, {}).secrets == []


@pytest.mark.parametrize(
    "said",
    [
        "Fatal: unable to open config file: stat /srv/x/config: no such file or directory\n" + WHERE,
        "Fatal: unable to open config file: <config/> does not exist\n" + WHERE,
        "Fatal: repository does not exist: unable to open config file: stat /x/config: no such file or directory\n",
        "Fatal: unable to open config file: Stat: The specified key does not exist.\n" + WHERE,
    ],
)
def test_a_repository_that_is_not_there(program: FakeProgram, said: str) -> None:
    program.answer(cat={"code": 1, "err": said})
    assert not restic_of(program).exists()


@pytest.mark.parametrize(
    ("said", "cause", "step"),
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
def test_why_it_cannot_be_opened(program: FakeProgram, said: str, cause: str, step: str) -> None:
    program.answer(cat={"code": 1, "err": said})
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
    ("said", "cause"),
    [
        (f"Stat(<config/>) returned error, retrying after 942.168107ms: {REFUSED}\n", f": {REFUSED}. Is"),
        ("", ": no answer within 1 s. Is"),
    ],
)
def test_patience_ends(program: FakeProgram, said: str, cause: str) -> None:
    program.answer(cat={"err": said, "sleeps": 60})
    with pytest.raises(DockerVpsError) as caught:
        restic_of(program, patience=1).exists()
    assert cause in caught.value.message
    assert program.calls() == []


def test_it_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"cannot be run on this host: No such file.*apt-get install restic\."):
        Restic(REPOSITORY, PASSWORD, {}, {}, program=str(tmp_path / "restic")).exists()


def test_make_one(program: FakeProgram) -> None:
    restic_of(program).create()
    assert [call[0] for call in program.calls()] == [["init"]]
    program.answer(init={"code": 1, "err": "Fatal: create repository at x failed: bucket does not exist\n"})
    with pytest.raises(DockerVpsError, match="restic cannot make rest:.*bucket does not exist"):
        restic_of(program).create()


def test_list_snapshots(program: FakeProgram) -> None:
    rows = [{"id": ONE.id, "paths": ["/db.tar"], "tags": ["app=shop"], "time": "2026-01-31T02:00:00Z"}]
    program.answer(snapshots={"out": json.dumps(rows)})
    assert restic_of(program).snapshots("shop") == [ONE]
    (call,) = program.calls()
    assert call[0] == ["snapshots", "--json", "--no-lock", "--host=shop", "--tag=app=shop"]
    program.answer(snapshots={"out": "null"})
    assert restic_of(program).snapshots("shop") == []


def test_save_a_file(program: FakeProgram) -> None:
    summary = {"message_type": "summary", "snapshot_id": "9b87ab0b", "data_added": 300, "total_bytes_processed": 12}
    program.answer(backup={"out": f"{json.dumps({'message_type': 'status'})}\n{json.dumps(summary)}\n"})
    saved = restic_of(program).save("db.tar", [b"some ", b"", b"data"], "shop", TIME, ["set=20260131-020000"])
    assert saved == Saved("9b87ab0b", 300)
    ((arguments, _unused, given, _unused),) = program.calls()
    assert given == "some data"
    assert arguments == [
        *("backup", "--json", "--quiet", "--stdin", "--stdin-filename=db.tar", "--time=2026-01-31 02:00:00"),
        *("--host=shop", "--tag=app=shop", "--tag=set=20260131-020000"),
    ]


def test_what_breaks_off_is_not_kept(program: FakeProgram) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise DockerVpsError("The other half is damaged.")

    with pytest.raises(DockerVpsError, match=r"^The other half is damaged\.$"):
        restic_of(program).save("db.tar", broken(), "shop", TIME, [])
    assert program.calls() == []  # killed before it saw an end


def test_restic_ends_before_its_input_does(program: FakeProgram) -> None:
    program.answer(backup={"reads": 1, "code": 1, "err": "Fatal: unable to save snapshot: no space left on device\n"})
    with pytest.raises(DockerVpsError, match="restic cannot write to rest:.*: unable to save snapshot: no space left"):
        restic_of(program).save("db.tar", iter(lambda: bytes(1 << 20), b""), "shop", TIME, [])


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


def test_forget_snapshots(program: FakeProgram) -> None:
    restic_of(program).forget([ONE, Snapshot("cd" * 32, "manifest.json", ())])
    assert [call[0] for call in program.calls()] == [["forget", "--prune", "--quiet", "ab" * 32, "cd" * 32]]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (LOCKED, r"repository is already locked by PID 23188 on vm by root .UID 0, GID 0.\. Wait for .*restic unlock"),
        (json.dumps({"message": LOCKED}) + "\n", r"already locked by PID 23188 .*restic unlock"),
        (TRACE, r": blob not removed, server response: 403 Forbidden .403.\. .*append-only mode forbids pruning"),
    ],
)
def test_forgetting_is_refused(program: FakeProgram, said: str, cause: str) -> None:
    program.answer(forget={"code": 1, "err": said})
    with pytest.raises(DockerVpsError, match=f"restic cannot prune .*{cause}"):
        restic_of(program).forget([ONE])


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
