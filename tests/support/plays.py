# SPDX-License-Identifier: GPL-3.0-or-later
"""Start ansible-playbook: as a command, or for tests, which do it all the time, without importing Ansible each time.

See plays_server.py for the second way, which benchmarks must not take.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Mapping, Sequence, Union

COMMAND = str(Path(sys.executable).parent / "ansible-playbook")
SERVER = Path(__file__).with_name("plays_server.py")
SITE, COMPILED = Path(__file__).with_name("site"), Path(__file__).parents[2] / ".cache/compiled"

forking = False  # whether plays are forked; see the conftest.py of the tests that do


class Forked:
    """A play under way, which a server has forked."""

    def __init__(self, connection: socket.socket, place: str) -> None:
        self.connection = connection
        answer = connection.recv(64)
        assert answer, Path(f"{place}.log").read_text()
        self.process = int(answer)

    def wait(self) -> int:
        """Wait for its end, and return the code with which it ended: of a signal, its negative number."""
        with self.connection:
            return int(self.connection.recv(64))


def fork(
    servers: str, until: int, arguments: Sequence[str], cwd: str, environment: Mapping[str, str], out: int, err: int
) -> Forked:
    """Have a play forked by the server for its settings, which listens in a directory; it is started when none does.

    Args:
        servers: the directory, which goes with the servers.
        until: with the end of the process of this number, a server that is started here ends as well.
        arguments: those of ``ansible-playbook``, which is run in ``cwd`` with this environment.
        out: the number of a file into which the play writes.
        err: the same for its errors and warnings.
    """
    environment = {**environment, "PYTHONPATH": str(SITE), "COMPILED_ZIPS": str(COMPILED)}
    # Ansible reads these when it is imported; everything else when it works.
    read = [f"{name}={text}" for name, text in sorted(environment.items()) if name.startswith("ANSIBLE_")]
    place = f"{servers}/{hashlib.sha256(repr([cwd, *read]).encode()).hexdigest()[:16]}"
    with open(f"{servers}/lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # or two that begin at once start one each
        if not os.path.exists(place):
            start(place, until, cwd, environment)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(place)
    asked = {"arguments": ["ansible-playbook", *arguments], "cwd": cwd, "environment": environment}
    socket.send_fds(connection, [json.dumps(asked).encode()], [out, err])
    return Forked(connection, place)


def start(place: str, until: int, cwd: str, environment: Mapping[str, str]) -> None:
    """Start a server that listens at a path; see ``fork``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, open(f"{place}.log", "wb") as log:
        listening.bind(place)
        listening.listen()
        number = listening.fileno()
        subprocess.Popen(
            [sys.executable, str(SERVER), str(number), str(until)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,  # not where the play writes, or whoever reads that would wait for the server's end
            stderr=log,
            pass_fds=[number],
        )


@functools.lru_cache(maxsize=None)
def own_servers() -> str:
    """Return the directory of the servers of this process."""
    return tempfile.mkdtemp(prefix="plays-")


def begin(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], out: int
) -> Union[Forked, subprocess.Popen[bytes]]:
    """Begin ``ansible-playbook`` with exactly this environment, writing into a file of this number."""
    if not forking:
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return fork(own_servers(), os.getpid(), arguments, str(cwd), environment, out, out)
