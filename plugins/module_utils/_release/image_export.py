# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an image of the engine into chunks that can be sent to hosts, only what has changed since the last time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any, Iterator, Mapping, Optional, Protocol, Sequence

from .._core.errors import DockerVpsError, InvalidInput
from .._core.image_layout import Blob, Layout, as_data, layers_of, layout_of, manifest_of
from .._store import files
from .._store.image_chunks import LAYOUT, LOCK, Broken, Chunks, blobs_in
from .._store.lock import locked

Json = Mapping[str, Any]
WAIT = 3600.0  # seconds for another export into the same directory


class ExportEngine(Protocol):
    """What is needed of an engine."""

    def image(self, name: str) -> Optional[Json]:
        """Return an image or None."""
        raise NotImplementedError

    def save(self, name: str) -> Iterator[bytes]:
        """Yield an archive of it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module image_export."""

    name: str
    directory: str


def run(params: Params, engine: ExportEngine, check_mode: bool) -> dict[str, Any]:
    """Export an image and return the result.

    Raises:
        DockerVpsError: there is no such image, or it cannot be exported.
    """
    image = engine.image(params.name)
    if not image:
        raise InvalidInput(f"There is no image {params.name} to export. Build it first, or correct the name.")
    if check_mode:
        return {"changed": True}
    chunks = Chunks(params.directory)
    chunks.make()
    with locked(chunks.path(LOCK), f"the export of {params.name}", WAIT):
        layouts = [layout for layout in (_read(chunks, name) for name in chunks.layouts()) if layout]
        layout = next((kept for kept in layouts if kept.source == image["Id"] and _is_whole(chunks, kept)), None)
        changed = layout is None
        if layout is None:
            try:
                layout = _exported(params.name, image, engine, chunks, _known(chunks, layouts))
            except OSError as error:
                raise files.refused(
                    f"The image {params.name} cannot be exported to {params.directory}", error, params.directory
                ) from error
        name = layout.config.digest.partition(":")[2] + LAYOUT
        text = json.dumps(as_data(layout))
        files.replace(chunks.path(name), files.Kept(text, 0o600, os.geteuid(), os.getegid()))
        chunks.retain(layout.chunks)
    return {"changed": changed, "directory": params.directory, "image": as_data(layout)}


def _read(chunks: Chunks, name: str) -> Optional[Layout]:
    """Return an image that was exported, None when its description cannot be understood."""
    try:
        kept = files.read(chunks.path(name))
        return layout_of(json.loads(kept.text)) if kept else None
    except (DockerVpsError, ValueError):
        return None


def _is_whole(chunks: Chunks, layout: Layout) -> bool:
    return len(chunks.sound(layout.chunks)) == len({chunk.sha256 for chunk in layout.chunks})


def _known(chunks: Chunks, layouts: Sequence[Layout]) -> dict[str, Blob]:
    """Return the blobs of earlier exports that are here whole."""
    sound = chunks.sound(chunk for layout in layouts for chunk in layout.chunks)
    blobs = [blob for layout in layouts for blob in layout.blobs]
    return {blob.digest: blob for blob in blobs if all(chunk.sha256 in sound for chunk in blob.chunks)}


def _exported(name: str, image: Json, engine: ExportEngine, chunks: Chunks, known: Mapping[str, Blob]) -> Layout:
    blobs, index = blobs_in(engine.save(name), chunks, known)
    if not index:
        raise DockerVpsError(
            f"The engine has written {name} in the format of engines before 25, whose parts have no digests. "
            "Upgrade Docker on the machine that builds."
        )

    def read(digest: str) -> Json:
        data: Json = json.loads(chunks.text(_of(blobs, digest, name)))
        return data

    platform = f"{image.get('Os') or 'linux'}/{image.get('Architecture') or ''}"
    try:
        digest = manifest_of(json.loads(index), read, platform)
        manifest = read(digest)
        config = _of(blobs, str(manifest["config"]["digest"]), name)
        layers = layers_of(manifest, read(config.digest))
    except (KeyError, TypeError, ValueError) as error:
        raise Broken(f"The engine has written {name} without a manifest that can be read. Build it again.") from error
    return Layout(
        source=str(image["Id"]),
        platform=platform,
        manifest=_of(blobs, digest, name),
        config=config,
        layers=tuple(replace(_of(blobs, layer, name), diff_id=diff_id) for layer, diff_id in layers),
    )


def _of(blobs: Mapping[str, Blob], digest: str, name: str) -> Blob:
    if digest not in blobs:
        raise Broken(
            f"The engine has written {name} without its part {digest}. Build it again without the cache: "
            "docker builder prune."
        )
    return blobs[digest]
