# SPDX-License-Identifier: GPL-3.0-or-later
"""What sentences tell people to do, in no speaker's words yet.

A failure below knows what is wrong and what would help; whether that is a variable of an inventory or an option of the
host's command, only the speaker knows who tells it. So the functions here return a marked string, such as
⟦setting backup_directory⟧, and the exits of modules and of the command replace it by their own words.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

Words = Mapping[str, Callable[..., str]]
"""A speaker's words for each kind of remedy, made of what was given to the function of that name."""

OPEN, CLOSE = "⟦⟧"
_MARKED = re.compile(rf"{OPEN}([a-z_]+)((?: [^ {OPEN}{CLOSE}]+)*){CLOSE}")


def setting(name: str, value: str = "") -> str:
    """Return what stands for a setting, or for the one value of it that helps."""
    return _marked("setting", name, value)


def once(name: str, value: str) -> str:
    """Return what stands for a setting that is meant for a single run."""
    return _marked("once", name, value)


def play(name: str) -> str:
    """Return what stands for running a playbook."""
    return _marked("play", name)


def again() -> str:
    """Return what stands for the same run again."""
    return _marked("again")


def as_root() -> str:
    """Return what stands for running as root, as the end of a clause."""
    return _marked("as_root")


def is_it_root() -> str:
    """Return what stands for the question whether this has to run as root."""
    return _marked("is_it_root")


def _marked(*parts: str) -> str:
    return f"{OPEN}{' '.join(filter(None, parts))}{CLOSE}"


def worded(value: Any, words: Words) -> Any:
    """Return a string, or data with all its strings, in a speaker's words."""
    if isinstance(value, str):
        return _MARKED.sub(lambda found: _phrase(found, words), value) if OPEN in value else value
    if isinstance(value, Mapping):
        return {worded(key, words): worded(item, words) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [worded(item, words) for item in value]
    return value


def _phrase(found: re.Match[str], words: Words) -> str:
    kind = words.get(found[1])
    return kind(*found[2].split()) if kind else found[0]  # which was no remedy
