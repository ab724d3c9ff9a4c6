# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is, whether a new one is due, which one to return to, and which ones to keep.

A release is one definition (compose.yml), one environment and one image that were put live together, under an id that
is the time when that began (UTC, ``YYYYMMDD-HHMMSS``).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from .errors import DockerVpsError
from .health import snapshot
from .host import HASH_LABEL
from .images import identity_of

HEALTHY, FAILED, DEGRADED = "healthy", "failed", "degraded"
KEEP_AT_LEAST = 2  # the live release, and the one to return to
ANY = "{release}"
"""What stands in a definition for the id of its release, in the paths of its files."""
_FOLDER = "/releases/{}/"


@dataclass(frozen=True)
class Release:
    """A release. Fingerprints are short hashes, which tell equal from different and give no value away.

    Attributes:
        at: when its cutover began (UTC).
        image_id: which image it is, as ``images.identity`` says.
        deployed_by: who asked for it, and from where.
        schema: of the databases when it was live; empty when that is unknown or there are none.
        backup: the timestamp of the backup set made before it.
        result: healthy, failed (what was before is back), or degraded (it failed, and stays so that no data is lost).
        downtime: for how many seconds nothing served; of one that failed, how long the version before was away.
        seconds: how long the cutover took, its backup and watch included.
        rolled_back_to: the release whose definition, environment and image these are, after a rollback.
        config_hash: what Compose hashed of the definition, as the container has it.
        pulled: for an image from a registry, its name there, with its digest.
        base: the image that its image is based on, with its digest; empty when it is not labelled with that.
        secrets: the keys whose values its container gets as files.
    """

    id: str
    at: str
    image: str
    image_id: str
    environment: str
    definition: str
    revision: str = ""
    deployed_by: str = ""
    strategy: str = ""
    schema: str = ""
    backup: str = ""
    result: str = FAILED
    message: str = ""
    downtime: float = 0.0
    seconds: float = 0.0
    rolled_back_to: str = ""
    config_hash: str = ""
    pulled: str = ""
    base: str = ""
    secrets: tuple[str, ...] = ()

    @property
    def content(self) -> tuple[str, str, str]:
        """What distinguishes it from another: definition, environment and image."""
        return self.definition, self.environment, self.image_id


def shown(release: Release) -> str:
    """Return a release's lines for a diff: whose content it has, and of what that was made, as far as it is known."""
    about = {
        "release": release.rolled_back_to or release.id,
        "image": release.image,
        "pulled": release.pulled,
        "revision": release.revision,
        "base": release.base,
    }
    return "".join(f"{name}: {value}\n" for name, value in about.items() if value)


class NextStep(Enum):
    """What is to be done to have a version live."""

    NOTHING = "nothing"
    START = "start"
    FIRST = "first"
    CUTOVER = "cutover"


def plan(live: Optional[Release], wanted: Release, container: bool, unchanged: bool) -> NextStep:
    """Return what is to be done.

    Args:
        live: the release that is live by our records.
        container: whether its container exists.
        unchanged: whether that is as it was released; see as_released.
    """
    if live and live.content == wanted.content and live.result == HEALTHY:
        return NextStep.NOTHING if unchanged else NextStep.START
    return NextStep.CUTOVER if container else NextStep.FIRST


def as_released(
    release: Release,
    container: Optional[Mapping[str, Any]],
    image: Optional[Mapping[str, Any]],
    hash_now: Callable[[], str] = lambda: "",
) -> bool:
    """Return whether a container is healthy, and as ``made_of`` says."""
    if container is None:
        return False
    seen = snapshot("", container)
    return seen.state == "running" and seen.health == "healthy" and made_of(release, container, image, hash_now)


def made_of(
    release: Release,
    container: Mapping[str, Any],
    image: Optional[Mapping[str, Any]],
    hash_now: Callable[[], str] = lambda: "",
) -> bool:
    """Return whether a container has the image and the definition of a release.

    Versions of Compose may hash differently: so what was hashed when the release was put live is as good as what
    ``hash_now`` returns, which Compose hashes of the live definition now.

    Args:
        image: what the engine knows of the container's image.
    """
    own = hash_of(container)
    same = own != "" and identity_of(container, image) == release.image_id
    return same and (own == release.config_hash or own == hash_now())


def hash_of(container: Mapping[str, Any]) -> str:
    """Return what Compose hashed of a container's definition when it made it; empty when it did not make it."""
    return str(((container.get("Config") or {}).get("Labels") or {}).get(HASH_LABEL, ""))


