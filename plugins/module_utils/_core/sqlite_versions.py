# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of the SQLite library are known to lose data."""

from __future__ import annotations

from typing import Optional

# The WAL-reset bug: https://www.sqlite.org/wal.html#walresetbug. SQLite numbers a version X.Y.Z as
# X*1000000 + Y*1000 + Z: https://www.sqlite.org/c3ref/c_source_id.html
_FIRST_BROKEN, _FIXED = 3_007_000, 3_051_003
_FIXED_BRANCHES = ((3_044_006, 3_045_000), (3_050_007, 3_051_000))


def dotted(version_number: int) -> str:
    """Return a library's version as people write it, such as 3.45.1; empty when it is unknown (0)."""
    if not version_number:
        return ""
    return f"{version_number // 1_000_000}.{version_number // 1000 % 1000}.{version_number % 1000}"


def known_data_loss(version_number: int, wal: bool) -> Optional[str]:
    """Return one sentence when databases written by this version can lose commits, else None.

    Args:
        version_number: of the library that wrote the database, such as 3045001; 0 when unknown.
        wal: whether the database is in WAL mode; others are not affected.
    """
    if not wal or not _FIRST_BROKEN <= version_number < _FIXED:
        return None
    if any(first <= version_number < end for first, end in _FIXED_BRANCHES):
        return None
    return (
        f"SQLite {dotted(version_number)}, the library that last wrote this database, has the WAL-reset bug that in "
        "rare cases loses commits or corrupts the database (https://www.sqlite.org/wal.html#walresetbug); "
        "move the application to a library with SQLite 3.51.3 or newer."
    )
