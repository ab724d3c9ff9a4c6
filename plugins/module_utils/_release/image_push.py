# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the image of a release in a registry, where it stays what it is: what has its tag there already is kept."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Protocol

from .._core import images
from .._core.errors import DockerVpsError, EngineError, EngineRefused, InvalidInput
from .._core.images import Login
from .._core.remedies import setting
from .._core.text import sentence

_NO_ACCOUNT, _NOT_ALLOWED, _UNKNOWN = 401, 403, 404


class PushingEngine(Protocol):
    """What is needed of an engine."""

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about an image."""
        raise NotImplementedError

    def registry_digest(self, reference: str, login: Login) -> str:
        """Return the digest that a reference has in its registry."""
        raise NotImplementedError

    def push(self, repository: str, tag: str, login: Login) -> None:
        """Push an image that has this name."""
        raise NotImplementedError

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name."""
        raise NotImplementedError

    def remove_image(self, name: str) -> None:
        """Remove a name of an image."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """The image on this machine, with a tag, and the repository where it is to have the same tag."""

    name: str
    repository: str
    login: Login

    @property
    def tag(self) -> str:
        """The tag, here and there."""
        return images.tag(self.name)

    @property
    def reference(self) -> str:
        """Its name in the registry."""
        return f"{self.repository}:{self.tag}"


def run(params: Params, engine: PushingEngine, check_mode: bool) -> dict[str, Any]:
    """Push an image unless the registry has one of its tag, and return its name there.

    Raises:
        DockerVpsError: there is no such image, or the registry does not take it.
    """
    image = engine.image(params.name)
    digest = images.digest_in(params.repository, image) or _digest_there(params, engine, check_mode)
    if digest:
        return _result(params, digest, changed=False)
    if check_mode:
        return _result(params, "", changed=True)
    if not image:
        raise InvalidInput(f"There is no image {params.name} to push. Build it first, or correct the name.")
    return _result(params, _pushed(params, engine), changed=True)


def _result(params: Params, digest: str, changed: bool) -> dict[str, Any]:
    return {"changed": changed, "digest": digest, "image": f"{params.reference}@{digest}" if digest else ""}


def _digest_there(params: Params, engine: PushingEngine, check_mode: bool) -> str:
    """Return the digest of the tag in the registry, empty when there is none yet.

    Registries may refuse to tell of what nobody has pushed yet. So a push is tried then; a dry run has only the answer
    that the account is not known.
    """
    try:
        return engine.registry_digest(params.reference, params.login)
    except EngineRefused as error:
        if error.status in (_UNKNOWN, _NOT_ALLOWED) or (error.status == _NO_ACCOUNT and not check_mode):
            return ""
        raise _explained(params, error) from error


def _pushed(params: Params, engine: PushingEngine) -> str:
    engine.tag(params.name, params.repository, params.tag)
    try:
        engine.push(params.repository, params.tag, params.login)
    except EngineRefused as error:
        # Another play may have pushed it meanwhile, and removed the name.
        with contextlib.suppress(EngineError):
            return engine.registry_digest(params.reference, params.login)
        raise _explained(params, error) from error
    finally:
        with contextlib.suppress(EngineError):
            engine.remove_image(params.reference)
    try:
        return engine.registry_digest(params.reference, params.login)
    except EngineRefused as error:
        raise _explained(params, error) from error


def _explained(params: Params, error: EngineRefused) -> DockerVpsError:
    registry, who = images.registry(params.repository), params.login.username
    account = f"{setting('registry_username')} and {setting('registry_password')}"
    step = f"check {account}, and that the account may push there" if who else f"if it requires a login, set {account}"
    return DockerVpsError(
        f"The image {params.name} cannot be pushed to {params.repository} in the registry {registry}: "
        f"{sentence(error.why)} Check that this registry exists and has space; {step}. What is live stays."
    )
