# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources: which files count, what their digest sees, and what is packed."""

from __future__ import annotations

import os
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sources import (
    Layout,
    archive,
    chosen,
    digest,
    layout_of,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small application."""
    place = tmp_path / "site"
    for name in ("package.json", "app/page.tsx", "node_modules/next/index.js", ".env.production", "Dockerfile"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    (place / "empty").mkdir()
    return place


IGNORE = "# comment\n\n  node_modules  \n.env*\nDockerfile*\n.dockerignore\n"


def test_what_counts_without_a_dockerignore(root: Path) -> None:
    (root / "Dockerfile").unlink()
    assert chosen(str(root), IGNORE) == ["app/page.tsx", "package.json"]


def test_all_but_git_counts_with_a_dockerfile_and_without_a_dockerignore(root: Path) -> None:
    everything = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    for name in (".git/HEAD", "app/.git"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    assert chosen(str(root), IGNORE) == sorted([*everything, "app/.git"])


def test_what_counts_with_a_dockerignore(root: Path) -> None:
    (root / ".dockerignore").write_text("app\n.dockerignore\n")
    files = chosen(str(root), IGNORE)
    assert files == [".dockerignore", ".env.production", "Dockerfile", "node_modules/next/index.js", "package.json"]


@pytest.mark.parametrize("name", ["Dockerfile.dockerignore", ".dockerignore"])
def test_an_ignore_file_of_any_encoding(root: Path, name: str) -> None:
    (root / name).write_bytes(b"\xef\xbb\xbfapp\n# f\xfcr die Bilder\n")
    assert "app/page.tsx" not in chosen(str(root), IGNORE)
    assert "node_modules/next/index.js" in chosen(str(root), IGNORE)


def test_the_ignore_file_of_an_own_dockerfile_comes_first(root: Path) -> None:
    (root / ".dockerignore").write_text("app\n")
    (root / "Dockerfile.dockerignore").write_text("node_modules\n*.dockerignore\nDockerfile\n")
    files = chosen(str(root), IGNORE)
    assert {"app/page.tsx", "Dockerfile", "Dockerfile.dockerignore", ".dockerignore"} <= set(files)
    assert "node_modules/next/index.js" not in files
    (root / "Dockerfile").unlink()
    assert "app/page.tsx" not in chosen(str(root), IGNORE)


def test_a_line_that_the_builder_refuses_is_named(root: Path) -> None:
    (root / ".dockerignore").write_text("app\n!\n")
    with pytest.raises(InvalidInput, match=r"Line 2 of \.dockerignore, '!', is no pattern: it is a ! alone\."):
        chosen(str(root), IGNORE)


def test_links_count_and_are_not_followed_and_pipes_do_not_count(root: Path) -> None:
    (root / "link").symlink_to("app")
    (root / "broken").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    files = chosen(str(root), "")
    assert {"link", "broken"} <= set(files)
    assert not {"pipe", "app", "empty", "link/page.tsx"} & set(files)


def as_link(root: Path, name: str, text: str) -> Path:
    """Put a link instead of a file, and return where it leads: to a file that is left out."""
    target = root / "node_modules" / name
    target.write_text(text)
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(f"node_modules/{name}")
    return target


def test_the_builder_reads_a_dockerfile_and_an_ignore_file_through_links(root: Path, tmp_path: Path) -> None:
    target = as_link(root, "Dockerfile", "FROM one")
    as_link(root, ".dockerignore", "node_modules\n.env*\n")
    files = chosen(str(root), "")
    assert files == [".dockerignore", "Dockerfile", "app/page.tsx", "package.json"]
    archive(str(root), files, str(tmp_path / "site.tar.gz"))
    with tarfile.open(tmp_path / "site.tar.gz") as tar:
        assert tar.getmember("Dockerfile").isreg()
        packed = tar.extractfile("Dockerfile")
        assert packed
        assert packed.read() == b"FROM one"
    before = digest(str(root), files)
    target.write_text("FROM two")
    assert digest(str(root), files) != before


@pytest.mark.parametrize("leads", ["nowhere", "../outside", "app"])
def test_a_dockerfile_that_leads_to_no_file_of_the_sources_is_refused(root: Path, leads: str) -> None:
    (root.parent / "outside").write_text("FROM scratch")
    (root / "Dockerfile").unlink()
    (root / "Dockerfile").symlink_to(leads)
    message = f"{root}/Dockerfile is a link to {leads}, and that is no file of the sources."
    with pytest.raises(InvalidInput) as caught:
        chosen(str(root), "")
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("name", "ignore", "message"),
    [
        ("nowhere", "", "nowhere are not a directory on the controller. Correct ⟦setting source_path⟧."),
        ("package.json", "", "package.json are not a directory on the controller. Correct ⟦setting source_path⟧."),
        ("", "*", " hold no files, or .dockerignore leaves none. Correct ⟦setting source_path⟧, or that file."),
    ],
)
def test_no_sources_are_refused(root: Path, name: str, ignore: str, message: str) -> None:
    (root / "Dockerfile").unlink()
    place = str(root / name) if name else str(root)
    with pytest.raises(InvalidInput) as caught:
        chosen(place, ignore)
    assert caught.value.message.startswith(f"The sources {root}")
    assert caught.value.message.endswith(message)


def digest_of(root: Path) -> str:
    (root / ".dockerignore").write_text(IGNORE)
    return digest(str(root), chosen(str(root), IGNORE))


def touch(root: Path) -> None:
    os.utime(root / "package.json", (1, 1))


def read_only(root: Path) -> None:
    (root / "package.json").chmod(0o444)


def ignored(root: Path) -> None:
    (root / "node_modules/next/index.js").write_text("other")


def another_directory(root: Path) -> None:
    (root / "more").mkdir()


@pytest.mark.parametrize("change", [touch, read_only, ignored, another_directory])
def test_what_cannot_reach_the_image_does_not_change_the_digest(root: Path, change: Callable[[Path], None]) -> None:
    before = digest_of(root)
    change(root)
    assert digest_of(root) == before
    assert len(before) == 64


def contents(root: Path) -> None:
    (root / "package.json").write_text("package.jsoN")


def executable(root: Path) -> None:
    (root / "package.json").chmod(0o755)


def renamed(root: Path) -> None:
    (root / "package.json").rename(root / "package.jsom")


def added(root: Path) -> None:
    (root / "new").touch()


def removed(root: Path) -> None:
    (root / "package.json").unlink()


def to_link(root: Path) -> None:
    (root / "package.json").unlink()
    (root / "package.json").symlink_to("package.json")


@pytest.mark.parametrize("change", [contents, executable, renamed, added, removed, to_link])
def test_what_can_reach_the_image_changes_the_digest(root: Path, change: Callable[[Path], None]) -> None:
    before = digest_of(root)
    change(root)
    assert digest_of(root) != before


def test_the_target_of_a_link_counts(root: Path) -> None:
    (root / "link").symlink_to("one")
    before = digest_of(root)
    (root / "link").unlink()
    (root / "link").symlink_to("two")
    assert digest_of(root) != before


def test_the_digest_is_computed_in_this_way_and_stays_so(tmp_path: Path) -> None:
    # A release is named after it: another way to compute it would rebuild every image.
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "run").touch(0o755)
    parts = [b"ffile\0", sha256(b"x").digest(), b"llink\0", sha256(b"file").digest(), b"xrun\0", sha256(b"").digest()]
    assert digest(str(tmp_path), ["file", "link", "run"]) == sha256(b"".join(parts)).hexdigest()


def test_names_and_contents_cannot_be_mistaken_for_each_other(tmp_path: Path) -> None:
    digests = set()
    for number, (name, text) in enumerate([("a", "bc"), ("ab", "c"), ("abc", "")]):
        place = tmp_path / str(number)
        place.mkdir()
        (place / name).write_text(text)
        digests.add(digest(str(place), [name]))
    assert len(digests) == 3


def test_large_files_are_read_to_their_end(tmp_path: Path) -> None:
    digests = set()
    for last in (b"a", b"b"):
        (tmp_path / "large").write_bytes(b"x" * (2 << 20) + last)
        digests.add(digest(str(tmp_path), ["large"]))
    assert len(digests) == 2


def test_the_archive_holds_the_files_as_root(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to("app/page.tsx")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    os.chown(root / "package.json", os.getuid(), os.getgid())
    files = ["app/page.tsx", "link", "package.json", "run.sh"]
    archive(str(root), files, str(tmp_path / "site.tar.gz"))
    assert (tmp_path / "site.tar.gz").read_bytes()[:2] == b"\x1f\x8b"
    with tarfile.open(tmp_path / "site.tar.gz", "r:gz") as tar:
        members = tar.getmembers()
        assert [one.name for one in members] == files
        assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "root", "root")}
        assert members[1].linkname == "app/page.tsx"
        assert members[3].mode == 0o755
        page = tar.extractfile("app/page.tsx")
        assert page
        assert page.read() == b"app/page.tsx"


def test_unpacked_the_archive_has_the_same_digest(root: Path, tmp_path: Path) -> None:
    (root / "Grüße ä").write_text("x")
    (root / "link").symlink_to("app")
    (root / "run.sh").touch(0o755)
    files = chosen(str(root), IGNORE)
    archive(str(root), files, str(tmp_path / "site.tar.gz"))
    with tarfile.open(tmp_path / "site.tar.gz") as tar:
        tar.extractall(tmp_path / "copy")
    assert digest_of(tmp_path / "copy") == digest_of(root)


def test_the_archive_can_be_read_by_anybody_whatever_the_umask_was(tmp_path: Path) -> None:
    for name, mode in (("private", 0o600), ("command", 0o700), ("open", 0o666)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    archive(str(tmp_path), ["command", "open", "private"], str(tmp_path / "site.tar.gz"))
    with tarfile.open(tmp_path / "site.tar.gz", "r:gz") as tar:
        assert [one.mode for one in tar.getmembers()] == [0o755, 0o644, 0o644]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    message = f"The sources {tmp_path} cannot be read on the controller: {tmp_path}/gone.ts: No such file or directory."
    with pytest.raises(DockerVpsError) as caught:
        digest(str(tmp_path), ["gone.ts"])
    assert caught.value.message.startswith(message)
    with pytest.raises(DockerVpsError, match="cannot be read on the controller"):
        archive(str(tmp_path), ["gone.ts"], str(tmp_path / "x.tar.gz"))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Sources of several applications, with links."""
    for name in (
        "docker/prod",
        "docker/prod.dockerignore",
        "apps/web/page",
        "apps/web/.dockerignore",
        "README",
        "lib/x",
    ):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text("docker/prod.dockerignore\n" if "dockerignore" in name else name)
    (tmp_path / "site/linked").symlink_to("apps/web")
    (tmp_path / "site/infra").symlink_to("docker")
    (tmp_path / "site/docker/other").symlink_to("../README")
    (tmp_path / "site/out").symlink_to(tmp_path)
    (tmp_path / "back").symlink_to("site/README")
    (tmp_path / "site/broken").symlink_to("nowhere")
    return tmp_path / "site"


@pytest.mark.parametrize(
    ("dockerfile", "context", "expected"),
    [
        ("", "", ("Dockerfile", "")),
        ("", ".", ("Dockerfile", "")),
        ("", "apps/web", ("apps/web/Dockerfile", "apps/web")),
        ("docker/prod", "", ("docker/prod", "")),
        ("./docker//prod", "apps/web/", ("docker/prod", "apps/web")),
        ("infra/prod", "linked", ("docker/prod", "apps/web")),
        ("docker/other", "", ("docker/other", "")),
    ],
)
def test_where_the_parts_of_a_build_lie(
    workspace: Path, dockerfile: str, context: str, expected: tuple[str, str]
) -> None:
    assert layout_of(str(workspace), dockerfile, context) == Layout(*expected)


@pytest.mark.parametrize(
    ("dockerfile", "context", "sentence"),
    [
        ("docker/none", "", "There is no file docker/none in the sources {}. Correct ⟦setting dockerfile⟧"),
        ("broken", "", "There is no file broken in the sources {}."),
        ("docker", "", "docker in the sources {} is a directory. Correct ⟦setting dockerfile⟧"),
        ("../other", "", "../other leads out of the sources {}. Correct ⟦setting dockerfile⟧"),
        ("out/secret", "", "out/secret leads out of the sources {}."),
        ("out/back", "", "out/back leads out of the sources {}."),
        ("/etc/hostname", "", "/etc/hostname leads out of the sources {}."),
        ("", "apps/none", "There is no directory apps/none in the sources {}. Correct ⟦setting build_context⟧"),
        ("", "README", "README in the sources {} is a file. Correct ⟦setting build_context⟧"),
        ("", "out", "out leads out of the sources {}. Correct ⟦setting build_context⟧"),
    ],
)
def test_a_wrong_path_is_told(workspace: Path, dockerfile: str, context: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        layout_of(str(workspace), dockerfile, context)
    assert caught.value.message.startswith(sentence.format(workspace))


def test_the_parts_of_no_sources_are_not_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none are not a directory on the controller"):
        layout_of(str(tmp_path / "none"), "docker/prod", "")


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        (
            Layout("docker/prod", "apps/web"),
            ["apps/web/.dockerignore", "apps/web/page", "docker/prod", "docker/prod.dockerignore"],
        ),
        (Layout("apps/web/Dockerfile", "apps/web"), ["apps/web/.dockerignore", "apps/web/page"]),
        (
            Layout("docker/prod"),
            [
                "README",
                "apps/web/.dockerignore",
                "apps/web/page",
                "broken",
                "docker/other",
                "docker/prod",
                "docker/prod.dockerignore",
                "infra",
                "lib/x",
                "linked",
                "out",
            ],
        ),
        (Layout("docker/other", "lib"), ["docker/other", "lib/x"]),
    ],
)
def test_what_counts_of_a_dockerfile_and_a_context_elsewhere(
    workspace: Path, layout: Layout, files: list[str], tmp_path: Path
) -> None:
    assert chosen(str(workspace), "", layout) == files
    before = digest(str(workspace), files, layout)
    (workspace / "README").write_text("other")
    assert (digest(str(workspace), files, layout) != before) is ("README" in files or "docker/other" in files)
    archive(str(workspace), files, str(tmp_path / "x.tar.gz"), layout)
    with tarfile.open(tmp_path / "x.tar.gz") as tar:
        assert tar.getmember(layout.dockerfile).isreg() if layout.dockerfile in files else files == tar.getnames()


def test_an_empty_ignore_file_of_a_dockerfile_counts_too(workspace: Path) -> None:
    (workspace / "docker/prod.dockerignore").write_text("")
    (workspace / "apps/web/.dockerignore").write_text("page\n")
    assert "apps/web/page" in chosen(str(workspace), "", Layout("docker/prod", "apps/web"))
