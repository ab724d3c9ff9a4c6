# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an image that was exported elsewhere: see what of it the host lacks, and load that once it has been sent."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Collection, Iterator, Mapping, Optional, Protocol, Sequence

from .._core.errors import DockerVpsError, EngineError
from .._core.host import containerd_store, disks
from .._core.image_layout import Blob, Layout, check_platform, lacking, platform_of, space
from .._core.text import size
from .._store import files
from .._store.image_chunks import Chunks, archive

Json = Mapping[str, Any]
RECORD = "loaded.json"
"""Which blobs came with which image, by its id: engines with the containerd image store do not tell."""


class ImportEngine(Protocol):
    """What is needed of an engine."""

    def info(self) -> Json:
        """Return the engine's facts."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Json]:
        """Return an image or None."""
        raise NotImplementedError

    def image_ids(self) -> Sequence[str]:
        """Return the ids of all images."""
        raise NotImplementedError

    def load(self, archive: Iterator[bytes]) -> None:
        """Load an archive."""
        raise NotImplementedError

    def remove_image(self, name: str) -> None:
        """Remove a name of an image."""
        raise NotImplementedError


class Disk(Protocol):
    """What is needed of the host itself."""

    def disk_free(self, path: str) -> Optional[int]:
        """Return the free bytes on the file system of a directory, None when it is not here."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module image_import.

    Attributes:
        load: what was sent is loaded; otherwise it is only looked what to send.
        whole: everything counts as lacking.
    """

    name: str
    image: Layout
    directory: str
    load: bool = False
    whole: bool = False


def run(params: Params, engine: ImportEngine, host: Disk, check_mode: bool) -> dict[str, Any]:
    """Look what of an image the host lacks, or load that, and return the result.

    Raises:
        DockerVpsError: the image is of another platform, has no space, or is not what the engine takes.
    """
    info = engine.info()
    check_platform(params.name, params.image.platform, platform_of(info))
    present = _is_present(params, engine)
    containerd = containerd_store(info)
    wanted = [] if present else _lacking(params, engine, containerd)
    chunks = Chunks(os.path.join(params.directory, params.image.config.digest.partition(":")[2]))
    result = {
        "changed": not present,
        "bytes": sum(blob.size for blob in params.image.blobs),
        "lacking": [blob.digest for blob in wanted],
        "staging": chunks.directory,
        "staged": [],
        "loaded": present,
        "whole": params.whole,
    }
    if present or check_mode:
        return result
    if params.load:
        return {**result, **_load(params, engine, chunks, wanted, containerd)}
    chunks.make()
    _clear(params.directory, chunks)
    staged = chunks.sound(chunk for blob in wanted for chunk in blob.chunks)
    chunks.keep(staged)
    _check_room(params, info, host, wanted, staged)
    return {**result, "staged": sorted(staged)}


def _is_present(params: Params, engine: ImportEngine) -> bool:
    """Return whether the name is the image already, and whole.

    With the containerd image store, one whose load has failed is known by its name, but is not listed.
    """
    image = engine.image(params.name) or {}
    layers = tuple(_layers(image))
    return image.get("Id") in params.image.ids and layers == params.image.diff_ids and image["Id"] in engine.image_ids()


def _lacking(params: Params, engine: ImportEngine, containerd: bool) -> list[Blob]:
    if params.whole:
        return lacking(params.image, (), ())
    ids = engine.image_ids()
    if containerd:
        record = _record(params)
        return lacking(params.image, (), {blob for name in ids for blob in record.get(name, ())})
    return lacking(params.image, [_layers(engine.image(name) or {}) for name in ids], ())


def _layers(image: Json) -> Sequence[str]:
    return (image.get("RootFS") or {}).get("Layers") or ()


def _clear(directory: str, chunks: Chunks) -> None:
    """Remove what was sent of other images and never loaded."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path) and path != chunks.directory:
            files.remove_tree(path)


def _check_room(params: Params, info: Json, host: Disk, wanted: Sequence[Blob], staged: Collection[str]) -> None:
    """Check that there is space for what is sent, for the engine's copy of it, and for what it unpacks of that.

    Raises:
        DockerVpsError: there is not.
    """
    sent = sum(chunk.size for blob in wanted for chunk in blob.chunks if chunk.sha256 not in staged)
    loaded = space(wanted)
    needs = [(params.directory, sent)]
    needs += [(place, loaded + sent * _same_disk(place, params.directory)) for place in disks(info)]
    for place, needed in needs:
        free = host.disk_free(place)
        if free is not None and free < needed:
            raise DockerVpsError(
                f"To load what this host lacks of the image {params.name}, {size(needed)} are needed on the disk of "
                f"{place}, and {size(free)} are free. Free some with: docker system prune. Nothing was sent."
            )


def _same_disk(place: str, other: str) -> bool:
    return os.path.exists(place) and os.stat(place).st_dev == os.stat(other).st_dev


def _load(
    params: Params, engine: ImportEngine, chunks: Chunks, wanted: Sequence[Blob], containerd: bool
) -> dict[str, Any]:
    """Load what was sent, and return what becomes of the result; what is not loaded has to be sent again.

    Raises:
        DockerVpsError: the engine does not take it, although it was given all.
    """
    sent = {chunk.sha256: chunk for blob in wanted for chunk in blob.chunks}
    sound = chunks.sound(sent.values())
    if len(sound) < len(sent):
        return {"staged": sorted(sound)}
    try:
        engine.load(archive(chunks, params.image, params.name, wanted))
        if not _is_present(params, engine):
            raise EngineError(
                f"The engine has loaded {params.name}, and it is not the image that was sent. Build it again."
            )
    except EngineError as error:
        _forget(params, engine)
        if params.whole:
            error.also("Nothing of it is started; the engine's log says more: journalctl -u docker.")
            raise
        # What the host seemed to have is not there any more, or cannot be used.
        whole = lacking(params.image, (), ())
        return {"lacking": [blob.digest for blob in whole], "staged": sorted(sound), "whole": True}
    if containerd:
        _remember(params, engine)
    files.remove_tree(chunks.directory)
    return {"lacking": [], "loaded": True}


def _forget(params: Params, engine: ImportEngine) -> None:
    """Remove the name of an image whose load has failed; another image that bears it stays."""
    if (engine.image(params.name) or {}).get("Id") in params.image.ids:
        engine.remove_image(params.name)


def _record(params: Params) -> dict[str, list[str]]:
    """Return which blobs came with which image of this host, by its id; nothing when that cannot be read."""
    try:
        kept = files.read(os.path.join(params.directory, RECORD))
        return {str(name): list(map(str, blobs)) for name, blobs in json.loads(kept.text).items()} if kept else {}
    except (DockerVpsError, ValueError, TypeError, AttributeError):
        return {}


def _remember(params: Params, engine: ImportEngine) -> None:
    ids = set(engine.image_ids())
    record = {name: blobs for name, blobs in _record(params).items() if name in ids}
    record[params.image.manifest.digest] = [blob.digest for blob in params.image.blobs]
    files.replace(os.path.join(params.directory, RECORD), files.own(json.dumps(record)))
