# SPDX-License-Identifier: GPL-3.0-or-later
"""Return to a release that was live before, with the data as it is or as it was."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Sequence

from .._backup.databases import schemas
from .._backup.restore_source import FromSet
from .._backup.volumes import volume_of
from .._core import dotenv, releases
from .._core.environment import compared
from .._core.errors import DockerVpsError, InvalidInput
from .._core.images import identity
from .._core.releases import Release
from .._core.remedies import play, setting
from .._engine.port import EnginePort
from .._store import files
from .._store.releases import DEFINITION, ENVIRONMENT, Releases
from .._store.sets import Sets
from . import cutover, preconditions
from .cutover_state import AUTO, RESTORE, CutoverWorld


@dataclass(frozen=True)
class Params:
    """Where to return to, empty for the version before, and what becomes of the data: auto, restore or keep.

    ``how`` is how the cutover is done; its definition, image and environment are the release's.
    """

    to: str
    data: str
    how: preconditions.Params


def run(params: Params, sets: Sets, world: CutoverWorld, check_mode: bool) -> dict[str, Any]:
    """Return to a release, and return what was done and what was lost.

    Raises:
        DockerVpsError: it cannot be returned to, or would lose data and that was not allowed; nothing changed then.
    """
    if not check_mode:
        cutover.recover_left(params.how.app, world)  # or what a killed run has left would be taken for what is live
    known = world.releases.listing()
    live = next((release for release in known if release.id == world.releases.current()), None)
    target = releases.to_return_to(known, live, params.to)
    definition, environment = (files.read(world.releases.path(target.id, name)) for name in (DEFINITION, ENVIRONMENT))
    engine = world.connect()
    if not definition or not environment:
        raise DockerVpsError(f"The files of release {target.id} are gone. Deploy its revision again.")
    if not re.search(rf"(?<![\w.-]){re.escape(params.how.database_volume)}(?![\w.-])", definition.text):
        raise DockerVpsError(
            f"Release {target.id} has its database in another volume than {params.how.database_volume}, so "
            "the current data would not be there. Deploy its revision with the current volume instead."
        )
    image = engine.image(target.image)
    if image is None or identity(image) != target.image_id:
        what = "not on this host any more" if image is None else "another one now under the same name"
        raise DockerVpsError(
            f"The image {target.image} of release {target.id} is {what}. Deploy its revision "
            f"{target.revision or '(unknown)'} instead."
        )
    restore, would_lose = _data(params, sets, world, engine, known, target)
    how = replace(
        params.how,
        definition=releases.of_any(definition.text, target.id),
        image=target.image,
        environment=environment,
        secrets=target.secrets,
        revision=target.revision,
        pulled=target.pulled,
        rolled_back_to=target.id,
        restore=restore,
    )
    diff = _diff(world.releases, live, target, how)
    result = cutover.put_live(how, sets, world, check_mode)
    lost = would_lose.get("summary", "The data stays as it is.")
    summary = f"{result['summary']} It is release {target.id} of {target.at}. {lost}"
    more = {"rolled_back_to": target.id, "restored": restore, "would_lose": would_lose, "diff": diff}
    return {**result, **more, "summary": summary}


def _diff(
    known: Releases, live: Optional[Release], target: Release, how: preconditions.Params
) -> Sequence[Mapping[str, str]]:
    """Return what differs between now and then: what is released, the definition, and of the environment the keys."""
    path = known.live[ENVIRONMENT]
    existing = files.read(path)
    current, values = (_values(kept) for kept in (existing, how.environment))
    keys = compared(values, current)
    restored = f"database: that of set {how.restore}\n" if how.restore else ""
    place = os.path.join(known.directory, "current")
    return [
        {
            "before_header": place,
            "after_header": place,
            "before": releases.shown(live) if live else "",
            "after": releases.shown(replace(target, rolled_back_to=how.rolled_back_to)) + restored,
        },
        known.definition_diff(how.definition),
        {"before_header": path, "after_header": path, "before": keys.shown(True), "after": keys.shown(False)},
    ]


def _values(kept: Optional[files.Kept]) -> Mapping[str, str]:
    """Return the values of an env file; of one that nobody understands, none."""
    with contextlib.suppress(InvalidInput):
        return dotenv.parse(kept.text) if kept else {}
    return {}


def _data(
    params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort, known: Sequence[Release], target: Release
) -> tuple[str, Mapping[str, Any]]:
    """Return the backup set to restore, empty for none, and what that would lose."""
    if params.data not in (AUTO, RESTORE):
        return "", {}
    volume = volume_of(engine, params.how.database_volume)
    if params.data == AUTO and _fits(target, volume.root if volume else ""):
        return "", {}
    set_id = releases.set_left_by(known, target)
    if set_id not in sets.taken():
        gone = f", since set {set_id} was removed from {sets.directory}" if set_id else ""
        raise DockerVpsError(
            f"There is no backup of the data as release {target.id} left it{gone}. Return to it with the data as it is "
            f"({setting('rollback_data', 'keep')}), or restore a set with {play('restore')}."
        )
    source = FromSet.find(preconditions.database_from(params.how, set_id), sets, engine, world.clock)
    would_lose = source.would_lose()
    changed = "has changed since" if target.schema else "may not be that of"
    if params.data == AUTO and (would_lose["tables"] or would_lose["newer_files"]):
        raise DockerVpsError(
            f"The schema of the database {changed} release {target.id}, which cannot be expected to work with it, so "
            f"nothing was changed. To restore the database as it was then, from set {set_id}, set "
            f"{setting('rollback_data', 'restore')}. {would_lose['summary']} To return with the data as it is, set "
            f"{setting('rollback_data', 'keep')}.",
            would_lose=would_lose,
        )
    return set_id, would_lose


def _fits(target: Release, root: str) -> bool:
    """Whether the schema is the one that a release left; one that is not known is none that fits."""
    return not root or releases.schema_of(schemas(root)) == target.schema
