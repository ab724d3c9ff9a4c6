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
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

from .._core import dockerfile, dockerignore, payload, upload_limits
from .._core.dockerfile import Kind
from .._core.errors import DockerVpsError, InvalidInput, next_step
from .._core.package_manager import PackageManager, manager_of
from .._core.remedies import setting


@dataclass(frozen=True)
class Layout:
    """Where in sources is what a build reads, as paths relative to their top.

    Attributes:
        dockerfile: the application's own, or where it would be.
        context: the directory that the build is given, empty for the top.
    """

    dockerfile: str = dockerfile.NAME
    context: str = ""

    @property
    def own(self) -> tuple[str, ...]:
        """The files that the builder reads itself, whatever is left out: the Dockerfile and ignore files."""
        return self.dockerfile, *dockerignore.ignore_files(self.dockerfile, self.context)


TOP = Layout()
"""The layout when nothing is said of it."""


def layout_of(root: str, dockerfile_path: str, context_path: str) -> Layout:
    """Return where the parts of a build are, with links instead of directories followed.

    Args:
        dockerfile_path: empty when the Dockerfile is at the top of the context, if there is one.
        context_path: empty for the top of the sources.

    Raises:
        InvalidInput: there is no such file or directory, or it is outside of the sources.
    """
    _refuse_no_directory(root)
    _refuse_misplaced(root, context_path, Kind.DIRECTORY)
    context = _followed(root, context_path)
    if not dockerfile_path:
        return Layout(os.path.join(context, dockerfile.NAME), context)
    _refuse_misplaced(root, dockerfile_path, Kind.FILE)
    folder, name = os.path.split(os.path.normpath(dockerfile_path))
    return Layout(os.path.join(_followed(root, folder), name), context)


def _refuse_misplaced(root: str, path: str, wanted: Kind) -> None:
    wrong = dockerfile.misplaced(path, wanted, _kind(root, path), f"the sources {root}")
    if wrong:
        raise InvalidInput(wrong)


def _followed(root: str, path: str) -> str:
    """Return the path, relative to the sources' top, to which one leads."""
    found = os.path.relpath(os.path.realpath(os.path.join(root, path)), os.path.realpath(root))
    return "" if found == os.curdir else found


def _kind(root: str, path: str) -> Kind:
    """Return what is at a path of the sources; neither its folder nor itself may be outside of them."""
    top, place = os.path.join(os.path.realpath(root), ""), os.path.join(root, path)
    followed = [os.path.join(os.path.realpath(path), "") for path in (os.path.dirname(place), place)]
    if not all(path.startswith(top) for path in followed):
        return Kind.OUTSIDE
    return Kind.DIRECTORY if os.path.isdir(place) else Kind.FILE if os.path.isfile(place) else Kind.NOTHING


def _refuse_no_directory(root: str) -> None:
    if not os.path.isdir(root):
        raise InvalidInput(
            f"The sources {root} are not a directory on the controller. Correct {setting('source_path')}."
        )


def chosen(root: str, ignore: str, layout: Layout = TOP) -> list[str]:
    """Return the files of the sources, relative to ``root`` and sorted.

    Which of its ignore files counts is decided as the builder does it. Without one see dockerignore.default_ignore.

    Raises:
        InvalidInput: there is no such directory, it holds no files, a line of its ignore file is no pattern, or a link
            instead of a file that the builder reads itself leads to none of the files.
        DockerVpsError: it cannot be read.
    """
    _refuse_no_directory(root)
    with _readable(root):
        patterns, top = _patterns(root, ignore, layout), os.path.join(root, layout.context)
        kept = dockerignore.kept(patterns, lambda folder: _entries(os.path.join(top, folder)))
        own = [name for name in layout.own if brings(root, name)]
        files = sorted({*(os.path.join(layout.context, name) for name in kept), *own})
    if not set(files) - set(layout.own[1:]):
        raise InvalidInput(
            f"The sources {root} hold no files, or .dockerignore leaves none. "
            f"Correct {setting('source_path')}, or that file."
        )
    return files


def brings(root: str, name: str) -> bool:
    """Return whether sources have a file that the builder reads itself, or a link to another file of theirs.

    Raises:
        InvalidInput: a link there leads to none of their files, which the builder would not follow either.
    """
    path = os.path.join(root, name)
    if not os.path.islink(path):
        return os.path.isfile(path)
    if _kind(root, name) is not Kind.FILE:
        raise InvalidInput(
            f"{path} is a link to {os.readlink(path)}, and that is no file of the sources. Put the file itself there, "
            "or a link to one inside the sources."
        )
    return True


def own_dockerfile(root: str, layout: Layout) -> str:
    """Return the content of the sources' own Dockerfile, empty when they have none.

    Raises:
        InvalidInput: see brings.
        DockerVpsError: it cannot be read.
    """
    if not brings(root, layout.dockerfile):
        return ""
    with _readable(root), open(os.path.join(root, layout.dockerfile), encoding="utf-8", errors="replace") as file:
        return file.read()


def ignore_file(root: str, layout: Layout) -> str:
    """Return the ignore file that counts, relative to ``root``; empty when there is none."""
    # The one beside the Dockerfile belongs to it alone, and not to ours.
    looked_for = layout.own[1:] if brings(root, layout.dockerfile) else layout.own[2:]
    return next((name for name in looked_for if brings(root, name)), "")


def _place(root: str, name: str, layout: Layout) -> str:
    """Return where the contents of a file are: the builder follows links instead of what it reads itself."""
    path = os.path.join(root, name)
    return os.path.realpath(path) if name in layout.own else path


def _patterns(root: str, ignore: str, layout: Layout) -> list[dockerignore.Pattern]:
    name = ignore_file(root, layout)
    if name:
        with open(os.path.join(root, name), "rb") as file:
            return dockerignore.patterns_of(file.read(), name)
    ours = dockerignore.default_ignore(brings(root, layout.dockerfile), ignore)
    return dockerignore.patterns_of(ours.encode(), "the default list")


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


def looked_at(root: str, layout: Layout = TOP, upload_max: int = 0) -> tuple[PackageManager, Sequence[str]]:
    """Return what installs the dependencies in the context of the sources, and cautions about the application.

    Args:
        upload_max: see upload_limits.cautions_of.

    Raises:
        DockerVpsError: they cannot be read.
    """

    def text(name: str) -> Optional[str]:
        path = os.path.join(root, layout.context, name)
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    with _readable(root):
        manager = manager_of(os.listdir(os.path.join(root, layout.context)), text)
        return manager, [*payload.cautions_of(text), *upload_limits.cautions_of(text, upload_max)]


def digest(root: str, files: Iterable[str], layout: Layout = TOP) -> str:
    """Return the SHA-256 over names, kinds, execute bits and contents, as hexadecimal digits.

    Raises:
        DockerVpsError: one of them cannot be read.
    """
    with _readable(root):
        return _digest(root, files, layout)


def _digest(root: str, files: Iterable[str], layout: Layout) -> str:
    total = hashlib.sha256()
    for name in files:
        path = _place(root, name, layout)
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


def archive(root: str, files: Iterable[str], path: str, layout: Layout = TOP) -> None:
    """Write the files into a gzip-compressed tar archive, owned by root in it.

    Raises:
        DockerVpsError: one of them cannot be read, or there is no space for the archive.
    """

    def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        # Whatever the umask here was, the application must be able to read it.
        member.mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
        return member

    with _readable(root), tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in files:
            tar.add(_place(root, name, layout), arcname=name, recursive=False, filter=as_root)
