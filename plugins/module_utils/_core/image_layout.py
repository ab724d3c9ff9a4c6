# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image consists of, which parts of it a host lacks, and how they become an archive that engines load.

The formats are those of the OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md)
and, beside it, of ``manifest.json``, which the classic image store reads.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Callable, Collection, Iterable, Mapping, Sequence

from .errors import DockerVpsError
from .images import in_full
from .text import short

Json = Mapping[str, Any]
CHUNK = 8 << 20
"""Plain bytes of a blob that are compressed, sent and checked at once."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INDEX = "application/vnd.oci.image.index.v1+json"
_INDEXES = (_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True)
class Chunk:
    """Compressed bytes of a blob: their SHA-256 (hexadecimal), which is the name of their file, and their number."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Blob:
    """A part of an image: its digest, its bytes, those that it has unpacked, and its chunks.

    ``diff_id`` is the digest of an unpacked layer; empty for what is no layer.
    """

    digest: str
    size: int
    unpacked: int
    chunks: tuple[Chunk, ...]
    diff_id: str = ""


@dataclass(frozen=True)
class Layout:
    """An image of one platform, such as linux/amd64. ``source`` is what the engine that it is from calls its id."""

    source: str
    platform: str
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All parts, each once."""
        return tuple({blob.digest: blob for blob in (self.manifest, self.config, *self.layers)}.values())

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The digests of the unpacked layers, the lowest one first."""
        return tuple(layer.diff_id for layer in self.layers)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks."""
        return tuple(chunk for blob in self.blobs for chunk in blob.chunks)

    @property
    def ids(self) -> tuple[str, str]:
        """What engines call the image: after its manifest with the containerd image store, else its configuration."""
        return self.manifest.digest, self.config.digest


def as_data(layout: Layout) -> dict[str, Any]:
    """Return a layout as JSON has it."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(layout)))
    return data


