# SPDX-License-Identifier: GPL-3.0-or-later
"""How sentences have what is put into them: names, numbers and sizes."""

from __future__ import annotations

import os
import re
from typing import Sequence

_LONGEST_NAME = 200
_LONGEST_WORD = 400
_NAMED = 12  # names in one sentence


def short(text: str, most: int = _LONGEST_NAME) -> str:
    """Return a string that somebody else has chosen, of a long one the beginning, as sentences quote it."""
    return text if len(text) <= most else f"{text[:most]}…"


def sentence(text: str) -> str:
    """Return a string, such as the end of a command's output, so that a further sentence can follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def tidy(message: str) -> str:
    """Return a message as people read it, whatever was put into it; lines after the first are evidence, and stay.

    Endless words are shortened, two full stops become one, and a sentence does not come twice in a row.
    """
    prose, *evidence = message.split("\n", 1)
    prose = re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: short(word[0], _LONGEST_WORD), prose)
    prose = re.sub(r"(?<=[^\s./])\.\.(?=\s|$)", ".", prose)  # not those of paths
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", prose)
    once = [sentence for before, sentence in zip(["", *sentences], sentences) if sentence != before]
    return "\n".join([" ".join(once), *evidence])


def shown(path: str) -> str:
    """Return a path as manifests and messages hold it; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def listed(names: Sequence[str], most: int = _NAMED) -> str:
    """Return names as a sentence has them, with the number of those that are too many."""
    more = len(names) - most
    shown = ", ".join(map(short, names[:most]))
    return shown if more <= 0 else f"{shown} and {more} more"


def counted(number: int, what: str) -> str:
    """Return a number of things as people say it."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(count: float) -> str:
    """Return a number of bytes for people, as in 48 KiB."""
    for unit in ("byte" if count == 1 else "bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
