# SPDX-License-Identifier: GPL-3.0-or-later
"""On a host: wait until a play that sets the firewall up has come to a stage, and end there what came over SSH.

    firewall_watch.py PORT STAGE SECONDS [spare]

The rules of the play have the port, which those before had not. So many seconds after the stage has begun, or a later
one, all that came over SSH is killed, unless it is to be spared. Printed are "ready", and at the end the stage that it
was and when each began.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

STAGES = ("before", "looking", "arming", "waiting", "keeping", "kept", "undone")
PENDING = Path("/run/docker-vps-firewall/pending")
PATIENCE = 300.0  # seconds


def processes() -> dict[int, tuple[int, bytes]]:
    """Return the parents of all processes, and their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            found[int(path.name)] = (parent, (path / "cmdline").read_bytes())
    return found


def sessions() -> list[int]:
    """Return what came over SSH: the processes below that server which listens."""
    seen = processes()
    found = [one for one, (parent, command) in seen.items() if parent == 1 and command.startswith(b"sshd: /")]
    servers = len(found)
    for one in found:
        found += [child for child, (parent, _command) in seen.items() if parent == one]
    return found[servers:]


class Play:
    """A play whose rules have a port of its own."""

    def __init__(self, port: str) -> None:
        self._port, self._began = port, time.time()
        self._came = self._loaded = False

    def stage(self) -> str:
        """Return how far it has come."""
        runs = any(b"AnsiballZ_firewall" in command for _parent, command in processes().values())
        self._came = self._came or runs
        listed = subprocess.run(["nft", "list", "table", "inet", "docker_vps"], capture_output=True, check=False)
        written = PENDING.stat().st_mtime if PENDING.exists() else 0.0
        if self._port.encode() in listed.stdout:
            self._loaded = True
            return "waiting" if written else "keeping" if runs else "kept"
        if self._loaded:
            return "undone"
        return "arming" if self._came and written > self._began else "looking" if self._came else "before"


def killed() -> None:
    """End all that came over SSH, before any of it can look what became of the rest."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for one in sessions():
            with suppress(ProcessLookupError):
                os.kill(one, number)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run as a program."""
    port, wanted, delay, *spare = sys.argv[1:]
    play, began = Play(port), {"before": time.monotonic()}
    say("ready")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stage, now = play.stage(), time.monotonic()
        began.setdefault(stage, now)
        due = [began[one] for one in STAGES[STAGES.index(wanted) :] if one in began]
        if due and now >= due[0] + float(delay):
            break
        time.sleep(0.05 if stage == "before" else 0.001)
    if not spare:
        killed()
    say(json.dumps({"stage": stage, "began": began}))


if __name__ == "__main__":
    main()
