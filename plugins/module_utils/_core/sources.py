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
from typing import Callable, Iterable, Iterator, List

from .errors import InvalidInput

# (root, patterns) -> paths relative to root; docker.utils.exclude_paths in real life.
Chooser = Callable[[str, List[str]], Iterable[str]]


def patterns_of(text: str) -> list[str]:
    """Return the patterns of a ``.dockerignore`` file."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def chosen(root: str, default_ignore: str, choose: Chooser) -> list[str]:
    """Return the files of the sources, relative to ``root`` and sorted.

    Dockerfile and ``.dockerignore`` always count, as in a build.

    Raises:
        InvalidInput: there is no such directory, or it holds no files.
    """
    if not os.path.isdir(root):
        raise InvalidInput(f"The sources {root} are not a directory on the controller.")
    own = os.path.join(root, ".dockerignore")
    text = default_ignore
    if os.path.isfile(own):
        with open(own, encoding="utf-8") as file:
            text = file.read()
    keep = ["!Dockerfile", "!.dockerignore"]
    files = sorted(name for name in choose(root, [*patterns_of(text), *keep]) if _is_leaf(os.path.join(root, name)))
    if not files:
        raise InvalidInput(f"The sources {root} hold no files, or .dockerignore leaves none.")
    return files


def _is_leaf(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


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
