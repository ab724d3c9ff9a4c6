# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkouts with the real git of a repository in a directory; those from servers are in tests/integration."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.tests.unit.repositories import Author, Host


@pytest.fixture
def author(tmp_path: Path) -> Author:
    """Somebody who works on a repository, of which there is a first version."""
    made = Author(tmp_path / "author", tmp_path / "site.git")
    made.push(page="first")
    return made


@pytest.fixture
def host(author: Author, tmp_path: Path) -> Host:
    return Host(tmp_path / "opt/source", f"file://{author.bare}")


def test_the_remote_is_followed_and_a_second_run_changes_nothing(author: Author, host: Host) -> None:
    first = author.git("rev-parse", "HEAD")
    foreseen = host(check_mode=True)
    assert (foreseen["changed"], foreseen["before"], foreseen["after"]) == (True, "", first)
    assert not host.place.exists()
    assert foreseen["files"] == []  # nothing is here yet
    assert host() == {**foreseen, "files": ["page"], "package_manager": host(check_mode=True)["package_manager"]}
    assert not host()["changed"]
    second = author.push(page="second")
    foreseen = host(check_mode=True)
    assert (foreseen["before"], foreseen["after"]) == (first, second)
    assert host.page() == "first"
    assert host() == {**foreseen, "files": ["page"], "package_manager": host(check_mode=True)["package_manager"]}
    assert host(check_mode=True)["files"] == ["page"]
    assert host.page() == "second"
    for version in (first, first[:9], second[:9]):
        assert host(version=version)["after"] in (first, second)
        assert host.page() == ("first" if version != second[:9] else "second")
        assert not host(version=version)["changed"]


def test_what_installs_the_dependencies_is_read_from_the_commit(author: Author, host: Host) -> None:
    author.push(**{"package.json": '{"packageManager": "yarn@4.5.0"}', "yarn.lock": "__metadata:\n"})
    assert host(check_mode=True)["package_manager"]["name"] == "npm"  # nothing is here yet
    assert host()["package_manager"]["package"] == "@yarnpkg/cli-dist@4.5.0"
    author.push(**{"src/payload.config.ts": "sqliteAdapter({ transactionOptions: {} })"})
    assert "src/payload.config.ts has no prodMigrations" in host()["cautions"][0]
    author.push(**{"src/payload.config.ts": "upload: { limits: { fileSize: 1024 } }"})
    assert "cut files at 1 KiB, and the reverse proxy lets 2 KiB" in host(upload_max=2048)["cautions"][0]
    author.push(**{"package.json": "{}"})
    assert "nothing says of which" in host()["package_manager"]["problem"]


def test_the_dockerfile_is_read_from_the_commit(author: Author, host: Host) -> None:
    assert host()["dockerfile"] == ""
    author.push(**{"docker/prod": "FROM x\n\nRUN y", "Dockerfile": "FROM top\n"})
    assert host(check_mode=True)["dockerfile"] == ""  # it is not here yet
    assert host()["dockerfile"] == "FROM top\n"
    assert host(check_mode=True, dockerfile_path="./docker/prod")["dockerfile"] == "FROM x\n\nRUN y"
    assert host(context_path="docker")["dockerfile"] == ""
    (author.place / "docker/Dockerfile").symlink_to("prod")
    author.push()
    assert host(context_path="docker")["dockerfile"] == "FROM x\n\nRUN y"


def test_what_is_fetched_comes_at_once_or_not_at_all(author: Author, host: Host) -> None:
    """A fetch that is killed while it writes objects one by one leaves a commit without its files."""
    objects = host.place / ".git/objects"
    for text in ("first", "second"):
        author.push(page=text)
        host()
        assert {path.name for path in objects.iterdir()} == {"info", "pack"}
    assert len([*objects.glob("pack/*.idx")]) == 2


