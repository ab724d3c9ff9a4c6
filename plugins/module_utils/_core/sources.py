# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of an application on the controller: which files count, and their digest.

Files are chosen as the build would choose them, by ``.dockerignore``
(https://docs.docker.com/build/concepts/context/#dockerignore-files), so that a change that
cannot reach the image does not cause a build.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from typing import Iterable, Iterator

from . import dockerignore
from .errors import InvalidInput

OWN = ("Dockerfile", "Dockerfile.dockerignore", ".dockerignore")
"""Files of an application that the builder reads itself, whatever they leave out."""


def chosen(root: str, default_ignore: str) -> list[str]:
    """Return the files of the sources, relative to ``root`` and sorted.

    Which of its ignore files counts is decided as the builder does it. Without one it is the default, and with a
    Dockerfile of the application all but git's own directory counts.

    Raises:
        InvalidInput: there is no such directory, it holds no files, or a line of its ignore file is no pattern.
    """
    if not os.path.isdir(root):
        raise InvalidInput(f"The sources {root} are not a directory on the controller. Correct docker_vps_source_path.")
    patterns = _patterns(root, default_ignore)
    own = [name for name in OWN if os.path.isfile(os.path.join(root, name))]
    files = sorted({*dockerignore.kept(patterns, lambda folder: _entries(os.path.join(root, folder))), *own})
    if not set(files) - set(OWN[1:]):
        raise InvalidInput(
            f"The sources {root} hold no files, or .dockerignore leaves none. Correct docker_vps_source_path, or that "
            "file."
        )
    return files


def _patterns(root: str, default_ignore: str) -> list[dockerignore.Pattern]:
    """Return what is left out: the file named after an own Dockerfile comes before the common one."""
    own = os.path.isfile(os.path.join(root, OWN[0]))
    for name in OWN[1 if own else 2 :]:
        path = os.path.join(root, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return dockerignore.patterns_of(file.read(), name)
    # As for the builder when it takes sources from git itself.
    return dockerignore.patterns_of(b".git" if own else default_ignore.encode(), "the default list")


def _entries(folder: str) -> list[tuple[str, bool]]:
    """Return what a build could take of a directory: files, links and directories."""
    with os.scandir(folder) as found:
        return [
            (one.name, one.is_dir(follow_symlinks=False))
            for one in found
            if one.is_dir(follow_symlinks=False) or one.is_file(follow_symlinks=False) or one.is_symlink()
        ]


def digest(root: str, files: Iterable[str]) -> str:
    """Return the SHA-256 over names, kinds, execute bits and contents, as hexadecimal digits."""
    total = hashlib.sha256()
    for name in files:
        path = os.path.join(root, name)
        mode = os.lstat(path).st_mode
        kind = b"l" if stat.S_ISLNK(mode) else b"x" if mode & stat.S_IXUSR else b"f"
        total.update(kind + os.fsencode(name) + b"\0")
        one = hashlib.sha256()
        if stat.S_ISLNK(mode):
            one.update(os.fsencode(os.readlink(path)))
        else:
            for block in _blocks(path):
                one.update(block)
        total.update(one.digest())
    return total.hexdigest()


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while True:
            block = file.read(1 << 20)
            if not block:
                return
            yield block


def archive(root: str, files: Iterable[str], path: str) -> None:
    """Write the files into a gzip-compressed tar archive, owned by root in it."""

    def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        # Whatever the umask here was, the application must be able to read it.
        member.mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
        return member

    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in files:
            tar.add(os.path.join(root, name), arcname=name, recursive=False, filter=as_root)
