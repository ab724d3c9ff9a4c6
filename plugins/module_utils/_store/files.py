# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from typing import Optional

from .._core.errors import DockerVpsError

PARTIAL = ".partial"


@dataclass(frozen=True)
class Kept:
    """A text file with its owner (numeric ids) and mode (permission bits)."""

    text: str
    mode: int
    uid: int
    gid: int


def read(path: str) -> Optional[Kept]:
    """Return a file, or None when there is none.

    Raises:
        DockerVpsError: something else than a readable UTF-8 file is there.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            facts = os.fstat(file.fileno())
            return Kept(file.read(), stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DockerVpsError(f"{path} cannot be read: {_why(error)}. Move it away or mend it.") from error


def replace(path: str, kept: Kept) -> None:
    """Put a file in place in one step, durable when this returns.

    Raises:
        DockerVpsError: it cannot be written; whatever was there before is untouched.
    """
    partial = path + PARTIAL
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(kept.text)
                os.fchown(file.fileno(), kept.uid, kept.gid)
                os.fchmod(file.fileno(), kept.mode)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise
        sync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise DockerVpsError(f"{path} cannot be written: {_why(error)}. Does the play need become: true?") from error


def make_directory(path: str) -> None:
    """Make a directory (mode 0750) with its parents, when it is missing; empty is the working directory.

    Raises:
        DockerVpsError: it cannot be made.
    """
    try:
        os.makedirs(path or ".", mode=0o750, exist_ok=True)
    except OSError as error:
        raise DockerVpsError(
            f"The directory {path} cannot be made: {_why(error)}. Does the play need become: true?"
        ) from error


def copy_tree(source: str, target: str) -> None:
    """Copy a directory that nobody writes to, with owners, modes, times, links, holes and extended attributes.

    It is done by GNU cp, which shares the blocks on file systems that can. It is not durable yet; see sync_tree.

    Raises:
        DockerVpsError: it cannot be copied; a part of the target may be there.
    """
    try:
        done = subprocess.run(
            ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", source, target],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise DockerVpsError(f"{source} cannot be copied: {_why(error)}.") from error
    if done.returncode:
        raise DockerVpsError(f"{source} cannot be copied to {target}: {done.stderr.strip()}.")


def sync_tree(path: str) -> None:
    """Make a directory that nobody writes to durable, with its files.

    Raises:
        DockerVpsError: the disk refuses.
    """
    try:
        for folder, _unused, names in os.walk(path):
            for name in names:
                _sync_file(os.path.join(folder, name))
            sync_directory(folder)
        sync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise DockerVpsError(f"{path} cannot be made durable: {_why(error)}. Is the disk in order?") from error


def _sync_file(path: str) -> None:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: str) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