def test_what_was_moved_there_is_moved_here(author: Author, host: Host) -> None:
    author.git("tag", "--annotate", "--message", "one", "v1")
    author.git("branch", "feature")
    first = author.push()
    host(version="v1")
    author.git("push", "--quiet", "origin", "--delete", "feature")
    author.git("branch", "--delete", "--force", "feature")
    author.git("branch", "feature/one")
    author.push(page="second")
    author.git("tag", "--annotate", "--force", "--message", "again", "v1")
    second = author.push()
    assert host()["after"] == second
    assert host(version="v1")["after"] == author.git("rev-parse", "v1^{}") != first
    assert host(version="feature/one")["changed"]
    author.git("checkout", "--quiet", "--orphan", "new")
    author.git("branch", "--delete", "--force", "main")
    author.git("branch", "--move", "main")
    anew = author.push(page="anew")
    assert host()["after"] == anew
    assert host.page() == "anew"


def test_a_commit_of_no_branch(author: Author, host: Host) -> None:
    author.push(page="of a pull request")
    commit = author.git("rev-parse", "HEAD")
    author.git("push", "--quiet", "origin", "HEAD:refs/pull/7/head")
    author.git("reset", "--quiet", "--hard", "HEAD~1")
    author.push()
    assert host(version="refs/pull/7/head")["after"] == commit
    shutil.rmtree(host.place)
    assert host(version=commit)["after"] == commit
    assert host.page() == "of a pull request"


def test_a_shallow_checkout_gets_the_rest(author: Author, host: Host) -> None:
    first = author.git("rev-parse", "HEAD")
    author.push(page="second")
    author.git("clone", "--quiet", "--depth=1", f"file://{author.bare}", str(host.place))
    host(version=first)
    assert host.page() == "first"


def test_local_changes_stay_and_files_nobody_knows_are_not_overwritten(author: Author, host: Host) -> None:
    host()
    (host.place / "page").write_text("fixed in the night")
    author.push(page="second", other="theirs")
    assert "local changes in that directory: page." in host.refused()
    assert "local changes in that directory: page." in host.refused(check_mode=True)
    assert host.page() == "fixed in the night"
    author.git("checkout", "--quiet", "--", ".", at=host.place)
    (host.place / "other").write_text("ours")
    assert "Files that no version knows are in the way" in host.refused()
    assert (host.place / "other").read_text() == "ours"
    (host.place / "other").unlink()
    assert host()["changed"]


def test_a_directory_of_something_else_is_left_alone(author: Author, host: Host) -> None:
    host.place.mkdir(parents=True)
    (host.place / "notes").write_text("ours")
    assert "is no git checkout and holds notes. Move it away." in host.refused()
    assert os.listdir(host.place) == ["notes"]


def test_a_checkout_of_another_repository_is_not_made_this_one(author: Author, host: Host) -> None:
    host()
    other = Author(author.place.with_name("other"), author.place.with_name("other.git"))
    other.push(page="another application")
    for check in (True, False):
        message = host.refused(repository=str(other.bare), check_mode=check)
        assert f"is a checkout of file://{author.bare}: is this another application?" in message
    assert host.page() == "first"
    author.git("remote", "set-url", "origin", str(other.bare), at=host.place)
    host(repository=str(other.bare))
    assert host.page() == "another application"


