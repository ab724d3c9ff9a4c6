# SPDX-License-Identifier: GPL-3.0-or-later
"""A Dockerfile of the application's own: where it and its context may lie, and what it must have."""

from __future__ import annotations

import enum
import posixpath
import re
from typing import Optional

from .remedies import setting

NAME = "Dockerfile"


class Kind(enum.Enum):
    """What lies at a path of the sources."""

    FILE = "file"
    DIRECTORY = "directory"
    NOTHING = "nothing"
    OUTSIDE = "outside"
    """It is above the sources, or a link leads there."""


def outside(path: str) -> bool:
    """Return whether a path, relative to the sources' top, leads out of them whatever lies there."""
    cleaned = posixpath.normpath(path)
    return cleaned.startswith(("/", "../")) or cleaned == ".."


def misplaced(path: str, wanted: Kind, found: Kind, sources: str) -> Optional[str]:
    """Return why a path cannot be that of the Dockerfile (a file) or of the context (a directory), unless it can.

    Args:
        sources: how they are called.
    """
    if found is wanted:
        return None
    remedy = setting("dockerfile") if wanted is Kind.FILE else setting("build_context")
    if found is Kind.OUTSIDE:
        return f"{path} leads out of {sources}. Correct {remedy}, or put there what it leads to."
    if found is Kind.NOTHING:
        return f"There is no {wanted.value} {path} in {sources}. Correct {remedy}, a path from the sources' top."
    return f"{path} in {sources} is a {found.value}. Correct {remedy}, which must name a {wanted.value}."


def no_stage(text: str) -> bool:
    """Return whether a Dockerfile lacks what each must have, a line FROM; one in another language is not judged."""
    return not re.search(r"(?mi)^(?:\ufeff?[ \t]*FROM[ \t\\]|#[ \t]*syntax[ \t]*=)", text)
