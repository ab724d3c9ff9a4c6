# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of one app on this host: a folder for each, and which one is live.

``releases/<id>/`` holds ``release.json``, and ``compose.yml`` and ``.env.production`` as they were; ``log`` is what
a failed version wrote. The link ``releases/current`` is the only place that says which release is live.

A release whose container gets secrets as files has them in ``secrets/``, and ``container.env`` is its environment
without them. Both are made of ``.env.production``. Each release has its own, so what a container has mounted stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from typing import ContextManager, Mapping, Optional

from .._core import dotenv, releases, secret_files
from .._core.errors import DockerVpsError
from .._core.releases import Release
from .._core.remedies import play
from . import files
from .lock import locked

DEFINITION, ENVIRONMENT, LOG, JOURNAL = "compose.yml", ".env.production", "log", "journal.json"
PREVIOUS = ".previous"
GIVEN, SECRETS = "container.env", "secrets"
_RECORD, _CURRENT, _LOCK = "release.json", "current", ".lock"


class Releases:
    """The releases in the directory of an app; ``environment`` is the path of the live env file."""

    def __init__(self, directory: str, environment: str) -> None:
        self.home = directory
        self.directory = os.path.join(directory, "releases")
        self.live = {DEFINITION: os.path.join(directory, DEFINITION), ENVIRONMENT: environment}

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            DockerVpsError: they cannot be made.
        """
        files.make_directory(self.home)
        _make_private(self.directory)

    def lock(self, what: str, wait: float) -> ContextManager[None]:
        """Hold the lock of this app's releases; see lock.locked."""
        return locked(os.path.join(self.directory, _LOCK), what, wait)

    def path(self, release_id: str, file: str) -> str:
        """Return the path of a release's file."""
        return os.path.join(self.directory, release_id, file)

    def listing(self) -> list[Release]:
        """Return the releases, newest first. A cutover under way is among them.

        Raises:
            DockerVpsError: one cannot be read.
        """
        found = [self.read(name) for name in self._folders()]
        return sorted((release for release in found if release), key=lambda release: release.id, reverse=True)

    def read(self, release_id: str) -> Optional[Release]:
        """Return a release, or None when nothing was written down under that id.

        Raises:
            DockerVpsError: it cannot be read.
        """
        path = self.path(release_id, _RECORD)
        kept = files.read(path)
        return releases.parse(kept.text, path) if kept else None

    def current(self) -> str:
        """Return the id of the live release, empty when there is none."""
        try:
            return os.path.basename(os.readlink(os.path.join(self.directory, _CURRENT)))
        except OSError:
            return ""

    def begin(self, release: Release, definition: str, environment: files.Kept) -> None:
        """Write down a release that is about to be put live."""
        os.mkdir(os.path.join(self.directory, release.id), mode=0o700)
        self.record(release)
        text = releases.of_release(definition, release.id)
        files.replace(self.path(release.id, DEFINITION), files.own(text, 0o640))
        files.replace(self.path(release.id, ENVIRONMENT), environment)

    def record(self, release: Release) -> None:
        """Write what is known of a release."""
        files.replace(self.path(release.id, _RECORD), files.own(releases.text_of(release)))

    def keep_log(self, release_id: str, text: str) -> str:
        """Keep what a version wrote, and return the path."""
        path = self.path(release_id, LOG)
        files.replace(path, files.own(text))
        return path

    def has_log(self, release_id: str) -> bool:
        """Return whether the log of a failed version was kept."""
        return os.path.exists(self.path(release_id, LOG))

    def put_live(self, release_id: str, instead_of: str = "") -> None:
        """Put the definition and the environment of a release in their places.

        Args:
            instead_of: the release whose files are to go; what somebody has written there since stays, because the
                next run wants it.

        Raises:
            DockerVpsError: they cannot be read or written.
        """
        for name, path in self.live.items():
            kept = files.read(self.path(release_id, name))
            if kept is None:
                raise DockerVpsError(
                    f"{self.path(release_id, name)} is gone, so the release {release_id} cannot be put live. "
                    f"Run {play('deploy')}."
                )
            existing = files.read(path)
            to_go = files.read(self.path(instead_of, name)) if instead_of else None
            wanted_next = existing and to_go and existing.text not in (to_go.text, kept.text)
            if existing != kept and not wanted_next:
                files.replace(path, kept)
        for path, kept in self._given(release_id).items():
            if files.read(path) != kept:
                _make_private(os.path.dirname(path))
                files.replace(path, kept)

    def _given(self, release_id: str) -> Mapping[str, files.Kept]:
        """Return the files with which a release's container is given its secrets, by their paths."""
        release, environment = self.read(release_id), files.read(self.path(release_id, ENVIRONMENT))
        if not release or not release.secrets or not environment:
            return {}
        values = dotenv.parse(environment.text)
        given = files.own(dotenv.dump(secret_files.environment(values, release.secrets)))
        user, group = secret_files.owner(values)
        secrets = {
            self.path(release_id, os.path.join(SECRETS, name)): files.Kept(
                secret_files.content(values[name]), 0o400, user, group
            )
            for name in release.secrets
        }
        return {self.path(release_id, GIVEN): given, **secrets}

    def unreleased(self) -> list[str]:
        """Return where something else is than the live release's definition, environment and secrets.

        Raises:
            DockerVpsError: no release is live, or a file cannot be read.
        """
        current = self.current()
        if not current:
            raise DockerVpsError(
                f"No release is live in {self.home}: the application was never deployed here, or was removed. "
                f"Run {play('deploy')}."
            )
        own = [path for name, path in self.live.items() if files.read(path) != files.read(self.path(current, name))]
        return own + [path for path, kept in self._given(current).items() if files.read(path) != kept]

    def definition_diff(self, wanted: str) -> dict[str, str]:
        """Return the definition that is on the host and the wanted one, as Ansible shows a difference."""
        path = self.live[DEFINITION]
        before = files.read(path)
        return {
            "before": releases.of_any(before.text, self.current()) if before else "",
            "after": wanted,
            "before_header": path,
            "after_header": path,
        }

    def put_back(self) -> list[str]:
        """Put the live release's files in their places, and return where something else lay.

        What lay there is kept beside it, with ``.previous`` behind its name; of secrets nothing is kept.

        Raises:
            DockerVpsError: no release is live, or they cannot be read or written.
        """
        paths = self.unreleased()
        for path in paths:
            existing = files.read(path)
            if existing and path in self.live.values():
                files.replace(path + PREVIOUS, replace(existing, mode=0o600))
        self.put_live(self.current())
        return paths

    def make_current(self, release_id: str) -> None:
        """Say, in one step and durably, that a release is live."""
        link = os.path.join(self.directory, _CURRENT)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link + files.PARTIAL)
        os.symlink(release_id, link + files.PARTIAL)
        os.rename(link + files.PARTIAL, link)
        files.sync_directory(self.directory)

    def unfinished(self) -> list[str]:
        """Return the ids of releases whose cutover has neither ended nor been undone."""
        return [name for name in self._folders() if os.path.exists(self.path(name, JOURNAL))]

    def taken(self) -> list[str]:
        """Return the ids that are in use, also by runs that were killed before they had written anything down."""
        return self._folders()

    def forget(self, release_id: str) -> None:
        """Remove a release that is not live."""
        shutil.rmtree(os.path.join(self.directory, release_id), ignore_errors=True)

    def _folders(self) -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self.directory) if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise files.refused(f"{self.directory} cannot be read", error) from error


def _make_private(path: str) -> None:
    files.make_directory(path)
    try:
        os.chmod(path, 0o700)
    except OSError as error:
        raise files.refused(f"{path} cannot be kept for its owner", error) from error