def test_locks_of_a_killed_git_are_removed_and_those_of_a_living_one_are_not(author: Author, host: Host) -> None:
    host()
    author.push(page="second")
    lock = host.place / ".git/index.lock"
    lock.touch()
    assert host(check_mode=True)["changed"]
    assert lock.exists()
    command = ["git", "cat-file", "--batch-check"]
    with subprocess.Popen(command, cwd=host.place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as at_work:
        assert at_work.stdin is not None
        assert at_work.stdout is not None
        at_work.stdin.write(b"HEAD\n")
        at_work.stdout.readline()  # it runs
        assert "Another git process is running in that directory" in host.refused()
        assert lock.exists()
        at_work.communicate(b"")
    host()
    assert host.page() == "second"


def test_a_damaged_checkout_is_told(author: Author, host: Host) -> None:
    host()
    (host.place / ".git/HEAD").write_text("")
    assert "The checkout is damaged" in host.refused()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_checkout_of_another_owner_is_refused_with_what_to_do(author: Author, host: Host) -> None:
    host()
    subprocess.run(["chown", "--recursive", "33:33", str(host.place)], check=True)
    assert "chown --recursive" in host.refused()


def test_large_files_whose_contents_are_elsewhere_are_told(
    author: Author, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With git-lfs there, they are fetched: see tests/integration."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"
    attributes = "*.png filter=lfs diff=lfs merge=lfs -text\n"
    files = {".gitattributes": attributes, "logo.png": "a picture", "pages/a.png": pointer, "note": pointer}
    author.git("config", "filter.lfs.clean", "cat")
    author.push(**files)
    commands = host.place.parent / "bin"
    commands.mkdir(parents=True)
    for name in ("git", "sh", "cat"):
        (commands / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("HOME", str(commands))
    message = host.refused()
    assert "install git-lfs on the host (apt-get install git-lfs)" in message
    assert "Only pointers are here: pages/a.png." in message or "git-lfs: not found" in message
    assert "Only pointers are here" in host.refused() or "git-lfs: not found" in host.refused()


def test_a_broken_submodule_leaves_a_checkout_that_the_next_run_finishes(author: Author, host: Host) -> None:
    part = Author(author.place.with_name("part"), author.place.with_name("part.git"))
    part.push(button="round")
    author.git("submodule", "--quiet", "add", str(part.bare), "part")
    author.push()
    assert "Git takes no submodule from a path of the host" in host.refused()
    assert host.page() == "first"
    author.git("rm", "--quiet", "--force", "part")
    author.push()
    assert host()["changed"]
    assert not host()["changed"]


@pytest.fixture
def workspace(author: Author) -> Author:
    """A repository with a Dockerfile and applications in folders, and links."""
    for link, target in {"infra": "docker", "out": "../secret", "docker/up": "../apps/web", "gone": "nowhere"}.items():
        (author.place / link).parent.mkdir(exist_ok=True)
        (author.place / link).symlink_to(target)
    author.push(**{"docker/prod": "FROM x", "apps/web/a b": "", "apps/web/page": ""})
    return author


@pytest.mark.parametrize(
    ("dockerfile", "context"),
    [
        ("docker/prod", ""),
        ("./docker//prod", "apps/web/"),
        ("infra/prod", "docker/up"),
        ("apps/web/a b", "."),
        ("", ""),
    ],
)
def test_what_the_build_reads_is_looked_for_in_the_commit(
    workspace: Author, host: Host, dockerfile: str, context: str
) -> None:
    host(dockerfile_path=dockerfile, context_path=context)
    assert not host(check_mode=True, dockerfile_path=dockerfile, context_path=context)["changed"]


@pytest.mark.parametrize(
    ("dockerfile", "context", "sentence"),
    [
        ("docker/none", "", "There is no file docker/none in main of {}. Correct ⟦setting dockerfile⟧"),
        ("page/none", "", "There is no file page/none in main of {}."),
        ("gone", "", "There is no file gone in main of {}."),
        ("docker", "", "docker in main of {} is a directory. Correct ⟦setting dockerfile⟧"),
        (".", "", ". in main of {} is a directory."),
        ("../page", "", "../page leads out of main of {}. Correct ⟦setting dockerfile⟧"),
        ("out", "", "out leads out of main of {}."),
        ("", "apps", ""),
        ("", "apps/none", "There is no directory apps/none in main of {}. Correct ⟦setting build_context⟧"),
        ("", "docker/prod", "docker/prod in main of {} is a file. Correct ⟦setting build_context⟧"),
    ],
)
def test_a_wrong_path_is_told_as_soon_as_the_commit_is_here(
    workspace: Author, host: Host, dockerfile: str, context: str, sentence: str
) -> None:
    asked = {"dockerfile_path": dockerfile, "context_path": context}
    assert host(check_mode=True, **asked)["changed"]  # nobody knows yet
    host()
    for check_mode in (True, False):
        if sentence:
            assert host.refused(check_mode=check_mode, **asked).startswith(sentence.format(f"file://{workspace.bare}"))
        else:
            host(check_mode=check_mode, **asked)


def test_what_a_submodule_has_is_left_to_the_build(author: Author, host: Host, tmp_path: Path) -> None:
    other = Author(tmp_path / "other", tmp_path / "ui.git")
    other.push(Dockerfile="FROM x")
    author.git("submodule", "--quiet", "add", f"file://{other.bare}", "ui")
    author.push(page="with a submodule")
    # A submodule from a path is not fetched, but the commit is here then.
    assert "Git takes no submodule from a path" in host.refused()
    assert host(check_mode=True, dockerfile_path="ui/Dockerfile", context_path="ui")["changed"]
