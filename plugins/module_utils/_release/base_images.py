# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the base images of a build on the machine that builds as their registries have them now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping, Optional

from .._core import images
from .._core.dockerfile import bases_of
from .._core.errors import EngineError, EngineRefused
from .._core.images import Login
from .._core.releases import fingerprint
from .._core.remedies import setting
from .image_pull import PullingEngine

HEX = 8  # hexadecimal digits of what tells the bases of one build from those of another


@dataclass(frozen=True)
class Params:
    """The content of a Dockerfile, its build arguments, and the stage that becomes the image; empty for the last."""

    dockerfile: str
    args: Mapping[str, str]
    target: str = ""


@dataclass(frozen=True)
class Base:
    """A base image.

    Attributes:
        digest: the one that counts, empty when none is known.
        confirmed: whether that is its registry's digest of now.
        refreshed: whether it was pulled, or would be.
    """

    name: str
    digest: str
    confirmed: bool
    refreshed: bool = False


def run(params: Params, engine: PullingEngine, check_mode: bool) -> dict[str, Any]:
    """Pull the base images that have moved, and return which ones there are.

    One that its registry does not give stays as it is, with a caution; whether the build can do without one that is not
    there at all is for the build to say.
    """
    named = bases_of(params.dockerfile, params.args, params.target)
    cautions: list[str] = []
    bases = {name: _refreshed(images.tagged(name), engine, check_mode, cautions) for name in named.images}
    last = bases.get(named.last)
    return {
        "changed": any(base.refreshed for base in bases.values()),
        "bases": [asdict(base) for base in bases.values()],
        "name": images.in_full(last.name) if last and last.digest else "",
        "digest": last.digest if last else "",
        "fingerprint": _fingerprint([base.digest for base in bases.values()]),
        "confirmed": all(base.confirmed for base in bases.values()),
        "cautions": cautions,
    }


def _fingerprint(digests: list[str]) -> str:
    """Return what tells these digests from others, empty when one is not known."""
    return fingerprint(" ".join(digests))[:HEX] if digests and all(digests) else ""


def _refreshed(name: str, engine: PullingEngine, check_mode: bool, cautions: list[str]) -> Base:
    if images.digest(name):
        return Base(name, images.digest(name), confirmed=True)
    here, login = engine.image(name), Login(images.registry(name))
    try:
        digest = engine.registry_digest(name, login)
        moved = digest not in images.digests(here)
        if moved and not check_mode:
            repository = images.repository(name)
            engine.pull(repository, digest, login)
            engine.tag(f"{repository}@{digest}", repository, images.tag(name))
        return Base(name, digest, confirmed=True, refreshed=moved)
    except EngineError as error:
        if here:
            cautions.append(_caution(name, error))
        return Base(name, _known(here), confirmed=False)


def _known(here: Optional[Mapping[str, Any]]) -> str:
    """Return by which digest an image was pulled, empty when that is not known or there is none."""
    return next(iter(images.digests(here)), "")


def _caution(name: str, error: EngineError) -> str:
    why = error.why.rstrip(".") if isinstance(error, EngineRefused) else "there is no answer"
    return (
        f"The base image {name} is used as it is here, since the registry {images.registry(name)} does not say what it "
        f"is now: {why}. See that the registry is reached, or set {setting('base_refresh', 'never')} for a base image "
        "that no registry has."
    )
