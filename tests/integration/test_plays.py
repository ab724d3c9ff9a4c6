# SPDX-License-Identifier: GPL-3.0-or-later
"""A play that is forked for a test is the play that the command ansible-playbook runs."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from pathlib import Path

import plays
import pytest
from lab import Played, play

BOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.command: {argv: [sh, -c, 'echo "$SHOWN"; pwd']}
      register: told
    - ansible.builtin.debug: {msg: "{{ told.stdout_lines + [lookup('ansible.builtin.env', 'SHOWN')] }}"}
    - ansible.builtin.fail: {msg: no more}
"""


def played(place: Path, monkeypatch: pytest.MonkeyPatch, forking: bool, **environment: str) -> Played:
    monkeypatch.setattr(plays, "forking", forking)
    (place / "play.yml").write_text(BOOK)
    interpreter = "ansible_python_interpreter='{{ ansible_playbook_python }}'"
    (place / "hosts").write_text(f"here ansible_connection=local {interpreter}\n")
    return play(place / "play.yml", place / "hosts", **environment)


def without_times(text: str) -> str:
    return re.sub(r"\d+:\d+:\d+[.\d]*|20\d\d-\d\d-\d\d", "", text)


def test_it_says_and_ends_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = played(tmp_path, monkeypatch, False, SHOWN="first")
    first = played(tmp_path, monkeypatch, True, SHOWN="first")
    assert (first.code, without_times(first.output)) == (2, without_times(real.output))
    assert played(tmp_path, monkeypatch, True, SHOWN="second").text == first.text.replace("first", "second")


def test_a_kill_is_told(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(BOOK.replace("pwd", "sleep 5"))
    (tmp_path / "hosts").write_text(f"here ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    servers = tmp_path / "servers"
    servers.mkdir()
    arguments = [str(tmp_path / "play.yml"), "-i", str(tmp_path / "hosts")]
    with (tmp_path / "out").open("wb") as out:
        outputs = out.fileno(), out.fileno()
        begun = plays.fork(str(servers), os.getpid(), arguments, str(tmp_path), dict(os.environ), *outputs)
    threading.Timer(0.5, os.kill, (begun.process, signal.SIGKILL)).start()
    assert begun.wait() == -signal.SIGKILL
