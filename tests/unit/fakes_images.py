# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that writes images as archives and loads them, with either image store, as real ones were seen to do."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import chain_ids

Json = Mapping[str, Any]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Built:
    """An image: its blobs by digest, and which of them is what."""

    blobs: Mapping[str, bytes]
    manifest: str
    config: str
    diff_ids: tuple[str, ...]


def built(*layers: bytes, packed: bool = False, machine: str = "amd64") -> Built:
    """Return an image of layers, which are compressed as BuildKit does with the containerd image store."""
    diff_ids = tuple(map(digest_of, layers))
    files = [gzip.compress(layer, mtime=0) if packed else layer for layer in layers]
    config = json.dumps({"os": "linux", "architecture": machine, "rootfs": {"diff_ids": diff_ids}}).encode()
    described = [{"digest": digest_of(file), "size": len(file)} for file in files]
    manifest = json.dumps({"config": {"digest": digest_of(config)}, "layers": described}).encode()
    blobs = {digest_of(data): data for data in (manifest, config, *files)}
    return Built(blobs, digest_of(manifest), digest_of(config), diff_ids)


def packed_as(files: Mapping[str, bytes]) -> bytes:
    """Return an archive with these files."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        tar.addfile(_folder("blobs"))
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return member


def files_of(image: Built) -> dict[str, bytes]:
    """Return the files of the archive that an engine writes of an image."""
    index = {"manifests": [{"mediaType": MANIFEST, "digest": image.manifest}]}
    blobs = {f"blobs/sha256/{digest.partition(':')[2]}": data for digest, data in image.blobs.items()}
    return {**blobs, "index.json": json.dumps(index).encode(), "oci-layout": b"{}"}


@dataclass
class FakeImageEngine:
    """An engine with images by name.

    Attributes:
        content: blobs that the containerd image store has.
        refuses: why loads fail; the name is given all the same, as with the containerd image store.
        saved: archives that it writes instead of those of its images.
        changes: what was asked to change something.
    """

    containerd: bool = False
    machine: str = "x86_64"
    root: str = "/nowhere"
    driver: str = "vfs"
    images: dict[str, Built] = field(default_factory=dict)
    content: set[str] = field(default_factory=set)
    refuses: str = ""
    saved: Optional[Mapping[str, bytes]] = None
    changes: list[str] = field(default_factory=list)
    half: set[str] = field(default_factory=set)

    def info(self) -> Json:
        status = [["driver-type", "io.containerd.snapshotter.v1"]] if self.containerd else []
        return {
            "Driver": self.driver,
            "DriverStatus": status,
            "DockerRootDir": self.root,
            "OSType": "linux",
            "Architecture": self.machine,
        }

    def id_of(self, image: Built) -> str:
        return image.manifest if self.containerd else image.config

    def image(self, name: str) -> Optional[Json]:
        found = next((one for key, one in self.images.items() if name in (key, self.id_of(one))), None)
        if found is None:
            return None
        config = json.loads(found.blobs[found.config])
        facts = {"Os": config["os"], "Architecture": config["architecture"]}
        return {"Id": self.id_of(found), "RootFS": {"Layers": list(found.diff_ids)}, **facts}

    def image_ids(self) -> Sequence[str]:
        return [self.id_of(image) for name, image in self.images.items() if name not in self.half]

    def save(self, name: str) -> Iterator[bytes]:
        self.changes.append(f"save {name}")
        data = packed_as(self.saved if self.saved is not None else files_of(self.images[name]))
        return iter([data[start : start + 1000] for start in range(0, len(data), 1000)])

    def load(self, archive: Iterator[bytes]) -> None:
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as tar:
            files = {one.name: self._read(tar, one) for one in tar if one.isfile()}
        (classic,) = json.loads(files["manifest.json"])
        (named,) = json.loads(files["index.json"])["manifests"]
        name = classic["RepoTags"][0]
        self.changes.append(f"load {name} {sum(path.startswith('blobs/') for path in files)}")
        config = files[classic["Config"]]
        diff_ids = tuple(json.loads(config)["rootfs"]["diff_ids"])
        self._check(classic, files, diff_ids, name)
        blobs = {digest_of(data): data for path, data in files.items() if path.startswith("blobs/")}
        self.images[name] = Built(blobs, named["digest"], digest_of(config), diff_ids)
        self.half.discard(name)
        if self.refuses:
            self.half.add(name)
            raise EngineError(f"The Docker engine refused the image: {self.refuses}.")
        self.content |= set(blobs)

    def _check(self, classic: Json, files: Mapping[str, bytes], diff_ids: tuple[str, ...], name: str) -> None:
        """Refuse an archive without a layer that is not here."""
        chains = [image.diff_ids for image in self.images.values()]
        for number, path in enumerate(classic["Layers"]):
            known = any(chain[: number + 1] == diff_ids[: number + 1] for chain in chains)
            here = f"sha256:{path.rpartition('/')[2]}" in self.content if self.containerd else known
            if path not in files and not here:
                raise EngineError("The Docker engine refused the image: no such file or directory.")

    @staticmethod
    def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        file = tar.extractfile(member)
        assert file
        return file.read()

    def remove_image(self, name: str) -> None:
        self.changes.append(f"remove {name}")
        self.images.pop(name)


class FakeDisk:
    """A disk with so many free bytes, which is not here where there are none given."""

    def __init__(self, free: Optional[int] = None) -> None:
        self.free = free

    def disk_free(self, path: str) -> Optional[int]:
        return self.free


def write_classic(root: Path, image: Built) -> None:
    """Write an image, whose layers are archives, as the classic image store of an engine keeps it below a directory."""
    store = root / "image/overlay2"
    (store / "imagedb/content/sha256").mkdir(parents=True)
    (store / "imagedb/content/sha256" / image.config[7:]).write_bytes(image.blobs[image.config])
    for number, (diff_id, chain) in enumerate(zip(image.diff_ids, chain_ids(image.diff_ids))):
        layer, files = store / "layerdb/sha256" / chain[7:], root / f"overlay2/cache{number}/diff"
        layer.mkdir(parents=True)
        files.mkdir(parents=True)
        (layer / "cache-id").write_text(f"cache{number}")
        with gzip.open(layer / "tar-split.json.gz", "wt") as lines:
            lines.write("".join(f"{json.dumps(one)}\n" for one in split(image.blobs[diff_id], files)))


def split(layer: bytes, place: Path) -> list[dict[str, Any]]:
    """Unpack an archive and return the entries of tar-split for it."""
    entries: list[dict[str, Any]] = []
    at = 0

    def add(kind: int, **more: Any) -> None:
        entries.append({"type": kind, "payload": None, "position": len(entries), **more})

    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for member in tar:
            add(2, payload=base64.b64encode(layer[at : member.offset_data]).decode())
            add(1, name=member.name, **({"size": member.size} if member.size else {}))
            at = member.offset_data + member.size
            if member.isfile():
                (place / member.name).parent.mkdir(parents=True, exist_ok=True)
                (place / member.name).write_bytes(layer[member.offset_data : at])
    add(2, payload=base64.b64encode(layer[at:]).decode())
    return entries


def write_containerd(root: Path, image: Built) -> None:
    """Write an image as the containerd that an engine has started keeps it below its directory."""
    content = root / "containerd/daemon/io.containerd.content.v1.content/blobs/sha256"
    content.mkdir(parents=True)
    for digest, data in image.blobs.items():
        (content / digest[7:]).write_bytes(data)
