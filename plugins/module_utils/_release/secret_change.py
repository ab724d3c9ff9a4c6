# SPDX-License-Identifier: GPL-3.0-or-later
"""Another PAYLOAD_SECRET than that of the live release: what ends with it, and when it is refused.

Payload signs what proves a login with it, and encrypts the API keys of users with it, and the index by which it finds
them (https://payloadcms.com/docs/authentication/api-keys). With another one a key is not found any more, and whoever
saves its user writes a wrong one. Its rotateSecret, which encrypts them again, is in previews of 4.0 alone (2026-11).
"""

from __future__ import annotations

import os
from typing import Mapping, Optional, Protocol, Sequence

from .._backup.volumes import Volume
from .._core.environment import SECRET
from .._core.errors import DockerVpsError
from .._core.text import listed, short
from .._store import env_file, files, sqlite, tree
from .._store.releases import ENVIRONMENT, Releases

# Columns of a collection with useAPIKey, as @payloadcms/db-sqlite names them; a key without an index is not in use.
_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND "
    "(SELECT count(*) FROM pragma_table_info(sqlite_master.name) AS c WHERE c.name IN ('api_key', 'api_key_index')) = 2"
)
_KEYS = 'SELECT count(*) FROM "{}" WHERE api_key IS NOT NULL AND api_key_index IS NOT NULL'


class Wanted(Protocol):
    """What counts of what is to be put live."""

    @property
    def environment(self) -> Optional[files.Kept]:
        """The env file; None is the one that is on the host."""

    @property
    def secret_pending(self) -> bool:
        """Whether it has another secret than the live release."""

    @property
    def restore(self) -> str:
        """The backup set whose data comes back with it."""


def is_due(wanted: Wanted, releases: Releases) -> bool:
    """Return whether the secret of the live release is to be replaced by another one, which may not be there yet.

    Raises:
        DockerVpsError: an env file cannot be understood.
    """
    current = releases.current()
    path = releases.path(current, ENVIRONMENT) if current else ""
    before = env_file.values_of(path, files.read(path) if path else None).get(SECRET, "")
    after = _values(wanted, releases).get(SECRET, "")
    return before != "" and (wanted.secret_pending or before != after)


def cautions(wanted: Wanted, releases: Releases, data: Optional[Volume]) -> Sequence[str]:
    """Return what ends with the secret of the live release, in sentences; nothing when it stays.

    Args:
        data: the database's volume; None when it cannot be looked into.

    Raises:
        DockerVpsError: API keys of users would be lost, or a database cannot be read; nothing has changed.
    """
    if not wanted.secret_pending:
        return ()
    found = api_keys(data.root) if data and not wanted.restore else {}
    if found:
        where = listed([f"{short(table)} ({number})" for table, number in found.items()])
        raise DockerVpsError(
            f"{SECRET} would be another one, and the API keys of users that are encrypted with the present one would "
            f"be lost, those in {where}, so nothing was changed. No released version of Payload encrypts them again: "
            "remove them in the admin panel, and make new ones afterwards."
        )
    ended = f"{SECRET} is another one than before, so all users have to sign in again"
    if wanted.restore:
        return (f"{ended}.",)
    if data and _values(wanted, releases).get("DATABASE_URI", "").startswith("file:"):
        return (f"{ended}. No user has an API key, which would have ended with it.",)
    return (f"{ended}. Whether they have API keys, which end with it, could not be seen on this host.",)


def _values(wanted: Wanted, releases: Releases) -> Mapping[str, str]:
    path = releases.live[ENVIRONMENT]
    return env_file.values_of(path, wanted.environment or files.read(path))


def api_keys(root: str) -> dict[str, int]:
    """Return how many users with an API key the tables of databases in a directory have; those without are left out.

    Raises:
        DockerVpsError: a database cannot be read.
    """
    found = {}
    for path in tree.survey(root).databases:
        place = os.path.join(root, path)
        for table in sorted(sqlite.names(place, _TABLES)):
            (number,) = sqlite.names(place, _KEYS.format(table.replace('"', '""')))
            if number != "0":
                found[f"{table} of {path}"] = int(number)
    return found
