# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what people see of a deploy, of an update that fails, and of a restore, as pictures for the documentation.

All of it is played for real, on this machine's engine with the stand-in application and the playbooks of a site, in a
terminal of a fixed size, and written into ``docs/recordings``. Run it after a change of what plays print: ``make
recordings``. A unit test fails when a task in a picture has another name by now.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import pty
import shutil
import socket
import struct
import subprocess
import tempfile
import termios
import time
from dataclasses import replace
from pathlib import Path
from typing import Mapping

import screens
import yaml
from lab import ROOT, STANDIN, App, clean_environment, commit, copied, run
from screens import Event

COLLECTIONS = ROOT / ".ansible/collections"
NAME, HOST = "shop", "vps1.example.com"
TYPED = 1.5  # seconds from a command to what it writes
# A version of the application needs a column that no migration makes.
NEEDS_COLUMN = """\
  if (!db.prepare("SELECT 1 FROM pragma_table_info('vendors') WHERE name = 'website'").get()) {
    return [503, { status: 'unhealthy', error: 'vendors has no column website' }]
  }
"""


class Terminal:
    """Where commands are called in a directory, and what they write is recorded."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            **clean_environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
        }
        # What is this machine's own: where collections are, and who deploys from where.
        self.own = {
            str(COLLECTIONS): "~/.ansible/collections",
            f"{getpass.getuser()}@{socket.gethostname()}": "you@laptop",
        }

    def call(self, command: str, ends: int = 0) -> list[Event]:
        """Call a command, which has to end with this code, and return what is seen of it, without long waits."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", screens.ROWS, screens.COLUMNS, 0, 0))
        began = time.monotonic()
        process = subprocess.Popen(
            command.split(),
            cwd=self.directory,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        chunks = []
        while chunk := _read(ours):
            chunks.append((TYPED + time.monotonic() - began, chunk))
        os.close(ours)
        code = process.wait()
        events = [Event(0, f"\x1b[1m$ {command}\x1b[0m"), *screens.events_in(chunks)]
        for word, neutral in self.own.items():
            events = [replace(event, text=event.text.replace(word, neutral)) for event in events]
        assert code == ends, "\n".join(event.text for event in events)
        return screens.shortened(events)


def _read(terminal: int) -> bytes:
    """Return what comes next, nothing when no process has the terminal any more, which Linux calls an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def new_site(place: Path, sources: Path, app: App) -> Terminal:
    """Write a site by new_site, give it what it needs on this machine, and return a terminal in its directory."""
    given = {"site": NAME, "host": f"root@{HOST}", "repository": f"file://{sources}", "url": "https://shop.example.com"}
    values = [argument for name, value in given.items() for argument in ("-e", f"{name}={value}")]
    command = ("ansible-playbook", "ptnextjs.docker_vps.new_site", *values)
    run(*command, cwd=place, env=Terminal(place).environment)
    site = Terminal(place / NAME)
    theirs = {"docker_vps_app", "docker_vps_server_url", "docker_vps_health_wait", "docker_vps_monitor"}
    here = {name: value for name, value in app.host().items() if name not in theirs}
    (site.directory / "prod/group_vars/all/local.yml").write_text(yaml.safe_dump(here))
    return site


def add(app: App, *names: str) -> None:
    """Have users of the application add vendors."""
    for name in names:
        assert app.post("/api/vendors", {"name": name}).status == 201


def forget_migration(sources: Path) -> None:
    """Commit a version that does not become healthy."""
    server = sources / "server.js"
    before, found, after = server.read_text().partition("  const { n } = db")
    assert found
    server.write_text(f"{before}{NEEDS_COLUMN}{found}{after}")
    commit(sources)


def record(app: App, place: Path) -> Mapping[str, list[Event]]:
    """Play the stories, and return what is seen of each."""
    sources = copied(STANDIN, place / "sources")
    commit(sources)
    site = new_site(place, sources, app)
    deploy = site.call("ansible-playbook deploy.yml -i prod")
    add(app, "Ada's Bakery", "Berta's Books")
    site.call("ansible-playbook backup.yml -i prod")
    add(app, "Clara's Cycles")
    dry_run = site.call("ansible-playbook restore.yml -i prod --check")
    restore = site.call("ansible-playbook restore.yml -i prod -e docker_vps_restore_stop_app=true")
    forget_migration(sources)
    failed_update = site.call("ansible-playbook update.yml -i prod", ends=2)
    recorded = {"deploy": deploy, "restore": screens.after(dry_run, restore), "failed_update": failed_update}
    secret = app.env_keys()["PAYLOAD_SECRET"]
    assert not [name for name, events in recorded.items() if any(secret in event.text for event in events)]
    return recorded


def main() -> None:
    """Record everything."""
    place = Path(tempfile.mkdtemp(prefix="recordings-"))
    app = App(NAME, place)
    taken = [str(path) for path in (app.directory, app.backups) if path.exists()]
    if taken:
        place.rmdir()
        raise SystemExit(f"Nothing was recorded, since {' and '.join(taken)} is there: remove that application first.")
    # The same commits each time.
    os.environ.update({f"GIT_{who}_DATE": "2026-01-31T12:00:00Z" for who in ("AUTHOR", "COMMITTER")})
    try:
        recorded = record(app, place)
    finally:
        app.remove()
        shutil.rmtree(place)
    for name, story in screens.STORIES.items():
        picture = screens.drawn(story, recorded[name])
        assert screens.reads(picture, story.says), screens.rows_of(picture)
        (screens.FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
