# SPDX-License-Identifier: GPL-3.0-or-later
"""How git is called, with a program that stands in for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.git import Access, Git, GitError

URL = "https://git.example.com/acme/site.git"
# Says how it was called, and what the script that is its ssh holds, with what that names.
PROGRAM = """#!{python}
import json, os, re, stat, sys, time
script = os.environ["GIT_SSH_COMMAND"].split()[-1]
text = open(script).read()
files = re.findall("/proc/[0-9]+/fd/[0-9]+", text)
json.dump(
    {
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "ssh": text,
        "files": {name: [open(name).read(), stat.S_IMODE(os.stat(name).st_mode)] for name in files},
        "given": sys.stdin.read(),
    },
    sys.stdout,
)
if "fail" in sys.argv:
    sys.exit("fatal: Could not resolve host: git.example.com")
if "wait" in sys.argv:
    time.sleep(60)
"""
KEYGEN = """#!{python}
import sys
sys.exit("not a key" in open(sys.argv[-1]).read())
"""


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the programs into the search path."""
    for name, text in (("git", PROGRAM), ("ssh-keygen", KEYGEN)):
        (tmp_path / name).write_text(text.replace("{python}", sys.executable))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    return tmp_path


def called(place: Path, *command: str, url: str = URL, **access: Any) -> dict[str, Any]:
    with Git(str(place), url, Access(**access), 5) as git:
        answer: dict[str, Any] = json.loads(git(*command, given="text"))
    return answer


def test_a_command_has_no_terminal_no_other_repository_and_english_messages(tmp_path: Path) -> None:
    seen = called(tmp_path, "status")
    assert seen["arguments"] == ["-C", str(tmp_path), "-c", "fetch.unpackLimit=1", "status"]
    assert seen["given"] == "text"
    environment = seen["environment"]
    assert "GIT_DIR" not in environment
    assert (environment["LC_ALL"], environment["GIT_TERMINAL_PROMPT"]) == ("C", "0")
    assert called(tmp_path / "absent", "ls-remote")["arguments"] == ["-c", "fetch.unpackLimit=1", "ls-remote"]


def test_keys_and_host_keys_are_files_of_this_process_alone(tmp_path: Path) -> None:
    access = {
        "key": " PRIVATE\r\nline ",
        "submodule_keys": {"acme/ui": "OTHER"},
        "known_hosts": "host ssh-ed25519 AAAA\n",
    }
    seen = called(tmp_path, "fetch", **access)
    assert sorted(seen["files"].values()) == [
        ["OTHER\n", 0o600],
        ["PRIVATE\nline\n", 0o600],
        ["host ssh-ed25519 AAAA\n", 0o600],
    ]
    assert not [name for name in seen["files"] if Path(name).exists()]
    assert "PRIVATE" not in json.dumps([seen["arguments"], seen["environment"], seen["ssh"]])


def test_a_key_in_a_file_is_named_and_the_text_of_one_prevails(tmp_path: Path) -> None:
    assert "key=/root/id" in called(tmp_path, "fetch", key_file="/root/id", known_hosts="")["ssh"]
    assert "/root/id" not in called(tmp_path, "fetch", key="KEY", key_file="/root/id")["ssh"]


def test_a_token_is_given_to_its_server_alone_and_stands_in_no_argument(tmp_path: Path) -> None:
    seen = called(tmp_path, "fetch", token="tok-4711")
    assert "tok-4711" not in " ".join(seen["arguments"])
    assert [one.partition("=")[0] for one in seen["arguments"] if one.startswith("credential.")] == [
        "credential.https://git.example.com.helper",
        "credential.https://git.example.com.helper",
    ]
    assert "tok-4711" in seen["environment"].values()
    assert "tok-4711" not in repr(Access(token="tok-4711", key="tok-4711", submodule_keys={"a": "tok-4711"}))
    over_ssh = called(tmp_path, "fetch", token="tok-4711", url="git@git.example.com:acme/site.git")
    assert "tok-4711" not in over_ssh["environment"].values()


@pytest.mark.parametrize("access", [{"key": "not a key"}, {"submodule_keys": {"acme/ui": "not a key"}}])
def test_what_is_no_key_is_told_before_anybody_is_asked(tmp_path: Path, access: dict[str, Any]) -> None:
    with pytest.raises(GitError, match="⟦setting git_key⟧ must be a private key"):
        called(tmp_path, "fetch", **access)


def test_a_refusal_has_its_cause(tmp_path: Path) -> None:
    with Git(str(tmp_path), URL, Access(), 5) as git:
        with pytest.raises(GitError, match="check ⟦setting git_url⟧ and the DNS"):
            git("fail")
        assert not git.has("fail")
        assert git.has("status")


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with Git(str(tmp_path), URL, Access(), 0.5) as git, pytest.raises(
        GitError, match=r"git wait did not end within 0.5 s"
    ):
        git("wait")


def test_without_git_it_is_named(programs: Path) -> None:
    (programs / "git").unlink()
    with Git(str(programs), URL, Access(), 5) as git, pytest.raises(DockerVpsError, match="git -C cannot be run"):
        git("status")
