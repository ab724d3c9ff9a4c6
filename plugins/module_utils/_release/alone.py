# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on an application while no play, no cutover and no backup does, without a controller that could ask for it."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator, Protocol

from .._core.clock import WallClock
from .._core.deploy_lock import LockRules, Owner
from .._store import deploy_lock
from .._store.releases import Releases
from .._store.sets import Sets

WATCH = "the watch of this host"
MAINTENANCE = "the maintenance of this host"
"""Who holds the lock of plays, instead of a controller."""


class Place(Protocol):
    """Where it is done."""

    @property
    def clock(self) -> WallClock:
        """The time."""
        raise NotImplementedError

    @property
    def sets(self) -> Sets:
        """The backup sets."""
        raise NotImplementedError

    @property
    def releases(self) -> Releases:
        """The releases."""
        raise NotImplementedError


@contextlib.contextmanager
def alone(who: str, job: str, what: str, lock_max_age: float, place: Place) -> Iterator[None]:
    """Hold the locks of plays, of releases and of backups.

    Args:
        who: instead of a controller. One of its kind is running at a time: another one that has the lock was killed.
        job: instead of a play.
        what: is done, as other locks say.
        lock_max_age: seconds from which on the lock of a play that is gone counts no more.

    Raises:
        DockerVpsError: another job is running.
    """
    path = os.path.join(place.releases.home, "deploy.lock")
    owner = Owner(who, job, who, str(os.getpid()), who)
    existing = deploy_lock.look(path)
    gone = (existing.owner.process,) if existing and existing.owner.controller == who else ()
    deploy_lock.take(path, owner, LockRules(lock_max_age, gone=gone), place.clock.utc().timestamp())
    try:
        with working(what, place):
            yield
    finally:
        deploy_lock.give_back(path, owner)


@contextlib.contextmanager
def working(what: str, place: Place) -> Iterator[None]:
    """Hold the locks of releases and of backups, as within a play, which holds its own.

    Raises:
        Locked: another job is running.
    """
    with contextlib.ExitStack() as stack:
        if os.path.isdir(place.releases.directory):
            stack.enter_context(place.releases.lock(what, 0.0))
        if os.path.isdir(place.sets.directory):
            stack.enter_context(place.sets.lock(what))
        yield
