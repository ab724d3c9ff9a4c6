# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives are many gzip members or zstd frames, of one set or of several: every usual program reads them to the end.

Some readers of gzip are known to stop after the first member, without a word.
"""

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.archive_file import Earlier
from lab import SUPPORT, run

NODE = """
const {readFileSync, writeFileSync} = require('fs');
writeFileSync(process.argv[2], require('zlib').gunzipSync(readFileSync(process.argv[1])));
"""
READERS = {
    "gzip": {
        "GNU tar": ["tar", "-xzf"],
        "bsdtar": ["bsdtar", "-xzf"],
        "busybox": ["busybox", "tar", "-xzf"],
        "Python": ["python3", "-m", "tarfile", "-e"],
    },
    "zstd": {"GNU tar": ["tar", "--zstd", "-xf"], "bsdtar": ["bsdtar", "-xf"]},
}


@pytest.fixture(scope="module", autouse=True)
def readers() -> None:
    run(str(SUPPORT / "packages.sh"), "busybox", "libarchive-tools", "zstd")


def content(tree: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tree.iterdir()}


@pytest.mark.parametrize("kind", list(READERS))
def test_every_reader_reads_all(kind: str, tmp_path: Path) -> None:
    by, tree = random.Random(1), tmp_path / "tree"
    tree.mkdir()
    for number in range(60):
        (tree / f"{number:02}").write_bytes(by.randbytes(number * 3000))
    (tree / "large").write_bytes(by.randbytes(3_000_000))
    earlier = None
    for number in range(3):
        (tree / "30").write_bytes(by.randbytes(50_000))
        path = str(tmp_path / f"{number}.tar")
        later = time.time() + 1000
        written = archive.write(
            path, str(tree), kind, instead={}, leave_out=[], earlier=earlier, trust=6, now=later
        )  # fmt: skip
        earlier = Earlier(path, written.sha256, written.bytes, written.index)
    assert len(list(written.index.chunks)) > 10
    for reader, command in READERS[kind].items():
        into = tmp_path / "into"
        into.mkdir()
        subprocess.run([*command, path], cwd=into, check=True)
        assert content(into) == content(tree), reader
        shutil.rmtree(into)
    if kind == "gzip":
        plain = gzip.decompress(Path(path).read_bytes())
        assert len(plain) == written.plain_bytes
        run("node", "--eval", NODE, path, f"{path}.plain")
        assert Path(f"{path}.plain").read_bytes() == plain
