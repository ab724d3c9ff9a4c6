# SPDX-License-Identifier: GPL-3.0-or-later
"""What the build of an image reads, in a new directory of the host."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from typing import Any, Optional

from .._core import dockerignore
from . import files, sources


@dataclass(frozen=True)
class Params:
    """See the module build_context."""

    directory: str
    archive: Optional[str]  # of sources, on the host
    context: Optional[str]  # a directory of sources on the host, which stays as it is
    dockerfile: str  # for sources that bring none
    ignore: str
    docker_cli: str  # a program


def run(params: Params, check_mode: bool) -> dict[str, Any]:
    """Make a directory for one build, always a new one, and return the result.

    Raises:
        DockerVpsError: it cannot be made.
    """
    return {"changed": True, **({} if check_mode else make(params))}


def make(params: Params) -> dict[str, Any]:
    """Make a directory for one build and return where in it, or in the sources, lies what.

    Raises:
        DockerVpsError: something cannot be written; nothing is left then.
    """
    files.make_directory(params.directory)
    # Not in /tmp, which may be small and may forbid to execute.
    place = tempfile.mkdtemp(prefix="ansible.", suffix=".docker_vps", dir=params.directory)
    try:
        return _filled(params, place)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise files.refused(
                f"The build in {params.directory} cannot be prepared", error, params.directory
            ) from error
        raise


def _filled(params: Params, place: str) -> dict[str, Any]:
    context = params.context or _unpacked(params.archive or "", os.path.join(place, "context"))
    dockerfile, ignore_file, _common = dockerignore.OWN
    own = os.path.join(context, dockerfile)
    brings_dockerfile = sources.brings(context, dockerfile)
    brings_ignore = any(sources.brings(context, name) for name in dockerignore.ignore_files(brings_dockerfile))
    # What the sources do not bring lies beside them, so that their directory stays as it is.
    used = context if brings_dockerfile and brings_ignore else place
    if not brings_dockerfile:
        _write(os.path.join(place, dockerfile), params.dockerfile)
    elif used == place:
        shutil.copyfile(own, os.path.join(place, dockerfile))
    if not brings_ignore:
        _write(os.path.join(place, ignore_file), dockerignore.default_ignore(brings_dockerfile, params.ignore))
    docker_cli = os.path.join(place, "docker")
    _write(docker_cli, params.docker_cli)
    os.chmod(docker_cli, 0o700)
    return {
        "place": place,
        "path": context,
        "dockerfile": os.path.join(used, dockerfile),
        "own_dockerfile": _text(own) if brings_dockerfile else "",
        "docker_cli": docker_cli,
    }


def _unpacked(archive: str, context: str) -> str:
    mask = os.umask(0o022)  # the application must be able to read its directories
    try:
        os.mkdir(context)
        with tarfile.open(archive) as tar:
            # It is our own, and links of sources may lead anywhere.
            tar.extraction_filter = lambda member, _path: member
            tar.extractall(context)  # noqa: S202
    finally:
        os.umask(mask)
    return context


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
