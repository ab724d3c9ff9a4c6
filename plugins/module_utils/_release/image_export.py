# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an image of the engine into chunks that can be sent to hosts, only what has changed since the last time."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Iterator, Mapping, Optional, Protocol, Sequence

from .._core.errors import DockerVpsError, InvalidInput
from .._core.image_layout import Blob, Layout, as_data, image_platform, layers_of, layout_of, manifest_of
from .._store import files
from .._store.engine_layers import Unreadable, read
from .._store.image_chunks import LAYOUT, LOCK, Broken, Chunks, Known, blobs_in
from .._store.lock import locked

Json = Mapping[str, Any]
WAIT = 3600.0  # seconds for another export into the same directory


class ExportEngine(Protocol):
    """What is needed of an engine."""

    def image(self, name: str) -> Optional[Json]:
        """Return an image or None."""
        raise NotImplementedError

    def info(self) -> Json:
        """Return the engine's facts."""
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
        how = "earlier"
        if layout is None:
            try:
                layout, how = _exported(params.name, image, engine, chunks, _Earlier(chunks, layouts))
            except OSError as error:
                raise files.refused(
                    f"The image {params.name} cannot be exported to {params.directory}", error, params.directory
                ) from error
        name = layout.config.digest.partition(":")[2] + LAYOUT
        text = json.dumps(as_data(layout))
        files.replace(chunks.path(name), files.own(text))
        chunks.retain(layout.chunks)
    changed = how != "earlier"
    return {"changed": changed, "directory": params.directory, "image": as_data(layout), "read": how}


def _read(chunks: Chunks, name: str) -> Optional[Layout]:
    """Return an image that was exported, None when its description cannot be understood."""
    try:
        kept = files.read(chunks.path(name))
        return layout_of(json.loads(kept.text)) if kept else None
    except (DockerVpsError, ValueError):
        return None


def _is_whole(chunks: Chunks, layout: Layout) -> bool:
    return len(chunks.sound(layout.chunks)) == len({chunk.sha256 for chunk in layout.chunks})


class _Earlier:
    """The blobs of earlier exports. Only those that are asked for are checked, which takes a while."""

    def __init__(self, chunks: Chunks, layouts: Sequence[Layout]) -> None:
        self._chunks = chunks
        self._blobs = {blob.digest: blob for layout in layouts for blob in layout.blobs}

    def get(self, digest: str) -> Optional[Blob]:
        """Return a blob that is here whole, otherwise None."""
        blob = self._blobs.get(digest)
        wanted = {chunk.sha256 for chunk in blob.chunks} if blob else set()
        return blob if blob and self._chunks.sound(blob.chunks) == wanted else None


def _exported(name: str, image: Json, engine: ExportEngine, chunks: Chunks, known: Known) -> tuple[Layout, str]:
    """Return an image, and how it was read: from the store where the engine keeps it, or saved by the engine."""
    try:
        return read(engine.info(), image, chunks, known), "store"
    except Unreadable:
        return _saved(name, image, engine, chunks, known), "save"


def _saved(name: str, image: Json, engine: ExportEngine, chunks: Chunks, known: Known) -> Layout:
    blobs, index = blobs_in(engine.save(name), chunks, known)
    if not index:
        raise DockerVpsError(
            f"The engine has written {name} in the format of engines before 25, whose parts have no digests. "
            "Upgrade Docker on the machine that builds."
        )

    def document(digest: str) -> Json:
        data: Json = json.loads(chunks.text(_of(blobs, digest, name)))
        return data

    platform = image_platform(image)
    try:
        digest = manifest_of(json.loads(index), document, platform)
        manifest = document(digest)
        config = _of(blobs, str(manifest["config"]["digest"]), name)
        layers = layers_of(manifest, document(config.digest))
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
