# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of a test's own on loopback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from lab import run, until


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Return whether somebody listens at a port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def keys(place: Path, *names: str, passphrase: str = "") -> None:
    """Make pairs of keys: NAME and NAME.pub."""
    for name in names:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(place / name))


class Sshd:
    """An sshd with the host key ``host`` of a directory, which takes the keys in its file ``allowed``, for us only."""

    def __init__(self, place: Path, subsystem: str = "") -> None:
        self.port = free_port()
        self.known_hosts = f"[127.0.0.1]:{self.port} {(place / 'host.pub').read_text()}"
        settings = {
            "HostKey": place / "host",
            "AuthorizedKeysFile": place / "allowed",
            "ListenAddress": f"127.0.0.1:{self.port}",
            "PidFile": "none",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            **({"Subsystem": subsystem} if subsystem else {}),
        }
        (place / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself in; a boot makes it, too
        program = shutil.which("sshd", path="/usr/sbin:/usr/bin") or "sshd"
        self.process = subprocess.Popen([program, "-D", "-f", str(place / "config"), "-E", str(place / "log")])
        until(lambda: answers(self.port), 10, "sshd's answer")


class Machine:
    """This machine behind an sshd of its own, as Ansible and ssh reach it."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        keys(place, "host", "user")
        (place / "allowed").write_text((place / "user.pub").read_text())
        self._sshd = Sshd(place, "sftp internal-sftp")
        (place / "known_hosts").write_text(self._sshd.known_hosts)
        user, port, key = getpass.getuser(), self._sshd.port, place / "user"
        options = f"-F none -o UserKnownHostsFile={place}/known_hosts -o IdentitiesOnly=yes -o BatchMode=yes"
        self._log = place / "log"
        self.ssh = ("ssh", *options.split(), "-i", str(key), "-p", str(port), f"{user}@127.0.0.1")
        self.variables = {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": sys.executable,
        }

    def log(self) -> str:
        """Return what sshd has written."""
        return self._log.read_text()

    def close(self) -> None:
        """End it, with the connections that there are."""
        pid = self._sshd.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._sshd.process.terminate()
        self._sshd.process.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
