# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and small sets on disk, for the tests of everything that handles sets."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import Chunk, Index, Run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import write as write_index
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import (
    FORMAT,
    Archive,
    Database,
    Manifest,
    ReleaseOfSet,
    Uploads,
    archive_file,
    index_file,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.packed import CHUNKS
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets

SET_ID = "20260131-020000"
DATABASE = Database(
    path="payload.db",
    journal_mode="wal",
    sqlite_version="3.51.3",
    bytes=4096,
    check="sound",
    schema="5f" * 32,
    tables={"vendors": 3, "media": 1},
    lock_seconds=0.0,
    warning="",
)


def archive_of(name: str, set_id: str = SET_ID, **changes: Any) -> Archive:
    whole = Archive(
        name=name,
        volume=f"shop-{name}",
        file=archive_file(name, set_id, changes.get("compression", "gzip")),
        compression="gzip",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        bytes=len(name),
        plain_bytes=10240,
        files=1,
        driver="local",
        labels={"com.docker.compose.project": "shop", "com.docker.compose.volume": name},
        databases=(DATABASE,) if name == "db" else (),
        inconsistent=(),
        vanished=(),
        skipped=(),
        outside_links=0,
    )
    return replace(whole, **changes)


def manifest_of(set_id: str = SET_ID, *names: str, **changes: Any) -> Manifest:
    whole = Manifest(
        format=FORMAT,
        app="shop",
        id=set_id,
        started="2026-01-31T02:00:00Z",
        finished="2026-01-31T02:00:07Z",
        reason="",
        consistency="online",
        busy_timeout=5.0,
        downtime=0.0,
        release=ReleaseOfSet("shop-app", "shop-app:1", "sha256:" + "ab" * 32, "3f2a9c41", "1"),
        engine="26.1.5",
        host="vps.example.com",
        tool_version="0.1.0",
        archives=tuple(archive_of(name, set_id) for name in names or ("db", "media")),
        uploads=Uploads(1, (), ""),
        warnings=(),
    )
    return replace(whole, **changes)


def publish(sets: Sets, set_id: str = SET_ID, *names: str, **changes: Any) -> BackupSet:
    """Put a set on disk whose archives hold only their names: enough where nobody opens them."""
    Path(sets.directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = manifest_of(set_id, *names, **changes)
    folder = sets.begin(set_id)
    for archive in manifest.archives:
        (Path(folder) / archive.file).write_text(archive.name, encoding="utf-8")
    return sets.publish(folder, manifest)


def publish_shared(sets: Sets, set_id: str, *contents: str, **changes: Any) -> BackupSet:
    """Put a set on disk with one archive, of shared chunks with these contents."""
    Path(sets.directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    chunks = tuple(Chunk(hashlib.sha256(one.encode()).hexdigest(), len(one), len(one)) for one in contents)
    text = write_index(Index("none", (Run("", 1, 1, chunks),)))
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    folder = Path(sets.begin(set_id))
    (folder / CHUNKS).mkdir()
    for chunk, content in zip(chunks, contents):
        if not (Path(sets.chunks) / chunk.sha256).exists():
            (folder / CHUNKS / chunk.sha256).write_text(content, encoding="utf-8")
    file = index_file("db", set_id)
    (folder / file).write_text(text, encoding="utf-8")
    size = sum(map(len, contents))
    archive = archive_of("db", set_id, file=file, sha256=sha256, index=sha256, bytes=size, compression="none")
    return sets.publish(str(folder), manifest_of(set_id, archives=(archive,), **changes))
