# SPDX-License-Identifier: GPL-3.0-or-later
"""A git repository of a test, with somebody who pushes to it, and a host that checks it out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.modules import git_checkout

GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always")


class Author:
    """A clone from which somebody pushes to a bare repository."""

    def __init__(self, place: Path, bare: Path) -> None:
        self.place, self.bare = place, bare
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare), at=place.parent)
        self.git("clone", "--quiet", str(bare), str(place), at=place.parent)

    def git(self, *command: str, at: Optional[Path] = None) -> str:
        command = (*GIT, "-C", str(at or self.place), *command)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def push(self, **files: str) -> str:
        """Commit files and push all there is; return the commit."""
        for name, text in files.items():
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        self.git("push", "--quiet", "--force", "origin", "--all")
        self.git("push", "--quiet", "--force", "origin", "--tags")
        return self.git("rev-parse", "HEAD")


class Host:
    """The directory on the host, and how it is asked for versions."""

    def __init__(self, place: Path, address: str, **given: Any) -> None:
        self.place = place
        self.given: dict[str, Any] = {
            "repository": address,
            "version": "main",
            "path": str(place),
            "key": "",
            "key_file": "",
            "submodule_keys": {},
            "known_hosts": "accept-new",
            "token": "",
            "dockerfile_path": "",
            "context_path": "",
            "upload_max": 0,
            "timeout": 60,
            **given,
        }

    def __call__(self, check_mode: bool = False, **given: Any) -> dict[str, Any]:
        return git_checkout.run(git_checkout.params_of({**self.given, **given}), check_mode)

    def refused(self, **given: Any) -> str:
        with pytest.raises(DockerVpsError) as refused:
            self(**given)
        message = str(refused.value)
        assert message.count("Git said") <= 1
        assert "Traceback" not in message
        return message

    def page(self) -> str:
        return (self.place / "page").read_text()