def layout_of(data: Json) -> Layout:
    """Return a layout that was JSON.

    Raises:
        DockerVpsError: it is none.
    """
    try:
        return Layout(
            source=str(data["source"]),
            platform=str(data["platform"]),
            manifest=_blob(data["manifest"]),
            config=_blob(data["config"]),
            layers=tuple(map(_blob, data["layers"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DockerVpsError("The description of the image is not what an export returns. Export it again.") from error


def _blob(data: Json) -> Blob:
    chunks = tuple(Chunk(hexadecimal(f"sha256:{chunk['sha256']}"), int(chunk["size"])) for chunk in data["chunks"])
    digest, diff_id = data["digest"], data.get("diff_id") or ""
    for name in filter(None, (digest, diff_id)):
        hexadecimal(name)
    return Blob(digest, int(data["size"]), int(data["unpacked"]), chunks, diff_id)


def hexadecimal(digest: str) -> str:
    """Return the name of a digest's file.

    Raises:
        ValueError: it is no digest, and could name a file elsewhere.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(digest)
    return digest.partition(":")[2]


def manifest_of(index: Json, read: Callable[[str], Json], platform: str) -> str:
    """Return the digest of the manifest of a platform, such as linux/amd64, in an index or one below it.

    Args:
        read: returns the JSON of a blob; indexes name others.

    Raises:
        DockerVpsError: there is none.
    """
    found = []
    for entry in index.get("manifests") or ():
        digest = str(entry.get("digest", ""))
        if (entry.get("annotations") or {}).get(_ATTESTATION):
            continue
        if entry.get("mediaType") in _INDEXES:
            found += [manifest_of(read(digest), read, platform)]
        elif _platform(entry.get("platform") or {}) in ("", platform):
            found += [digest]
    if not found:
        raise DockerVpsError(f"The engine has written no image for {platform}. Build it for this platform.")
    return found[0]


def _platform(described: Json) -> str:
    return f"{described['os']}/{described['architecture']}" if described else ""


def layers_of(manifest: Json, config: Json) -> list[tuple[str, str]]:
    """Return the digest of each layer and that of it unpacked, the lowest one first.

    Raises:
        DockerVpsError: manifest and configuration do not belong together.
    """
    digests = [str(layer["digest"]) for layer in manifest.get("layers") or ()]
    diff_ids = [str(name) for name in (config.get("rootfs") or {}).get("diff_ids") or ()]
    if len(digests) != len(diff_ids):
        raise DockerVpsError(
            f"The engine has written an image of {len(digests)} layers whose configuration names {len(diff_ids)}. "
            "Build it again."
        )
    return list(zip(digests, diff_ids))


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """Return what the classic image store calls each layer: by it and all below it, the lowest one first.

    See https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
    """
    chains: list[str] = []
    for diff_id in diff_ids:
        both = f"{chains[-1]} {diff_id}".encode() if chains else b""
        chains.append(f"sha256:{hashlib.sha256(both).hexdigest()}" if chains else diff_id)
    return chains


def uncompressed(config: Blob, layers: Iterable[Blob]) -> bytes:
    """Return the manifest that an engine with the classic image store writes of an image."""
    described = [{"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers]
    head = {"mediaType": _CONFIG, "digest": config.digest, "size": config.size}
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": head, "layers": described}
    return json.dumps(manifest, separators=(",", ":")).encode()


def lacking(layout: Layout, chains: Iterable[Sequence[str]], blobs: Collection[str]) -> list[Blob]:
    """Return the parts that a host lacks; manifest and configuration are always among them, which are small.

    Args:
        chains: unpacked layers that images of the host share with others: what the classic image store has.
        blobs: digests that the host has as they are: what the containerd image store has.
    """
    known = max((common(layout.diff_ids, chain) for chain in chains), default=0)
    always = (layout.manifest, layout.config)
    wanted = [layer for layer in layout.layers[known:] if layer.digest not in blobs]
    return list({blob.digest: blob for blob in (*always, *wanted)}.values())


def common(left: Sequence[object], right: Sequence[object]) -> int:
    """Return in how many items two sequences begin alike."""
    pairs = list(zip(left, right))
    return next((number for number, (ours, theirs) in enumerate(pairs) if ours != theirs), len(pairs))


def space(blobs: Iterable[Blob]) -> int:
    """Return the bytes that an engine needs to load parts of an image: it keeps a copy of each while it unpacks it."""
    return sum(blob.size + blob.unpacked for blob in blobs)


def documents(layout: Layout, name: str) -> dict[str, bytes]:
    """Return the files that an archive has beside its blobs, by name.

    Args:
        name: what the image is to be called, with a tag.
    """
    tag = name.rpartition(":")[2]
    annotations = {"io.containerd.image.name": in_full(name), "org.opencontainers.image.ref.name": tag}
    manifest = {"mediaType": _MANIFEST, "digest": layout.manifest.digest, "size": layout.manifest.size}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [{**manifest, "annotations": annotations}]}
    layers = [path_of(layer.digest) for layer in layout.layers]
    classic = [{"Config": path_of(layout.config.digest), "RepoTags": [name], "Layers": layers}]
    files = {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index, "manifest.json": classic}
    return {path: json.dumps(data).encode() for path, data in files.items()}


def path_of(digest: str) -> str:
    """Return where an archive has a blob."""
    return f"blobs/sha256/{digest.partition(':')[2]}"


def check_platform(image: str, built: str, host: str) -> None:
    """Check that a host can run an image.

    Raises:
        DockerVpsError: it is of another platform.
    """
    if built != host:
        raise DockerVpsError(
            f"The image {short(image)} is built for {built}, and this host is {host}. Build it on a machine of the "
            "host's platform. Nothing was sent."
        )


def image_platform(image: Json) -> str:
    """Return the platform of an image, such as linux/amd64, by what its engine says of it."""
    return f"{image.get('Os') or 'linux'}/{image.get('Architecture') or ''}"


_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}


def platform_of(info: Json) -> str:
    """Return the platform of an engine, such as linux/amd64, by what it says of itself."""
    machine = str(info.get("Architecture") or "")
    return f"{info.get('OSType') or 'linux'}/{_MACHINES.get(machine, machine)}"
