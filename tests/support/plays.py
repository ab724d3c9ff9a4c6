# SPDX-License-Identifier: GPL-3.0-or-later
"""Start ansible-playbook: as a command, or for tests, which do it all the time, without importing Ansible each time.

See plays_server.py for the second way, which benchmarks must not take.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Mapping, Sequence, Union

SERVER = Path(__file__).with_name("plays_server.py")
Setting = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Begun:
    """A play under way, in the process of this number."""

    process: int
    answer: BinaryIO

    def wait(self) -> int:
        """Wait for its end, and return the code with which it ended: of a signal, its negative number."""
        with self.answer:
            return int(self.answer.readline())


class Server:
    """A process that has Ansible imported, with one setting."""

    def __init__(self, cwd: str, environment: Mapping[str, str]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, str(SERVER), str(number)]
            self.process = subprocess.Popen(
                command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, pass_fds=[number]
            )
        atexit.register(self.end)

    def begin(self, arguments: Sequence[str], environment: Mapping[str, str], out: int) -> Begun:
        """Begin a play that writes into a file of this number."""
        answer, theirs = os.pipe()
        asked: Mapping[str, Any] = {"arguments": ["ansible-playbook", *arguments], "environment": dict(environment)}
        try:
            socket.send_fds(self.control, [json.dumps(asked).encode()], [out, theirs])
        finally:
            os.close(theirs)
        said = os.fdopen(answer, "rb")
        return Begun(int(said.readline()), said)

    def end(self) -> None:
        """End it."""
        self.control.close()
        self.process.wait()


forking = False  # whether plays are forked; see the conftest.py of the tests that do
servers: dict[Setting, Server] = {}
one_at_a_time = threading.Lock()


def begin(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], out: int
) -> Union[Begun, subprocess.Popen[bytes]]:
    """Begin ``ansible-playbook`` with exactly this environment, writing into a file of this number."""
    if not forking:
        command = [str(Path(sys.executable).parent / "ansible-playbook"), *arguments]
        return subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    # Ansible reads these when it is imported; everything else when it works.
    read = tuple(sorted((name, text) for name, text in environment.items() if name.startswith("ANSIBLE_")))
    with one_at_a_time:
        server = servers.get((str(cwd), read)) or Server(str(cwd), environment)
        servers[str(cwd), read] = server
    return server.begin(arguments, environment, out)
