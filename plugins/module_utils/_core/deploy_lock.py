# SPDX-License-Identifier: GPL-3.0-or-later
"""Which play is running on a host: who holds the lock, and whether another one may have it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Mapping, Optional

from .errors import DockerVpsError, InvalidInput
from .remedies import once


class Held(DockerVpsError):
    """Another play is running; ``lock`` in the evidence is what is known of it."""


@dataclass(frozen=True)
class Owner:
    """What distinguishes a play from every other one.

    Attributes:
        who: the user, and where the play runs.
        purpose: which play it is.
        controller: a fingerprint of the controller since its last start.
        process: the id of the play's process there, and when it started.
        host: the name of the managed host in the inventory.
    """

    who: str = ""
    purpose: str = ""
    controller: str = ""
    process: str = ""
    host: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What distinguishes it."""
        return self.controller, self.process, self.host


@dataclass(frozen=True)
class Lock:
    """A lock: who holds it, since when (seconds since 1970 on the host), and whether its directory was made for it."""

    owner: Owner
    since: int
    made_directory: bool = False

    def facts(self, now: float) -> dict[str, Any]:
        """Return what is known of it."""
        return {**asdict(self.owner), "since": _format_time(self.since), "age": self.age(now)}

    def age(self, now: float) -> int:
        """Return its age in seconds; a clock that was put back makes no lock last for ever."""
        return abs(int(now) - self.since)

    def description(self, now: float) -> str:
        """Return what has been running, and since when."""
        return f"{self.play} has been running for {self.age(now)} s, since {_format_time(self.since)}"

    @property
    def play(self) -> str:
        """Whose it is."""
        process = self.owner.process.partition(":")[0]
        return f"{self.owner.purpose or 'a play'} of {self.owner.who} (process {process})"


@dataclass(frozen=True)
class LockRules:
    """When a lock of somebody else may be taken.

    Attributes:
        max_age: the age in seconds from which it may.
        force: it may in any case.
        gone: the processes, of the taker's own controller, that are known to be gone.
    """

    max_age: float
    force: bool = False
    gone: tuple[str, ...] = ()


def text_of(lock: Lock) -> str:
    """Return a lock as it is written down."""
    return json.dumps(asdict(lock)) + "\n"


def parse(text: str) -> Optional[Lock]:
    """Read a lock; None when it is not one, such as what a full disk left."""
    try:
        given: Mapping[str, Any] = json.loads(text)
        owner = Owner(**{name: str(value) for name, value in given["owner"].items()})
        return Lock(owner, int(given["since"]), bool(given["made_directory"]))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def taken(text: str, wanted: Lock, rules: LockRules, path: str) -> tuple[Lock, str]:
    """Return the lock to write down instead of what is there, and what is worth telling about that.

    Raises:
        Held: another play holds it.
    """
    existing = parse(text)
    if existing is None:
        return wanted, f"{path} was damaged, so it was taken as free." if text.strip() else ""
    wanted = replace(wanted, made_directory=wanted.made_directory or existing.made_directory)
    if existing.owner.key == wanted.owner.key:
        return replace(wanted, since=existing.since), ""
    why = _why_free(existing, wanted, rules)
    if not why:
        raise Held(_refusal(existing, wanted, path), lock=existing.facts(wanted.since))
    return wanted, f"Took the lock over from {existing.play}, {why}."


def _why_free(existing: Lock, wanted: Lock, rules: LockRules) -> str:
    if existing.owner.controller == wanted.owner.controller and existing.owner.process in rules.gone:
        return "whose process is gone"
    if rules.force:
        return "by force"
    # Whether a process of this controller is running is known, however long it takes.
    if existing.owner.controller != wanted.owner.controller and existing.age(wanted.since) > rules.max_age:
        return f"since it is older than {rules.max_age:g} s"
    return ""


def _refusal(existing: Lock, wanted: Lock, path: str) -> str:
    return (
        f"Cannot begin {wanted.owner.purpose or 'this play'}: {existing.description(wanted.since)}, "
        f"and holds {path}. Wait until it has ended; if it never will, "
        f"take the lock with {once('lock_force', 'true')}."
    )


def _format_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def owner_of(given: Mapping[str, Any]) -> Owner:
    """Read an owner.

    Raises:
        InvalidInput: it does not distinguish its play from others.
    """
    owner = Owner(**{field.name: str(given.get(field.name, "")) for field in fields(Owner)})
    if not all(owner.key):
        raise InvalidInput("The owner of a lock needs controller, process and host; the action deploy_lock gives them.")
    return owner
