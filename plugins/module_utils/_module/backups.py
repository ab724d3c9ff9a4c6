# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for backups have in common."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._core.archive_index import FILES, REREAD, SHARED
from .._core.data_loss import IGNORED, LossLimits
from .._core.errors import InvalidInput
from .._store.sets import Sets

APP_ARGUMENTS: dict[str, Any] = {
    "app": {"type": "str", "default": "ptnextjs"},
    "directory": {"type": "path"},
}
STORE_ARGUMENTS: dict[str, Any] = {
    "store": {"type": "str", "choices": [FILES, SHARED], "default": FILES},
    "reread": {"type": "int", "default": REREAD},
}
LOSS_ARGUMENTS: dict[str, Any] = {
    "loss_rows": {"type": "float", "default": LossLimits.rows},
    "loss_files": {"type": "float", "default": LossLimits.files},
}
LOSS_IGNORE: dict[str, Any] = {"type": "list", "elements": "str", "default": list(IGNORED)}


def reread_of(given: Mapping[str, Any]) -> int:
    """Return every how many sets the whole content of the volumes is read.

    Raises:
        InvalidInput: it is less than one.
    """
    if given["reread"] < 1:
        raise InvalidInput(f"reread must be 1 or more, but is {given['reread']}.")
    return int(given["reread"])


def limits_of(given: Mapping[str, Any], ignore: Sequence[str]) -> LossLimits:
    """Return from where on something is a loss.

    Raises:
        InvalidInput: a percentage cannot be one.
    """
    for name in LOSS_ARGUMENTS:
        if not 0 <= given[name] <= 100:
            raise InvalidInput(f"{name} must be a percentage between 0 and 100, but is {given[name]:g}.")
    return LossLimits(given["loss_rows"], given["loss_files"], tuple(ignore))


def sets_of(given: Mapping[str, Any]) -> Sets:
    """Return the backup directory that a module's parameters name."""
    return Sets(given["directory"] or f"/var/backups/{given['app']}", given["app"])


def volumes_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the volumes of a module's parameters by the names of their archives.

    Raises:
        InvalidInput: there is none, or the name of one is not a string.
    """
    if not given:
        raise InvalidInput("volumes must name at least one volume, as in {db: ptnextjs-db}.")
    for name, volume in given.items():
        if not isinstance(volume, str) or not volume:
            raise InvalidInput(f"volumes.{name} must be the name of a volume, but is {volume!r}.")
    return {str(name): volume for name, volume in given.items()}
