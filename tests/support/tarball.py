# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's tarball, whose bytes are those of any other machine: tarball.py [DIRECTORY]

It consists of what git tracks, as it is in the working tree, without what galaxy.yml leaves out; where git knows
nothing of it, as of an archive of the sources, of all but that. The tarball that ansible-galaxy makes of it is
rewritten: it has the order in which directories are read, times and executable bits. All times are that of the last
commit, or else of galaxy.yml, or SOURCE_DATE_EPOCH. Only another implementation of zlib compresses otherwise.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).parents[2]
GALAXY = Path(sys.executable).parent / "ansible-galaxy"
LISTS = ("MANIFEST.json", "FILES.json")


def build(to: Path) -> Path:
    """Build the tarball in a directory, and return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        sources, made, tracked = Path(scratch, "sources"), Path(scratch, "made"), list(_tracked())
        for name in tracked:
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, sources / name)
        command = [GALAXY, "collection", "build", "--output-path", made, sources if tracked else ROOT]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (path,) = made.iterdir()
        (to / path.name).write_bytes(normalised(path.read_bytes(), commit_time()))
    return to / path.name


def _tracked() -> Iterator[str]:
    """Yield the files that git tracks, but for links and what was removed in the working tree."""
    names = _git("ls-files", "-z").split("\0")
    yield from (name for name in names if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink())


def commit_time() -> int:
    """Return the time that all files have, in seconds since 1970."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    return int(seconds or (ROOT / "galaxy.yml").stat().st_mtime)


def _git(*arguments: str) -> str:
    """Return what git says of the checkout, nothing where that is none of git's or of another user."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return ""
    return subprocess.run(["git", "-C", ROOT, *arguments], check=False, stdout=subprocess.PIPE, text=True).stdout


def normalised(tarball: bytes, time: int) -> bytes:
    """Return a collection's tarball in the one way in which the same content is written."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as tar:
        content = {member.name: _read(tar, member) for member in tar if member.isfile()}
    manifest, files = (json.loads(content[name]) for name in LISTS)
    files["files"].sort(key=lambda entry: entry["name"])
    content["FILES.json"] = _dumped(files)
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(content["FILES.json"]).hexdigest()
    content["MANIFEST.json"] = _dumped(manifest)
    written = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, written, mtime=0) as packed, tarfile.open(
        fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT
    ) as tar:
        for name in [*LISTS, *(entry["name"] for entry in files["files"] if entry["name"] != ".")]:
            tar.addfile(*_member(name, content.get(name), time))
    return written.getvalue()


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file, member.name
    return file.read()


def _dumped(content: Any) -> bytes:
    return json.dumps(content, indent=1).encode()


def _member(name: str, content: bytes | None, time: int) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    """Return a member of an archive; without content it is a directory."""
    member = tarfile.TarInfo(name)
    member.mtime = time
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        return member, None
    member.size = len(content)
    return member, io.BytesIO(content)


if __name__ == "__main__":
    built = build(Path(sys.argv[1]) if sys.argv[1:] else ROOT)
    sys.stdout.write(f"{hashlib.sha256(built.read_bytes()).hexdigest()}  {built.name}\n")
