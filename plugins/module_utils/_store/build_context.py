# SPDX-License-Identifier: GPL-3.0-or-later
"""What the build of an image reads, in a new directory of the host."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

from .._core import dockerfile, dockerignore, environment
from .._core.errors import DockerVpsError, InvalidInput
from .._core.remedies import setting
from . import files, sources
from .sources import Layout


@dataclass(frozen=True)
class Params:
    """See the module build_context."""

    directory: str
    archive: Optional[str]  # of sources, on the host
    context: Optional[str]  # a directory of sources on the host, which stays as it is
    dockerfile: str  # for sources that bring none
    ignore: str
    docker_cli: str  # a program
    dockerfile_path: str = ""  # in the sources
    context_path: str = ""  # in the sources
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    keys: Mapping[str, str] = field(default_factory=dict)  # paths of files, by ids of secrets


def run(params: Params, new_key: Callable[[], str], check_mode: bool) -> dict[str, Any]:
    """Make a directory for one build, always a new one, and return the result.

    Args:
        new_key: makes what is put into a file of ``keys`` that is not there.

    Raises:
        DockerVpsError: it cannot be made, the file of a secret is not there, or that of a key has none.
    """
    _refuse_missing_secrets(params.secrets)
    return {"changed": True, **({} if check_mode else make(params, new_key))}


def make(params: Params, new_key: Callable[[], str]) -> dict[str, Any]:
    """Make a directory for one build and return where in it, or in the sources, is what.

    Raises:
        DockerVpsError: something cannot be written; nothing is left then.
    """
    files.make_directory(params.directory)
    # Not in /tmp, which may be small and may forbid to execute.
    place = tempfile.mkdtemp(prefix="ansible.", suffix=".docker_vps", dir=params.directory)
    try:
        return _filled(params, place, new_key)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise files.refused(
                f"The build in {params.directory} cannot be prepared", error, params.directory
            ) from error
        raise


def _filled(params: Params, place: str, new_key: Callable[[], str]) -> dict[str, Any]:
    root = params.context or _unpacked(params, os.path.join(place, "context"))
    layout = sources.layout_of(root, params.dockerfile_path, params.context_path)
    docker_cli = os.path.join(place, "docker")
    own = _own(root, layout)
    wanted = {} if own else params.keys
    keys = _keys({name: path for name, path in wanted.items() if name not in params.secrets}, new_key)
    mounted = _secrets({**params.secrets, **keys}, os.path.join(place, "secrets"))
    _write(docker_cli, params.docker_cli)
    os.chmod(docker_cli, 0o700)
    return {
        "place": place,
        "path": os.path.join(root, layout.context) if layout.context else root,
        "dockerfile": _instructions(params, root, layout, os.path.join(place, "build")),
        "own_dockerfile": own,
        "docker_cli": docker_cli,
        "secrets": mounted,
        "key_ids": {secret["id"]: _key_id(secret["src"]) for secret in mounted if secret["id"] in wanted},
    }


def _own(root: str, layout: Layout) -> str:
    """Return the content of the sources' own Dockerfile, empty when they have none; refuse one that builds nothing."""
    content = sources.own_dockerfile(root, layout)
    if sources.brings(root, layout.dockerfile) and dockerfile.no_stage(content):
        raise InvalidInput(
            f"{layout.dockerfile} of the sources has no line that begins with FROM, so there is nothing to build. "
            f"Correct it, or name another one with {setting('dockerfile')}."
        )
    return content


def _instructions(params: Params, root: str, layout: Layout, place: str) -> str:
    """Put the Dockerfile that counts into a new directory, with the ignore file that counts; return where it is.

    An ignore file there is the first that the builder looks for, so it takes the same files as sources.chosen.
    """
    os.mkdir(place)
    used = os.path.join(place, os.path.basename(layout.dockerfile))
    own, ignore_file = sources.brings(root, layout.dockerfile), sources.ignore_file(root, layout)
    if own:
        shutil.copyfile(os.path.join(root, layout.dockerfile), used)
    else:
        _write(used, params.dockerfile)
    if ignore_file:
        shutil.copyfile(os.path.join(root, ignore_file), f"{used}.dockerignore")
    else:
        _write(f"{used}.dockerignore", dockerignore.default_ignore(own, params.ignore))
    return used


def _refuse_missing_secrets(secrets: Mapping[str, Any]) -> None:
    for name, given in secrets.items():
        path = _file_of(given)
        if path and not os.path.isfile(path):
            raise InvalidInput(
                f"The build secret {name} is to be read from {path}, and there is no such file on the host. Put it "
                f"there, or correct {setting('build_secrets')}."
            )


def _keys(paths: Mapping[str, str], new_key: Callable[[], str]) -> dict[str, dict[str, str]]:
    """Return keys as secrets, each in its file, which is made when it is not there."""
    for path in paths.values():
        _make_key(path, new_key)
    return {name: {"file": path} for name, path in paths.items()}


def _make_key(path: str, new_key: Callable[[], str]) -> None:
    """Make the file of a key if it is not there; builds of several hosts may do so at the same time."""
    kept = files.read(path)
    if kept is None:
        files.make_directory(os.path.dirname(path))
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path)) as made:
            made.write(new_key())
            made.flush()
            os.fsync(made.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(made.name, path)
    elif environment.wrong_key(kept.text):
        raise DockerVpsError(
            f"{path} does not hold a key of Server Actions, which is base64 of 16, 24 or 32 bytes. Remove it to have "
            "another one made; forms that are open in browsers then fail."
        )


def _key_id(path: str) -> str:
    """Return what tells a key from others; 12 digits of the SHA-256 of so many random bytes tell nothing else."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def _secrets(secrets: Mapping[str, Any], place: str) -> list[dict[str, str]]:
    """Put the values of secrets into files, and links to those that are files; return them as the builder is told.

    The builder reads what it is told of as CSV, in which any path of a host would not do.
    """
    os.mkdir(place, 0o700)
    mounted = []
    for number, (name, given) in enumerate(secrets.items()):
        path = os.path.join(place, str(number))
        if _file_of(given):
            os.symlink(_file_of(given), path)
        else:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(given if isinstance(given, str) else given["value"])
        mounted.append({"id": name, "type": "file", "src": path})
    return mounted


def _file_of(given: Any) -> str:
    """Return the path of a secret that is a file of the host."""
    return "" if isinstance(given, str) else str(given.get("file", ""))


def _unpacked(params: Params, context: str) -> str:
    mask = os.umask(0o022)  # the application must be able to read its directories
    try:
        os.makedirs(os.path.join(context, params.context_path))  # of which nothing may have been sent
        with tarfile.open(params.archive or "") as tar:
            # It is our own, and links of sources may lead anywhere.
            tar.extraction_filter = lambda member, _path: member
            tar.extractall(context)  # noqa: S202
    finally:
        os.umask(mask)
    return context


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
