# SPDX-License-Identifier: GPL-3.0-or-later
"""Have apt find packages in a repository, whose key is the one that is known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

from .._core.apt_sources import entry, is_empty, without
from .._core.errors import DockerVpsError, InvalidInput
from .._core.openpgp import fingerprints
from .._store import files
from .apt_packages import waited

_LIMIT = 1 << 20  # bytes of a key, or of a file that names repositories


class Apt(Protocol):
    """What is needed of apt."""

    def architecture(self) -> str:
        """Return the architecture of the host's packages."""
        raise NotImplementedError

    def update(self, path: str) -> str:
        """Read the lists of the repositories that a file names, and return whose lock was waited for."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module apt_source.

    Attributes:
        place: the directory of apt's configuration.
    """

    name: str
    url: str
    suite: str
    component: str
    key_url: str
    fingerprint: str
    place: str = "/etc/apt"

    @property
    def path(self) -> str:
        """The file that names the repository."""
        return os.path.join(self.place, "sources.list.d", f"{self.name}.sources")

    @property
    def key(self) -> str:
        """The file of its key."""
        return os.path.join(self.place, "keyrings", f"{self.name}.asc")


def run(params: Params, apt: Apt, fetch: Callable[[str], str], check_mode: bool) -> dict[str, Any]:
    """Write what is lacking, have apt read the lists of the repository, and return the result.

    Raises:
        DockerVpsError: the key cannot be had or is another one, or apt cannot use the repository; everything is as it
            was before then.
    """
    wanted = {params.path: entry(params.url, params.suite, params.component, apt.architecture(), params.key)}
    before = {path: files.read(path, limit=_LIMIT) for path in [params.key, *_paths(params)]}
    for path, kept in before.items():
        if kept and path not in (params.path, params.key):
            wanted[path] = without(kept.text, os.path.basename(path), params.url)
    if not _is_known(before[params.key], params.fingerprint):
        wanted = {params.key: "" if check_mode else _key(params, fetch), **wanted}
    changes = {path: text for path, text in wanted.items() if text != _text(before.get(path))}
    holder = ""
    if changes and not check_mode:
        for folder in map(os.path.dirname, (params.path, params.key)):
            if not os.path.isdir(folder):
                files.make_directory(folder)
                os.chmod(folder, 0o755)  # noqa: S103  # apt reads as another user
        try:
            for path, text in changes.items():
                _write(path, text, before.get(path))
            holder = apt.update(params.path)
        except DockerVpsError as error:
            for path in changes:
                files.put_back(path, before.get(path))
            error.also("Everything is as it was before.")
            raise
    return {"changed": bool(changes), "files": sorted(changes), "warnings": waited([holder])}


def _paths(params: Params) -> list[str]:
    """Return the files that name repositories, and ours."""
    folder = os.path.dirname(params.path)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = [os.path.join(folder, name) for name in names if name.endswith((".list", ".sources"))]
    return list(dict.fromkeys([os.path.join(params.place, "sources.list"), *found, params.path]))


def _text(kept: Optional[files.Kept]) -> Optional[str]:
    return kept.text if kept else None


def _is_known(kept: Optional[files.Kept], fingerprint: str) -> bool:
    try:
        return kept is not None and fingerprints(kept.text) == [fingerprint]
    except InvalidInput:
        return False


def _key(params: Params, fetch: Callable[[str], str]) -> str:
    text = fetch(params.key_url)
    try:
        found = fingerprints(text)
    except InvalidInput as error:
        raise InvalidInput(
            f"{params.key_url} is not the key of {params.url}. {error.message} Nothing was changed."
        ) from error
    if found != [params.fingerprint]:
        raise InvalidInput(
            f"The key at {params.key_url} has the fingerprint {' and '.join(found)}, and {params.fingerprint} was "
            "expected. Nothing was changed. Find out from the repository's owner which one is right, before you accept "
            "another one."
        )
    return text


def _write(path: str, text: str, before: Optional[files.Kept]) -> None:
    if before and is_empty(text) and path.endswith((".list", ".sources")) and os.path.basename(path) != "sources.list":
        os.unlink(path)
        return
    files.rewrite(path, text, before)
