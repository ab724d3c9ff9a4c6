# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration of a Payload application says that is known to end badly; it is read as text, never run."""

from __future__ import annotations

import re
from typing import Callable, Optional, Sequence, Tuple

CONFIGURATIONS = tuple(
    f"{folder}payload.config.{suffix}" for folder in ("", "src/") for suffix in ("ts", "mts", "js", "mjs")
)
_COMMENT = re.compile(r"/\*.*?\*/|(?<![:'\"])//[^\n]*", re.DOTALL)
_ADAPTER = re.compile(r"\bsqliteAdapter\s*\(")


def configuration_of(text: Callable[[str], Optional[str]]) -> Tuple[str, str]:
    """Return the name of the configuration that sources have, and its content without comments; both may be empty."""
    found = ((name, text(name)) for name in CONFIGURATIONS)
    name, content = next(((name, content) for name, content in found if content is not None), ("", ""))
    return name, without_comments(content or "")


def without_comments(code: str) -> str:
    """Return code in JavaScript or TypeScript without its comments."""
    return _COMMENT.sub("", code)


def cautions_of(text: Callable[[str], Optional[str]]) -> Sequence[str]:
    """Return what users of an application on SQLite should know, in sentences; nothing when that cannot be seen.

    Payload changes the schema by itself in development only (https://payloadcms.com/docs/database/migrations). That its
    SQLite adapter writes without transactions was seen with 3.90.2: findings/payload-half-documents.sh.

    Args:
        text: returns the content of a file of the sources, None when it is not there.
    """
    name, plain = configuration_of(text)
    if not _ADAPTER.search(plain):
        return ()
    cautions = []
    if not re.search(r"\bprodMigrations\b", plain):
        cautions.append(
            f"{name} has no prodMigrations, and Payload changes the schema by itself in development only: unless the "
            "application runs its migrations before it is healthy, its tables are those of the version before. Add "
            "prodMigrations to sqliteAdapter."
        )
    if not re.search(r"\btransactionOptions\b", plain):
        cautions.append(
            f"{name} uses sqliteAdapter without transactions, so a document may be stored by half when the application "
            'ends while it writes. See "Payload and SQLite" in docs/deploy.md.'
        )
    return tuple(cautions)
