# SPDX-License-Identifier: GPL-3.0-or-later
"""The tarball has the same bytes wherever it is built, all that users need, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.tests.galaxy.conftest import Installed
from lab import clean_environment, run
from tarball import GALAXY, LISTS, ROOT, commit_time, normalised

TOP = {
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "MAINTAINERS.md",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "examples",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "requirements.yml",
    "roles",
}
EXAMPLES = {"monitoring", "payload-app", "proxy", "site"}
CACHES = re.compile(r"(^|/)(__pycache__|node_modules|\.next|\.git|\.env|vault\.yml)(/|$)|\.(pyc|db|retry|tar\.gz)$")
# What a checkout has beside its sources.
NOT_SOURCES = (".git", ".venv", ".ansible", ".cache", ".*_cache", ".hypothesis", "__pycache__", "node_modules", ".next")
GALAXY_YML = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
ONLINE = f"{GALAXY_YML['homepage']}/blob/main/"


def content_of(tarball: Path) -> dict[str, bytes]:
    """Return the content of the files of a tarball, by name."""
    with tarfile.open(tarball) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def repository(to: Path) -> Path:
    """Return a repository of git with the sources, as they are here."""
    shutil.copytree(ROOT, to, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    git = ("git", "-C", str(to), "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "All")):
        run(*git, *command)
    return to


def clone(sources: Path, to: Path) -> Path:
    run("git", "clone", "--quiet", "--no-hardlinks", f"file://{sources}", str(to))
    return to


def built_in(checkout: Path, to: Path, umask: int, before: Sequence[str] = (), **environment: str) -> Path:
    """Return a tarball that a checkout has built of itself."""
    to.mkdir()
    command = [*before, sys.executable, "tests/support/tarball.py", str(to)]
    home = {"HOME": str(to / "home"), "ANSIBLE_HOME": str(to / "home")}
    subprocess.run(command, cwd=checkout, env=clean_environment() | home | environment, umask=umask, check=True)
    return next(to.glob("*.tar.gz"))


def as_somebody() -> Sequence[str]:
    """Return what starts a command as a user who is not root, where the kernel allows that."""
    before = ("unshare", "--user", "--map-user=1000")
    return before if subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0 else ()


def test_the_bytes_are_the_same_on_every_machine(tmp_path: Path) -> None:
    sources = repository(tmp_path / "sources")
    first = built_in(clone(sources, tmp_path / "one"), tmp_path / "first", 0o022, TZ="UTC")
    another = clone(sources, tmp_path / "a longer path" / "two")
    for path in [path for path in another.rglob("*.*") if path.is_file() and ".git" not in path.parts]:
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700)
    (another / "notes.txt").write_text("not for anybody")
    (another / "plugins/modules/__pycache__").mkdir()
    (another / "plugins/modules/__pycache__/env_file.cpython-311.pyc").write_bytes(b"\0")
    how = {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
    second = built_in(another, tmp_path / "second", 0o077, as_somebody(), **how)
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    # What Ansible itself builds of a repository, as "ansible-galaxy collection install git+…" does.
    plain = tmp_path / "plain"
    run(str(GALAXY), "collection", "build", "--output-path", str(plain), cwd=tmp_path / "one")
    time = int(run("git", "-C", str(another), "log", "-1", "--format=%ct").stdout)
    assert normalised(next(plain.iterdir()).read_bytes(), time) == first.read_bytes()


def test_what_git_knows_nothing_of_has_the_same_content(tarball: Path, tmp_path: Path) -> None:
    sources = repository(tmp_path / "sources")
    shutil.rmtree(sources / ".git")
    built = built_in(sources, tmp_path / "built", 0o022)
    assert content_of(built) == content_of(tarball)


def test_members_have_nothing_of_the_machine(tarball: Path) -> None:
    with tarfile.open(tarball) as tar:
        members = tar.getmembers()
    assert {member.mtime for member in members} == {commit_time()}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mode for member in members if member.isfile()} == {0o644}
    assert {member.mode for member in members if not member.isfile()} == {0o755}
    names = [member.name for member in members]
    assert names == [*LISTS, *sorted(set(names) - {*LISTS})]
    flags, time = tarball.read_bytes()[3], tarball.read_bytes()[4:8]
    assert (flags, time) == (0, bytes(4))  # of the header of gzip: no name


def files_below(folder: str) -> Iterator[Path]:
    for place, folders, names in os.walk(ROOT / folder):
        folders[:] = [name for name in folders if name not in NOT_SOURCES]
        yield from (Path(place, name) for name in names)


def test_no_script_that_users_get_is_executable() -> None:
    """Executable bits are lost on the way, so nothing may need them."""
    shipped = [path for folder in ("plugins", "roles", "playbooks", "docs", "examples") for path in files_below(folder)]
    executable = [str(path.relative_to(ROOT)) for path in shipped if os.access(path, os.X_OK)]
    assert len(shipped) > 300
    assert [path for path in executable if path != "examples/demo.sh"] == []


def test_what_is_in_it(tarball: Path) -> None:
    names = set(content_of(tarball))
    assert {name.partition("/")[0] for name in names} == TOP
    assert {name.split("/")[1] for name in names if name.startswith("examples/")} == EXAMPLES
    assert [name for name in names if CACHES.search(name)] == []
    assert {"meta/runtime.yml", "roles/common/meta/variables.yml", "roles/stack/README.md"} <= names


def test_the_lists_are_right(tarball: Path) -> None:
    content = content_of(tarball)
    manifest, files = (json.loads(content[name]) for name in LISTS)
    assert manifest["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(content["FILES.json"]).hexdigest()
    listed = {entry["name"]: entry["chksum_sha256"] for entry in files["files"] if entry["ftype"] == "file"}
    assert listed == {name: hashlib.sha256(content[name]).hexdigest() for name in content if name not in LISTS}
    given = {
        key: manifest["collection_info"][key] for key in ("namespace", "name", "version", "authors", "dependencies")
    }
    assert given == {key: GALAXY_YML[key] for key in given}


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(content: Mapping[str, bytes]) -> list[str]:
    """Return the links of pages to what is not among these files, and to what the repository does not have."""
    found = []
    places = {"", *content, *(str(parent) for name in content for parent in Path(name).parents)}
    for page in [name for name in content if name.endswith(".md")]:
        text = content[page].decode()
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            path, _hash, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if link.startswith(ONLINE):
                dead = not (ROOT / path.removeprefix(ONLINE)).exists()
            elif "://" in link or link.startswith("mailto:"):
                dead = False
            else:
                dead = target not in places or bool(anchor and anchor not in anchors(content[target].decode()))
            found += [f"{page}: {link}"] if dead else []
    return found


def test_pages_link_to_what_users_have(tarball: Path) -> None:
    assert dead_links(content_of(tarball)) == []


@pytest.mark.parametrize(
    ("link", "dead"),
    [("b.md#two", False), ("b.md#three", True), ("c.md", True), ("#one", False), ("d", False), ("https://x.y", False),
     (f"{ONLINE}Makefile", False), (f"{ONLINE}Makefil", True)],
)  # fmt: skip
def test_the_check_of_links_itself(link: str, dead: bool) -> None:
    content = {"docs/a.md": f"# One\n[it]({link})".encode(), "docs/b.md": b"## Two\n", "docs/d/e": b""}
    assert bool(dead_links(content)) is dead


def test_it_can_be_installed_and_verified(installed: Installed) -> None:
    verify = ("collection", "verify", "--offline", "-p", str(installed.collections), "ptnextjs.docker_vps")
    assert "Successfully verified" in installed.run("ansible-galaxy", *verify)
    page = installed.path / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(f"{text}\n", encoding="utf-8")
    changed = installed.run("ansible-galaxy", *verify, check=False)
    page.write_text(text, encoding="utf-8")
    assert "README.md" in changed


def test_an_execution_environment_gets_what_the_control_node_needs(installed: Installed) -> None:
    command = [str(ROOT / ".cache/galaxy-importer/bin/ansible-builder"), "introspect", str(installed.collections)]
    every = yaml.safe_load(run(*command).stdout)
    mark = "  # from collection ptnextjs.docker_vps"
    found = {kind: [line.removesuffix(mark) for line in every[kind] if line.endswith(mark)] for kind in every}
    needed = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()[1:]
    floors = [line.partition(",")[0] for line in needed if not line.startswith("ansible-core")]
    assert found["python"] == floors
    assert {line.partition(" ")[0] for line in found["system"]} >= {"git", "openssh-client", "openssh-clients"}