def to_return_to(releases: Sequence[Release], live: Optional[Release], wanted: str) -> Release:
    """Return the release of an id, or for an empty one the last healthy release before the live one.

    After a rollback that is the one before the release that was returned to, so that each further rollback goes
    further back.

    Raises:
        DockerVpsError: there is none.
    """
    known = ", ".join(release.id for release in releases if release.result == HEALTHY) or "none"
    if wanted:
        found = next((release for release in releases if release.id == wanted), None)
        if found is None:
            raise DockerVpsError(f"There is no release {wanted}; the releases that were healthy are: {known}.")
        if found.result != HEALTHY:
            raise DockerVpsError(f"The release {wanted} was never healthy ({found.message}); those that were: {known}.")
        return found
    found = _before(releases, live)
    if found is None:
        raise DockerVpsError(f"There is no healthy release before the live one to return to; known: {known}.")
    return found


def _before(releases: Sequence[Release], live: Optional[Release]) -> Optional[Release]:
    before = (live.rolled_back_to or live.id) if live else "~"
    candidates = [release for release in releases if release.result == HEALTHY and release.id < before]
    candidates = [release for release in candidates if live is None or release.content != live.content]
    return max(candidates, key=lambda release: release.id, default=None)


def set_left_by(releases: Sequence[Release], release: Release) -> str:
    """Return the backup set with the data as a release left them: that made before what took its place; empty for none.

    What failed did not take it, and the release went on after the backup.
    """
    took = [each for each in releases if each.id > release.id and each.result != FAILED]
    return min(took, key=lambda each: each.id).backup if took else ""


def sets_to_return(releases: Sequence[Release], live: Release) -> Dict[str, str]:
    """Return the backup sets that a rollback of the live release may restore, with the reasons."""
    before = _before(releases, live)
    found = [live.backup, set_left_by(releases, before) if before else ""]
    return {set_id: f"the data before release {live.id}" for set_id in found if set_id}


def superseded(releases: Sequence[Release], live: str, keep: int) -> list[Release]:
    """Return the releases to forget: all but the live one, the newest ``keep`` healthy ones, and the failures since.

    The one to return to from the live one, which after rollbacks is not among the newest, is kept, and with it all
    healthy ones since: the backup of the one that took its place has its data.
    """
    newest_first = sorted(releases, key=lambda release: release.id, reverse=True)
    healthy = [release.id for release in newest_first if release.result == HEALTHY]
    before = _before(releases, next((release for release in releases if release.id == live), None))
    number = max(keep, KEEP_AT_LEAST, healthy.index(before.id) + 1 if before else 0)
    healthy = healthy[:number]
    oldest = healthy[-1] if healthy else ""
    failed = [release.id for release in newest_first if release.result != HEALTHY and release.id > oldest]
    kept = {live, *healthy, *failed[: max(keep, KEEP_AT_LEAST)]}
    return [release for release in releases if release.id not in kept]


def fingerprint(text: str) -> str:
    """Return a short hash of a string: the first 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def of_release(definition: str, release_id: str) -> str:
    """Return a definition with the id of its release where it names files of that."""
    return definition.replace(_FOLDER.format(ANY), _FOLDER.format(release_id))


def of_any(definition: str, release_id: str) -> str:
    """Return a definition of a release as it is before it has an id."""
    return definition.replace(_FOLDER.format(release_id), _FOLDER.format(ANY))


def schema_of(databases: Mapping[str, str]) -> str:
    """Return one fingerprint for the schemas of databases by their paths; empty for none."""
    return fingerprint(json.dumps(databases, sort_keys=True)) if databases else ""


def text_of(release: Release) -> str:
    """Return a release as it is written down."""
    return json.dumps(asdict(release), indent=2, ensure_ascii=False) + "\n"


def parse(text: str, path: str) -> Release:
    """Read a release; unknown keys are of a later version and passed over.

    Raises:
        DockerVpsError: it is not one.
    """
    known = {field.name for field in fields(Release)}
    try:
        read = {key: value for key, value in json.loads(text).items() if key in known}
        return Release(**{**read, "secrets": tuple(read.get("secrets", ()))})
    except (ValueError, TypeError, AttributeError) as error:
        folder = os.path.dirname(path)
        raise DockerVpsError(f"{path} is not a release ({error}). Move {folder} away, or fix the file.") from error
