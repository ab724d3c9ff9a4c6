# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which sets a repository off-site has, and have it verified. Nothing is changed.

One repository may serve many hosts: a set is of one host and one application.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from dataclasses import dataclass
from typing import Any, List, Mapping, Sequence

from .._core.errors import DockerVpsError, InvalidInput
from .._core.remedies import setting
from .._core.text import counted
from .._store import remote
from .._store.remote import FoundSets, Remote, Repository
from .offsite_removal import snapshots

_HOST = re.compile(r"[^\s,]{1,255}")

Rows = List[Mapping[str, Any]]


@dataclass(frozen=True)
class Params:
    """Whose sets to list, of this host by its own name when ``host`` is empty; and whether to verify the repository.

    Raises:
        InvalidInput: restic could not take the name of the host.
    """

    app: str
    host: str = ""
    verify: bool = False
    read_data: str = ""

    def __post_init__(self) -> None:
        refuse_host(self.host)


def run(params: Params, repository: Repository) -> dict[str, Any]:
    """Return the sets of the host, the last made first.

    Raises:
        DockerVpsError: there is no repository, or it is damaged.
    """
    offsite_sets = OffsiteSets(params.app, params.host or socket.gethostname(), repository)
    if not offsite_sets.look():
        raise offsite_sets.no_repository()
    rows: Rows = [
        {"set": remote_set.id, "archives": list(remote_set.archives), "bytes": remote_set.bytes}
        for remote_set in offsite_sets.remotes
    ]
    amount = f"{counted_sets(rows)} of {offsite_sets.where}"
    if params.verify:
        repository.check(params.read_data)
        summary = f"{amount}: restic read {params.read_data or 'no'} data, no error."
    else:
        names = ", ".join(row["set"] for row in rows)
        summary = f"{amount}{': ' if rows else ''}{names}.{offsite_sets.others()}{offsite_sets.unknown()}"
    return {"changed": False, **offsite_sets.result(rows, summary)}


def refuse_host(host: str) -> None:
    """Refuse a name that no host can have; an empty one stands for this host.

    Raises:
        InvalidInput: restic could not take it.
    """
    if host and not _HOST.fullmatch(host):
        raise InvalidInput(
            f"{host!r} cannot be the name of a host: no spaces and no commas, and at most 255 characters. "
            f"Correct {setting('backup_offsite_host')}."
        )


class OffsiteSets:
    """The sets of an application that are in a repository: ``remotes`` are those of the host, the last made first."""

    def __init__(self, app: str, host: str, repository: Repository) -> None:
        self.app, self.host, self.repository = app, host, repository
        self.found = FoundSets()
        self.where = f"{app} on {host} in {repository.name}"

    def look(self) -> bool:
        """See what is there, and return whether there is a repository."""
        if not self.repository.exists():
            return False
        self.found = remote.look(self.repository, self.app)
        return True

    def no_repository(self) -> DockerVpsError:
        """Return the failure that there is no repository."""
        return DockerVpsError(
            f"There is no restic repository at {self.repository.name}. Correct the address; "
            "the first copy makes the repository."
        )

    @property
    def remotes(self) -> Sequence[Remote]:
        """The sets of the host."""
        return [remote_set for remote_set in self.found.sets if remote_set.host == self.host]

    @property
    def hosts(self) -> Mapping[str, int]:
        """How many sets each host has."""
        return dict(sorted(Counter(remote_set.host for remote_set in self.found.sets).items()))

    def others(self) -> str:
        """Return which other hosts have sets there, as the end of a sentence; empty when none has."""
        others = [f"{host} ({count})" for host, count in self.hosts.items() if host != self.host]
        if not others:
            return ""
        whose = f"{setting('backup_offsite_host')} says whose sets are meant"
        return f" Of other hosts there are: {', '.join(others)}; {whose}."

    def unknown(self) -> str:
        """Return how many snapshots nobody may remove, as the end of a sentence."""
        if not self.found.unknown:
            return ""
        return (
            f" {snapshots(self.found.unknown)} there may be of sets of {self.app} and make no whole one, since "
            "somebody changed them: nothing of that is removed. See restic snapshots."
        )

    def result(self, rows: Rows, summary: str) -> dict[str, Any]:
        """Return what there is to tell of these sets and of the others."""
        return {
            "repository": self.repository.name,
            "host": self.host,
            "hosts": self.hosts,
            "sets": rows,
            "unknown": len(self.found.unknown),
            "summary": summary,
        }


def counted_sets(things: Sequence[object]) -> str:
    """Return how many sets these are."""
    return counted(len(things), "set")
