# SPDX-License-Identifier: GPL-3.0-or-later
"""Have an image of a registry on the host, under a name that stays its own when the registry's moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Protocol, Sequence

from .._core import images
from .._core.errors import DockerVpsError, EngineRefused
from .._core.image_layout import platform_of
from .._core.images import Login
from .._core.remedies import setting
from .._core.text import listed

_NOT_ALLOWED, _UNKNOWN = (401, 403), 404
_NO_PLATFORM = "unknown/unknown"  # of an attestation in an index


class PullingEngine(Protocol):
    """What is needed of an engine."""

    def info(self) -> Mapping[str, Any]:
        """Return facts about the engine."""
        raise NotImplementedError

    def registry_platforms(self, reference: str, login: Login) -> Sequence[str]:
        """Return the platforms for which a registry has an image."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about an image."""
        raise NotImplementedError

    def registry_digest(self, reference: str, login: Login) -> str:
        """Return the digest that a reference has in its registry."""
        raise NotImplementedError

    def pull(self, repository: str, digest: str, login: Login) -> None:
        """Pull an image by its digest."""
        raise NotImplementedError

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to pull, and the local repository to name it in.

    ``tag`` is how it is named there, by default by the first digits of its identity. What has that name already is not
    asked for, unless the reference has a digest.
    """

    reference: str
    name: str
    login: Login
    tag: str = ""


def run(params: Params, engine: PullingEngine, check_mode: bool) -> dict[str, Any]:
    """Pull an image unless it is there, name it, and return its names.

    Raises:
        DockerVpsError: the registry does not give it.
    """
    try:
        return _pulled(params, engine, check_mode)
    except EngineRefused as error:
        raise DockerVpsError(_explained(params, error)) from error


def _pulled(params: Params, engine: PullingEngine, check_mode: bool) -> dict[str, Any]:
    repository = images.repository(params.reference)
    kept = engine.image(f"{params.name}:{params.tag}") if params.tag else None
    digest = images.digest(params.reference) or images.digest_in(repository, kept)
    if kept and not digest:
        return _result(params, kept, "", changed=False)
    digest = digest or engine.registry_digest(params.reference, params.login)
    pulled = f"{params.reference.partition('@')[0]}@{digest}"
    found = _image_of(engine, repository, digest)
    if found is None:
        _check_platform(pulled, _platforms(engine, f"{repository}@{digest}", params.login), engine)
    if found is None and check_mode:
        return {"changed": True, "image": pulled, "release": "", "revision": "", "pulled": pulled}
    if found is None:
        engine.pull(repository, digest, params.login)
    image = found or _image_of(engine, repository, digest)
    if image is None:
        raise DockerVpsError(
            f"{pulled} was pulled and is gone already: does something prune images? Run the play again."
        )
    result = _result(params, image, pulled, changed=False)
    named = result["image"] in (image.get("RepoTags") or ())
    if not named and not check_mode:
        engine.tag(str(image.get("Id")), params.name, images.tag(result["image"]))
    return {**result, "changed": found is None or not named}


def _result(params: Params, image: Mapping[str, Any], pulled: str, changed: bool) -> dict[str, Any]:
    release = images.short(images.identity(image))
    return {
        "changed": changed,
        "image": f"{params.name}:{params.tag or release}",
        "release": release,
        "revision": images.revision(image),
        "pulled": pulled,
    }


def _platforms(engine: PullingEngine, reference: str, login: Login) -> Sequence[str]:
    """Return the platforms of an image, none when the registry does not say; then the pull itself says why."""
    try:
        return engine.registry_platforms(reference, login)
    except EngineRefused:
        return []


def _check_platform(pulled: str, platforms: Sequence[str], engine: PullingEngine) -> None:
    """Check that a host can run an image of these platforms.

    Raises:
        DockerVpsError: it is of others.
    """
    host = platform_of(engine.info())
    known = [platform for platform in platforms if platform != _NO_PLATFORM]
    if known and host not in known:
        raise DockerVpsError(
            f"The image {pulled} is built for {listed(known)}, and this host is {host}. Build it for the host's "
            "platform, and push that. Nothing was pulled."
        )


def _image_of(engine: PullingEngine, repository: str, digest: str) -> Optional[Mapping[str, Any]]:
    """Return the image of a digest; where it has lost that name, the containerd store still finds it by the digest."""
    return engine.image(f"{repository}@{digest}") or engine.image(digest)


def _explained(params: Params, error: EngineRefused) -> str:
    reference, registry, who = params.reference, images.registry(params.reference), params.login.username
    account = f"{setting('registry_username')} and {setting('registry_password')}"
    if error.status in _NOT_ALLOWED and who:
        return f"The registry {registry} does not let {who} pull {reference} ({error.why}). Check {account}."
    if error.status in _NOT_ALLOWED:
        return f"The registry {registry} does not give {reference} to everybody ({error.why}). Set {account}."
    if error.status == _UNKNOWN:
        return f"The registry {registry} has no image {reference} ({error.why}). Check {setting('image')}."
    return (
        f"The image {reference} cannot be pulled from the registry {registry}: {error.why}. Check "
        f"that the host can reach it; if it requires a login, set {account}."
    )
