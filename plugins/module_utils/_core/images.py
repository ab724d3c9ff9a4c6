# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image is called, and which one it is, whatever stores it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

DOCKER_HUB = "docker.io"
BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
HEX = 12  # hexadecimal digits of an identity in a tag
# What the config of an image says of how it runs; engines leave out what is not set.
_CONFIG = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
_PLATFORM = ("Architecture", "Os", "Variant")


@dataclass(frozen=True)
class Login:
    """An account at a registry; without a username, what ``docker login`` has left on the host counts."""

    registry: str
    username: str = ""
    password: str = field(default="", repr=False)


def identity(image: Optional[Mapping[str, Any]]) -> str:
    """Return which image an inspected one is, as ``sha256:…``; empty for None.

    The classic store calls an image by the digest of its config. The containerd store calls it by what was pulled or
    built, which may be an index: that differs when only an attestation does, and between those who hold the same
    platform's image. So there it is the digest of what the config says.
    """
    if not image:
        return ""
    called = str(image.get("Id") or "")
    named_after_manifest = any(str(name).endswith(f"@{called}") for name in image.get("RepoDigests") or ())
    return _of_config(image) if named_after_manifest or image.get("Descriptor") else called


def _of_config(image: Mapping[str, Any]) -> str:
    config = image.get("Config") or {}
    says = {
        "layers": (image.get("RootFS") or {}).get("Layers") or [],
        **{key: image[key] for key in _PLATFORM if image.get(key)},
        **{key: config[key] for key in _CONFIG if config.get(key)},
    }
    return "sha256:" + hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()


def identity_of(container: Mapping[str, Any], image: Optional[Mapping[str, Any]]) -> str:
    """Return the identity of a container's image, of which ``image`` is what the engine knows."""
    return identity(image) or str(container.get("Image") or "")


def short(identified: str) -> str:
    """Return the beginning of an identity's digits, by which a release is named."""
    return identified.rpartition(":")[2][:HEX]


def repository(reference: str) -> str:
    """Return a reference without its tag and its digest."""
    return re.sub(r"(:[^/@]*)?(@.*)?$", "", reference)


def digest(reference: str) -> str:
    """Return the digest in a reference, empty when it has none."""
    return reference.partition("@")[2]


def by_digest(reference: str) -> str:
    """Return a reference that has a digest by this alone, as an image that was pulled so is called."""
    return f"{repository(reference)}@{digest(reference)}"


def registry(reference: str) -> str:
    """Return the registry of a reference."""
    first, slash, _rest = reference.partition("/")
    return first if slash and (first == "localhost" or set(".:") & set(first)) else DOCKER_HUB


def tagged(reference: str) -> str:
    """Return a reference with the tag or the digest that it has, or else the tag that is meant."""
    return reference if repository(reference) != reference else f"{reference}:latest"


def tag(reference: str) -> str:
    """Return the tag of a reference that has no digest, empty when it has none."""
    return reference[len(repository(reference)) + 1 :]


def in_full(reference: str) -> str:
    """Return a reference with its registry and without its digest, as OCI annotations have it."""
    name = reference.partition("@")[0]
    if name.startswith(f"{registry(reference)}/"):
        return name
    return f"{DOCKER_HUB}/{name}" if "/" in name else f"{DOCKER_HUB}/library/{name}"


def digests(image: Optional[Mapping[str, Any]]) -> list[str]:
    """Return the digests by which registries have an inspected image, as far as the engine knows them."""
    return [digest(str(name)) for name in (image or {}).get("RepoDigests") or ()]


def digest_in(in_repository: str, image: Optional[Mapping[str, Any]]) -> str:
    """Return by which digest a repository has an inspected image, as far as the engine knows it; empty otherwise."""
    names = map(str, (image or {}).get("RepoDigests") or ())
    return next((digest(name) for name in names if repository(name) == in_repository), "")


def revision(image: Optional[Mapping[str, Any]]) -> str:
    """Return the revision of the sources that an inspected image is labelled with, empty when it is not."""
    return _label(image, "org.opencontainers.image.revision")


def base(image: Optional[Mapping[str, Any]]) -> str:
    """Return the base that an inspected image is labelled with, as ``name@digest``; empty when it is not."""
    name, at = _label(image, BASE_NAME), _label(image, BASE_DIGEST)
    return f"{name}@{at}" if name and at else ""


def _label(image: Optional[Mapping[str, Any]], name: str) -> str:
    labels = ((image or {}).get("Config") or {}).get("Labels") or {}
    return str(labels.get(name) or "")


def user(image: Optional[Mapping[str, Any]]) -> str:
    """Return the user that an inspected image runs as, empty when it says none."""
    return str(((image or {}).get("Config") or {}).get("User") or "")


def environment(image: Optional[Mapping[str, Any]]) -> list[str]:
    """Return the environment of an inspected image, as ``NAME=value``."""
    return list(((image or {}).get("Config") or {}).get("Env") or ())
