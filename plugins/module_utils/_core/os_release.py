# SPDX-License-Identifier: GPL-3.0-or-later
"""What a distribution says of itself, in the format of os-release(5)."""

from __future__ import annotations

from dataclasses import dataclass

_FIELDS = ("ID", "VERSION_ID", "VERSION_CODENAME", "PRETTY_NAME")


@dataclass(frozen=True)
class System:
    """A distribution; an empty string for what it does not say."""

    id: str = ""
    version: str = ""
    codename: str = ""
    name: str = ""


def system(text: str) -> System:
    """Return what the content of an os-release file says."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return System(*(pairs.get(field, "").strip().strip("\"'") for field in _FIELDS))
