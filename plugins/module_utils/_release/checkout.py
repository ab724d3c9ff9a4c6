# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a directory to a version of a git repository, and leave what people changed there alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Iterator, Optional, Protocol, Sequence

from .._core import git as rules
from .._core import payload, upload_limits
from .._core.dockerfile import NAME, Kind, misplaced, outside
from .._core.errors import DockerVpsError, InvalidInput
from .._core.package_manager import PackageManager, manager_of
from .._core.text import listed
from .._core.validators import without_password
from .._engine.git import Access, Git
from .._store import files

_UNDER_WAY = "docker-vps-checkout"  # a file in .git, there while files are exchanged
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_REFS = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
_SHOWN = 5  # names of files


class GitLike(Protocol):
    """What is needed of git."""

    def __call__(self, *command: str, given: Optional[str] = None) -> str:
        """Run a command and return its output."""
        raise NotImplementedError

    def has(self, *command: str) -> bool:
        """Run a command that answers by its exit code."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """Which version (branch, tag or commit) of which repository (URL) in which directory, and how git may ask for it.

    ``timeout`` is for each command of git, in seconds. The version must have a file at ``dockerfile_path`` and a
    directory at ``context_path``, unless they are empty. For ``upload_max`` see upload_limits.cautions_of.
    """

    url: str
    version: str
    directory: str
    access: Access
    timeout: int
    dockerfile_path: str = ""
    context_path: str = ""
    upload_max: int = 0


def run(params: Params, check_mode: bool) -> dict[str, Any]:
    """Bring the directory to the version; see check_out. In check mode no server is remembered.

    Raises:
        DockerVpsError: it cannot be done.
    """
    access = params.access
    if check_mode and access.known_hosts == rules.ACCEPT_NEW:
        access = replace(access, known_hosts=rules.ACCEPT_UNKEPT)
    with Git(params.directory, params.url, access, params.timeout) as git:
        return check_out(params, git, check_mode)


def check_out(params: Params, git: GitLike, check_mode: bool) -> dict[str, Any]:
    """Bring the directory to the version and return the commits before and after.

    In check mode the remote is asked what the version is, and nothing is written. An abbreviated commit that the
    directory does not know yet is then reported as it was asked for.

    Raises:
        DockerVpsError: people's work is in the way, the remote refuses, or has no such version.
        InvalidInput: what the build reads is not in the version.
    """
    checkout = _Checkout(params, git)
    try:
        result = _run(checkout, check_mode)
    except DockerVpsError as error:
        what = f"{params.version} of {params.url} cannot be checked out into {params.directory}."
        raise DockerVpsError(f"{what} {error.message}") from error
    checkout.refuse_misplaced(result["after"])
    return result


def _run(checkout: _Checkout, check_mode: bool) -> dict[str, Any]:
    before = checkout.commit()
    wanted = checkout.wanted()
    changed = not wanted or wanted != before or checkout.was_killed
    if changed and not check_mode:
        wanted = checkout.bring(wanted)
    after = wanted or checkout.params.version
    names = checkout.names(after)
    manager, cautions = checkout.looked_at(after, names)
    return {
        "changed": changed,
        "before": before,
        "after": after,
        "files": names,
        "dockerfile": checkout.dockerfile(after),
        "package_manager": manager.facts(),
        "cautions": list(cautions),
        "diff": {"before": f"{before}\n" if before else "", "after": f"{after}\n"},
    }


class _Checkout:
    def __init__(self, params: Params, git: GitLike) -> None:
        self.params, self.git = params, git
        self.directory, self.own = params.directory, os.path.join(params.directory, ".git")
        self.under_way = os.path.join(self.own, _UNDER_WAY)
        self.was_killed = False

    def commit(self) -> str:
        """Return the commit that is there, empty when there is none; refuse what people left there."""
        self.was_killed = os.path.exists(self.under_way)
        if not os.path.isdir(self.own):
            existing = sorted(os.listdir(self.directory)) if os.path.isdir(self.directory) else []
            if existing:
                raise DockerVpsError(f"That directory is no git checkout and holds {_some(existing)}. Move it away.")
            return ""
        self.git("rev-parse", "--git-dir")  # says what is wrong with it
        known = self.git("config", "--default", "", "--get", "remote.origin.url").strip()
        if known and not rules.same_repository(known, self.params.url):
            other = without_password(known)
            raise DockerVpsError(
                f"That directory is a checkout of {other}: is this another application? If the repository has moved, "
                f"say so with git -C {self.directory} remote set-url origin {self.params.url}"
            )
        head = self._whole("HEAD")
        if not head:
            return ""  # a run ended before there was a first version
        if not self.was_killed:
            changed = self.git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none")
            names = [line[3:] for line in changed.splitlines()]
            if names:
                raise DockerVpsError(
                    f"There are local changes in that directory: {_some(names)}. Commit and push them to the "
                    "repository, or drop them with git checkout -- . in that directory."
                )
        return head

    def wanted(self) -> str:
        """Return the commit that the version is; empty when only a fetch can tell."""
        version = self.params.version
        if rules.is_commit(version) and self._knows(version):
            return version
        refs = rules.refs_of(self.git("ls-remote", "--", self.params.url))
        found = rules.resolved(version, refs)
        if found:
            return found
        if not rules.may_be_short(version):
            raise DockerVpsError(rules.unknown(version, refs))
        return self._whole(version)

    def bring(self, wanted: str) -> str:
        """Fetch what is missing, put the version's files in place, and return its commit."""
        self._prepare()
        if not wanted or not self._knows(wanted):
            self._fetch(wanted)
        commit = wanted or self._whole(self.params.version)
        if not commit or not self._knows(commit):
            raise DockerVpsError(rules.unknown(self.params.version, {}))
        files.replace(self.under_way, files.own(f"{commit}\n", 0o644))
        # Forced, since a run that was killed here leaves files of either version.
        force = ["--force"] if self.was_killed else []
        self.git("checkout", "--quiet", "--detach", "--no-recurse-submodules", *force, commit)
        self._submodules()
        self._large_files()
        os.unlink(self.under_way)
        return commit

    def names(self, commit: str, folder: str = "") -> list[str]:
        """Return what is at the top of a commit, or in a folder of it; nothing when that is not here yet."""
        tree = f"{commit}:{folder}"
        if not self._knows(commit) or not self.git.has("cat-file", "-e", tree):
            return []
        return self.git("ls-tree", "-z", "--name-only", tree).split("\0")[:-1]

    def looked_at(self, commit: str, names: Sequence[str]) -> tuple[PackageManager, Sequence[str]]:
        """Return what installs the dependencies in the context of a commit, and cautions about the application.

        That is npm when the commit is not here yet.

        Args:
            names: what is at the top of the commit.
        """
        context = os.path.normpath(self.params.context_path or os.curdir)
        folder = "" if context == os.curdir else f"{context}/"
        names = self.names(commit, folder) if folder else names

        def text(name: str) -> Optional[str]:
            path = f"{commit}:{folder}{name}"
            return self.git("cat-file", "blob", path) if self.git.has("cat-file", "-e", path) else None

        if not names:
            return PackageManager("npm"), ()
        cautions = [*payload.cautions_of(text), *upload_limits.cautions_of(text, self.params.upload_max)]
        return manager_of(names, text), cautions

    def dockerfile(self, commit: str) -> str:
        """Return the content of the Dockerfile of a commit, empty when it has none or is not here yet."""
        path = os.path.normpath(self.params.dockerfile_path or os.path.join(self.params.context_path, NAME))
        if outside(path) or not self._knows(commit):
            return ""
        found = self.git("cat-file", "--batch", "--follow-symlinks", given=f"{commit}:{path}\n")
        header, _line, content = found.partition("\n")
        return content[:-1] if rules.kind_of(header) is Kind.FILE else ""  # git ends what it prints

    def refuse_misplaced(self, commit: str) -> None:
        """Refuse a Dockerfile or a context that is not in a commit, unless that is not here yet."""
        sources = f"{self.params.version} of {self.params.url}"
        for path, wanted in (
            (self.params.dockerfile_path, Kind.FILE),
            (self.params.context_path, Kind.DIRECTORY),
        ):
            wrong = path and self._knows(commit) and misplaced(path, wanted, self._kind(commit, path), sources)
            # What a submodule has, only its files can tell, which the build looks at.
            if wrong and not self.git.has("cat-file", "-e", f"{commit}:.gitmodules"):
                raise InvalidInput(wrong)

    def _kind(self, commit: str, path: str) -> Kind:
        if outside(path):
            return Kind.OUTSIDE
        name = os.path.normpath(path)
        asked = f"{commit}:{'' if name == os.curdir else name}\n"
        return rules.kind_of(self.git("cat-file", "--batch-check", "--follow-symlinks", given=asked))

    def _prepare(self) -> None:
        files.make_directory(self.directory)
        if not os.path.isdir(self.own):
            self.git("init", "--quiet")
        self._clear_locks()
        # Relative addresses of submodules are relative to this one.
        self.git("config", "remote.origin.url", self.params.url)

    def _fetch(self, commit: str) -> None:
        shallow = ["--unshallow"] if os.path.exists(os.path.join(self.own, "shallow")) else []
        # Forced and pruned, so that tags and branches that were moved or renamed there are the same here.
        self.git("fetch", "--quiet", "--force", "--prune", "--no-recurse-submodules", *shallow, "origin", *_REFS)
        if commit and not self._knows(commit):  # of no branch or tag, as those of pull requests
            self.git("fetch", "--quiet", "--no-recurse-submodules", "origin", commit)

    def _submodules(self) -> None:
        if not os.path.exists(os.path.join(self.directory, ".gitmodules")):
            return
        self.git("submodule", "--quiet", "sync", "--recursive")
        self.git("submodule", "--quiet", "update", "--init", "--recursive", "--force")

    def _large_files(self) -> None:
        left = [path for place in self._places() for path in self._pointers(place)]
        if left:
            raise DockerVpsError(f"{rules.NO_LFS} Only pointers are here: {_some(left)}.")

    def _places(self) -> Sequence[str]:
        """Return the directories of the repository and its submodules, below its own."""
        if not os.path.exists(os.path.join(self.directory, ".gitmodules")):
            return [""]
        return ["", *self.git("submodule", "--quiet", "foreach", "--recursive", "echo $displaypath").splitlines()]

    def _pointers(self, place: str) -> Iterator[str]:
        """Fetch what Git LFS keeps for one of them, and yield the files of which only pointers are here."""
        options = ("-C", os.path.join(self.directory, place))
        attributes = (".gitattributes", "**/.gitattributes")
        if not self.git.has(*options, "grep", "--quiet", "--cached", "filter=lfs", "--", *attributes):
            return
        if self.git.has(*options, "lfs", "version"):
            self.git(*options, "lfs", "install", "--local")
            self.git(*options, "lfs", "pull")
        names = self.git(*options, "ls-files", "-z")
        fields = self.git(*options, "check-attr", "-z", "--stdin", "filter", given=names).split("\0")
        for name, _unused, value in zip(fields[::3], fields[1::3], fields[2::3]):
            path = os.path.join(place, name)
            if value == "lfs" and _is_pointer(os.path.join(self.directory, path)):
                yield path

    def _knows(self, commit: str) -> bool:
        return os.path.isdir(self.own) and self.git.has("cat-file", "-e", f"{commit}^{{commit}}")

    def _whole(self, name: str) -> str:
        """Return the commit of a name such as HEAD, or whose name begins so; empty when there is none here."""
        if not os.path.isdir(self.own):
            return ""
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
        except DockerVpsError:
            return ""

    def _clear_locks(self) -> None:
        """Remove locks that a killed git left: nothing is running in the directory."""
        locks = list(_locks(self.own))
        if locks and not _git_works_in(self.directory):
            for lock in locks:
                os.unlink(lock)


def _locks(own: str) -> Iterator[str]:
    for folder, folders, names in os.walk(own):
        folders[:] = [name for name in folders if name != "objects"]  # many, and no lock there stops a checkout
        yield from (os.path.join(folder, name) for name in names if name.endswith(".lock"))


def _git_works_in(directory: str) -> bool:
    place = os.path.realpath(directory)
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/comm", encoding="utf-8", errors="replace") as file:
                named = file.read().startswith("git")
            here = os.path.join(os.readlink(f"/proc/{number}/cwd"), "").startswith(os.path.join(place, ""))
        except OSError:
            continue  # it has ended
        if named and here:
            return True
    return False


def _is_pointer(path: str) -> bool:
    if not os.path.isfile(path) or os.path.islink(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def _some(names: Sequence[str]) -> str:
    return listed(names, _SHOWN)
