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
from contextlib import contextmanager
from typing import Iterable, Iterator, Optional

from .._core import dockerignore
from .._core.dockerignore import OWN
from .._core.errors import DockerVpsError, InvalidInput, next_step
from .._core.package_manager import PackageManager, manager_of
from .._core.remedies import setting


def chosen(root: str, ignore: str) -> list[str]:
    """Return the files of the sources, relative to ``root`` and sorted.

    Which of its ignore files counts is decided as the builder does it. Without one see dockerignore.default_ignore.

    Raises:
        InvalidInput: there is no such directory, it holds no files, a line of its ignore file is no pattern, or a link
            in place of a file of OWN leads to none of the files.
        DockerVpsError: it cannot be read.
    """
    if not os.path.isdir(root):
        raise InvalidInput(
            f"The sources {root} are not a directory on the controller. Correct {setting('source_path')}."
        )
    with _readable(root):
        patterns = _patterns(root, ignore)
        own = [name for name in OWN if brings(root, name)]
        files = sorted({*dockerignore.kept(patterns, lambda folder: _entries(os.path.join(root, folder))), *own})
    if not set(files) - set(OWN[1:]):
        raise InvalidInput(
            f"The sources {root} hold no files, or .dockerignore leaves none. "
            f"Correct {setting('source_path')}, or that file."
        )
    return files


def brings(root: str, name: str) -> bool:
    """Return whether sources have a file of OWN, or a link to another file of theirs in its place.

    Raises:
        InvalidInput: a link there leads to none of their files, which the builder would not follow either.
    """
    path, place = os.path.join(root, name), _place(root, name)
    if not os.path.islink(path):
        return os.path.isfile(path)
    if not os.path.isfile(place) or not place.startswith(os.path.join(os.path.realpath(root), "")):
        raise InvalidInput(
            f"{path} is a link to {os.readlink(path)}, and that is no file of the sources. Put the file itself there, "
            "or a link to one inside the sources."
        )
    return True


def _place(root: str, name: str) -> str:
    """Return where the contents of a file lie: the builder itself reads what links in place of OWN lead to."""
    path = os.path.join(root, name)
    return os.path.realpath(path) if name in OWN else path


def _patterns(root: str, ignore: str) -> list[dockerignore.Pattern]:
    own = brings(root, OWN[0])
    for name in dockerignore.ignore_files(own):
        if brings(root, name):
            with open(os.path.join(root, name), "rb") as file:
                return dockerignore.patterns_of(file.read(), name)
    return dockerignore.patterns_of(dockerignore.default_ignore(own, ignore).encode(), "the default list")


def _entries(folder: str) -> list[tuple[str, bool]]:
    """Return what a build could take of a directory: files, links and directories."""
    with os.scandir(folder) as found:
        return [
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in found
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False) or entry.is_symlink()
        ]


@contextmanager
def _readable(root: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DockerVpsError(
            f"The sources {root} cannot be read on the controller: {where}{error.strerror}. {next_step(error)}"
        ) from error


def installer(root: str) -> PackageManager:
    """Return what installs the dependencies of the sources.

    Raises:
        DockerVpsError: they cannot be read.
    """

    def text(name: str) -> Optional[str]:
        path = os.path.join(root, name)
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    with _readable(root):
        return manager_of(os.listdir(root), text)


def digest(root: str, files: Iterable[str]) -> str:
    """Return the SHA-256 over names, kinds, execute bits and contents, as hexadecimal digits.

    Raises:
        DockerVpsError: one of them cannot be read.
    """
    with _readable(root):
        return _digest(root, files)


def _digest(root: str, files: Iterable[str]) -> str:
    total = hashlib.sha256()
    for name in files:
        path = _place(root, name)
        mode = os.lstat(path).st_mode
        kind = b"l" if stat.S_ISLNK(mode) else b"x" if mode & stat.S_IXUSR else b"f"
        total.update(kind + os.fsencode(name) + b"\0")
        content = hashlib.sha256()
        if stat.S_ISLNK(mode):
            content.update(os.fsencode(os.readlink(path)))
        else:
            for block in _blocks(path):
                content.update(block)
        total.update(content.digest())
    return total.hexdigest()


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while True:
            block = file.read(1 << 20)
            if not block:
                return
            yield block


def archive(root: str, files: Iterable[str], path: str) -> None:
    """Write the files into a gzip-compressed tar archive, owned by root in it.

    Raises:
        DockerVpsError: one of them cannot be read, or there is no room for the archive.
    """

    def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        # Whatever the umask here was, the application must be able to read it.
        member.mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
        return member

    with _readable(root), tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in files:
            tar.add(_place(root, name), arcname=name, recursive=False, filter=as_root)
