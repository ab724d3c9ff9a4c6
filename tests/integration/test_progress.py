# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work as a play shows it: a backup of a slow volume, with and without a terminal, here and over SSH."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

import plays
import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.progress_file import PLACE
from lab import ROOT, clean_environment, docker, play, until
from servers import Machine

VOLUME = "it-progress"
MEBIBYTES, SECONDS = 20, 0.8  # the tar below needs so long for each
SLOW = f"""#!{sys.executable}
import subprocess, sys, time
tar = subprocess.Popen(["{shutil.which("tar")}", *sys.argv[1:]], stdout=subprocess.PIPE)
for block in iter(lambda: tar.stdout.read(1 << 20), b""):
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
    time.sleep({SECONDS} * len(block) / (1 << 20))
sys.exit(tar.wait())
"""
AMOUNT = r"\d+ [KM]iB of 20(\.\d+)? MiB \(\d+ %\), \d[\d.]* [KM]iB/s"
ARCHIVE = r"db-\d{8}-\d{6}\.tar\.gz is written"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("ssh"))
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def volume() -> Iterator[Path]:
    docker("volume", "rm", "--force", VOLUME)
    docker("volume", "create", VOLUME)
    place = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", VOLUME))
    (place / "upload.bin").write_bytes(os.urandom(MEBIBYTES << 20))
    yield place
    docker("volume", "rm", VOLUME)


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    shim = tmp_path / "bin/tar"
    shim.parent.mkdir()
    shim.write_text(SLOW)
    shim.chmod(0o755)
    directory = f"{tmp_path}/{{{{ lookup('env', 'SETS') }}}}/{{{{ inventory_hostname }}}}"
    task = {
        "ptnextjs.docker_vps.volume_backup": {"app": "shop", "directory": directory, "volumes": {"db": VOLUME}},
        "environment": {"PATH": f"{shim.parent}:{os.environ['PATH']}"},
    }
    path = tmp_path / "backup.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "become": True, "tasks": [task]}]))
    return path


def inventory_of(path: Path, **hosts: object) -> Path:
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    return path


def at_a_terminal(playbook: Path, inventory: Path) -> bytes:
    """Run a play at a terminal of 120 columns, and return what it printed there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    environment = {**clean_environment(), "TERM": "xterm", "SETS": "terminal"}
    environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    command = [plays.COMMAND, str(playbook), "-i", str(inventory)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = bytearray()
    try:
        while True:
            printed += os.read(ours, 65536)
    except OSError:  # nobody has the other end any more
        os.close(ours)
    assert process.wait() == 0, printed.decode(errors="replace")
    return bytes(printed)


def test_a_slow_backup_is_followed(machine: Machine, volume: Path, playbook: Path, tmp_path: Path) -> None:
    near = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    with ThreadPoolExecutor() as pool:
        live = pool.submit(at_a_terminal, playbook, inventory_of(tmp_path / "one.yml", near=near))
        both = inventory_of(tmp_path / "two.yml", near=near, far=machine.variables)
        lines = play(playbook, both, SETS="lines").succeeded().output
        screen = live.result()
    # Whole lines for each host, and nothing for a terminal. On a busy machine the first one may be too early.
    for host in ("near", "far"):
        assert re.search(rf"(?m)^{host} \| {ARCHIVE}, {AMOUNT}, \d\d s$", lines), lines
    assert not set("\r\x1b") & set(lines)
    # One line that is written over itself, at first with the seconds only, and is gone before the next task is told.
    shown = [line for line in re.split(rb"[\r\n]+", screen) if line.startswith(b"near | ")]
    assert shown[0] == b"near | the backup begins, 1 s\x1b[K"
    amounts = [line for line in shown if re.fullmatch(rf"near \| {ARCHIVE}, {AMOUNT}, \d+ s\x1b\[K".encode(), line)]
    assert len(amounts) >= MEBIBYTES * SECONDS / 4, shown
    assert len(shown) >= MEBIBYTES * SECONDS / 2
    assert b"\x1b[K\r\x1b[K\x1b[0;33mchanged: [near]" in screen
    assert b"ASYNC POLL" not in screen
    # Other tests may have work of their own under way.
    left = {*Path(PLACE).glob("progress-*")}
    until(lambda: not left & {*Path(PLACE).glob("progress-*")}, 60, "the end of what was under way")
