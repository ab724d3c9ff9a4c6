# SPDX-License-Identifier: GPL-3.0-or-later
"""Images where an engine of this machine keeps them, so that it need not write all of one that differs by one layer.

Nothing here is promised by the engine, so everything is checked by its digest, and whoever calls has another way.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import zlib
from dataclasses import replace
from typing import Any, BinaryIO, Callable, Iterable, Iterator, Mapping

from .._core.errors import DockerVpsError
from .._core.host import containerd_store
from .._core.image_layout import (
    Blob,
    Layout,
    chain_ids,
    common,
    hexadecimal,
    image_platform,
    layers_of,
    manifest_of,
    uncompressed,
)
from .._core.tar_split import Content, parts
from . import files
from .image_chunks import Chunks, Known, Stream

Json = Mapping[str, Any]
_PIECE = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CONTENT = "io.containerd.content.v1.content/blobs/sha256"
_SYSTEM = "/var/lib/containerd"
_ODD = (OSError, DockerVpsError, EOFError, zlib.error, KeyError, TypeError, ValueError, AttributeError)


class Unreadable(Exception):
    """An image cannot be read where the engine should have it."""


def read(info: Json, image: Json, chunks: Chunks, known: Known) -> Layout:
    """Cut what is not known of an image into chunks, and return what it consists of.

    Args:
        info: what the engine says of itself.
        image: what it says of the image.

    Raises:
        Unreadable: it is not there, not as expected, or cannot be cut.
    """
    reader = _Reader(str(image["Id"]), image_platform(image), chunks, known)
    root = str(info.get("DockerRootDir") or "")
    try:
        if containerd_store(info):
            return reader.containerd(_content(root))
        if info.get("Driver") == "overlay2":
            return reader.classic(root)
    except _ODD as error:
        raise Unreadable(str(error)) from error
    raise Unreadable(f"nothing is known of the store {info.get('Driver')}")


def _content(root: str) -> str:
    """Return where the engine's containerd keeps blobs: one that it has started itself, or the system's."""
    own = os.path.join(root, "containerd/daemon", _CONTENT)
    return own if os.path.isdir(own) else os.path.join(_SYSTEM, _CONTENT)


class _Reader:
    def __init__(self, source: str, platform: str, chunks: Chunks, known: Known) -> None:
        self._source, self._platform = source, platform
        self._chunks, self._known = chunks, known

    def containerd(self, content: str) -> Layout:
        """Read an image of the containerd image store, whose blobs are files."""

        def opened(digest: str) -> BinaryIO:
            return files.open_regular(os.path.join(content, hexadecimal(digest)))

        def document(digest: str) -> Json:
            with opened(digest) as file:
                data: Json = json.loads(_checked(file.read(), digest))
            return data

        top = document(self._source)
        digest = manifest_of(top, document, self._platform) if "manifests" in top else self._source
        manifest = document(digest)
        config = str(manifest["config"]["digest"])
        layers = [self._layer(name, diff, opened) for name, diff in layers_of(manifest, document(config))]
        return self._layout(self._blob(digest, opened), self._blob(config, opened), layers)

    def classic(self, root: str) -> Layout:
        """Read an image of the classic image store, which keeps a layer unpacked, and apart how it was packed."""
        store = os.path.join(root, "image/overlay2")
        with files.open_regular(os.path.join(store, "imagedb/content/sha256", hexadecimal(self._source))) as file:
            text = _checked(file.read(), self._source)
        diff_ids = [str(diff_id) for diff_id in json.loads(text)["rootfs"]["diff_ids"]]
        chains = dict(zip(diff_ids, chain_ids(diff_ids)))

        def opened(diff_id: str) -> BinaryIO:
            place = os.path.join(store, "layerdb/sha256", hexadecimal(chains[diff_id]))
            return _packed(place, os.path.join(root, "overlay2"))

        layers = [self._layer(diff_id, diff_id, opened) for diff_id in diff_ids]
        config = self._of_bytes(text)
        return self._layout(self._of_bytes(uncompressed(config, layers)), config, layers)

    def _layout(self, manifest: Blob, config: Blob, layers: Iterable[Blob]) -> Layout:
        return Layout(self._source, self._platform, manifest, config, tuple(layers))

    def _layer(self, digest: str, diff_id: str, opened: Callable[[str], BinaryIO]) -> Blob:
        return replace(self._blob(digest, opened), diff_id=diff_id)

    def _of_bytes(self, data: bytes) -> Blob:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return self._blob(digest, lambda _digest: io.BytesIO(data))

    def _blob(self, digest: str, opened: Callable[[str], BinaryIO]) -> Blob:
        known = self._known.get(digest)
        if known:
            return known
        with opened(digest) as file:
            blob = self._chunks.cut(file)
        if blob.digest != digest:
            raise Unreadable(f"{digest} is {blob.digest}")
        return blob


def _checked(data: bytes, digest: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != hexadecimal(digest):
        raise ValueError(f"{digest} is something else")
    return data


def _packed(place: str, overlays: str) -> BinaryIO:
    """Return the archive of a layer, as a file to read."""
    with files.open_regular(os.path.join(place, "cache-id")) as file:
        name = file.read().decode("ascii")
    if os.path.basename(name) != name:
        raise ValueError(f"{name} is no layer")
    return io.BufferedReader(Stream(_archive(place, os.path.join(overlays, name, "diff"))), _PIECE)


def _archive(place: str, layer: str) -> Iterator[bytes]:
    with contextlib.ExitStack() as stack:
        lines = gzip.GzipFile(fileobj=stack.enter_context(files.open_regular(f"{place}/tar-split.json.gz")))
        folders = stack.enter_context(contextlib.closing(_Folders(os.open(layer, _FOLDER))))
        for part in parts(lines):
            if isinstance(part, Content):
                yield from folders.content(part)
            else:
                yield part


class _Folders:
    """The files of a directory, none of them behind a link; the way to the last one stays open for the next."""

    def __init__(self, root: int) -> None:
        self._opened = [(b"", root)]

    def close(self) -> None:
        """Close them."""
        while self._opened:
            os.close(self._opened.pop()[1])

    def content(self, content: Content) -> Iterator[bytes]:
        """Yield what is in a file.

        Raises:
            OSError: it cannot be read, is not a regular file, or has another size.
        """
        *way, name = content.names
        left = content.size
        with files.open_regular(name, folder=self._folder(way)) as file:
            for piece in iter(lambda: file.read(_PIECE), b""):
                left -= len(piece)
                yield piece
        if left:
            raise OSError(f"{name!r} has another size")

    def _folder(self, way: list[bytes]) -> int:
        same = common(way, [name for name, _descriptor in self._opened[1:]])
        while len(self._opened) > same + 1:
            os.close(self._opened.pop()[1])
        for name in way[same:]:
            self._opened.append((name, os.open(name, _FOLDER, dir_fd=self._opened[-1][1])))
        return self._opened[-1][1]
