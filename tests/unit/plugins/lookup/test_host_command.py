# SPDX-License-Identifier: GPL-3.0-or-later
"""The packed command: the same bytes each time, and a program that runs without Ansible."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.ptnextjs.docker_vps.plugins.lookup.host_command import LAYERS, UTILS, LookupModule, packed


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_it_holds_the_layers_that_need_no_ansible() -> None:
    files = {f"docker_vps/{layer}/{path.name}" for layer in LAYERS for path in (UTILS / layer).glob("*.py")}
    packages = {f"docker_vps/{folder}__init__.py" for folder in ("", *(f"{layer}/" for layer in LAYERS))}
    content = packed("/usr/bin/python3")
    assert content.startswith(b"#!/usr/bin/python3\nPK")
    assert names(content) == sorted({"__main__.py", *packages, *files})
    assert "docker_vps/_command/cli.py" in files


def test_only_contents_make_a_difference(tmp_path: Path) -> None:
    def made(place: str, order: tuple[str, ...], text: str = "x = 1\n") -> bytes:
        for name in order:
            path = tmp_path / place / "_core" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600 if place == "here" else 0o755)
        return packed("/usr/bin/python3", tmp_path / place)

    here = made("here", ("a.py", "b.py"))
    assert made("there", ("b.py", "a.py")) == here
    assert made("other", ("a.py", "b.py"), "x = 2\n") != here


def test_it_runs_by_itself(tmp_path: Path) -> None:
    (path,) = LookupModule().run([sys.executable], {})
    assert LookupModule().run([sys.executable], {}) == [path]
    assert [one.name for one in Path(path).parent.glob("docker-vps-*")] == [Path(path).name]
    program = tmp_path / "bin/docker-vps"
    program.parent.mkdir()
    program.write_bytes(Path(path).read_bytes())
    program.chmod(0o755)
    nothing = subprocess.run([program, "status"], capture_output=True, text=True, check=False, cwd="/", env={})
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith(f"There is no configuration {tmp_path}/backup.json; ")
    notify = {"webhook": "", "command": [], "pings": {}, "on_success": False}
    (tmp_path / "backup.json").write_text(json.dumps({"app": "shop", "directory": str(tmp_path), "notify": notify}))
    status = subprocess.run([program, "status"], capture_output=True, text=True, check=False, cwd="/", env={})
    assert (status.returncode, status.stderr) == (0, "")
    jobs = ("backup", "verify", "drill", "maintenance")
    assert status.stdout.splitlines() == [f"{job}: never ran." for job in jobs]
