# SPDX-License-Identifier: GPL-3.0-or-later
"""What a version is, why git refused, and which key a repository is asked with; git itself in tests/integration."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import git
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.dockerfile import Kind

ONE, TWO, TAG = "1" * 40, "2" * 40, "3" * 40
LISTED = f"""{ONE}\tHEAD
{ONE}\trefs/heads/main
{TWO}\trefs/heads/v1
{TWO}\trefs/pull/7/head
{TAG}\trefs/tags/v1
{ONE}\trefs/tags/v1^{{}}
{TAG}\trefs/tags/v2
{TWO}\trefs/tags/v2^{{}}
"""


@pytest.mark.parametrize(
    ("version", "commit"),
    [
        ("main", ONE),
        ("v1", TWO),  # a branch and a tag: the branch, as ansible.builtin.git does it
        ("tags/v1", ONE),
        ("refs/tags/v1", ONE),
        ("v2", TWO),  # what an annotated tag points at
        ("HEAD", ONE),
        ("refs/pull/7/head", TWO),
        ("4" * 40, "4" * 40),
        ("4" * 64, "4" * 64),
        ("4" * 39, None),
        ("mian", None),
        ("v2^{}", None),
    ],
)
def test_a_version_is_a_branch_a_tag_a_name_or_a_commit(version: str, commit: str) -> None:
    assert git.resolved(version, git.refs_of(LISTED)) == commit


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (f"{ONE} blob 12\n", Kind.FILE),
        (f"{ONE} tree 33\n", Kind.DIRECTORY),
        (f"{ONE} commit 200\n", Kind.NOTHING),
        (f"{ONE} submodule\n", Kind.NOTHING),
        (f"{ONE}:docker/prod missing\n", Kind.NOTHING),
        (f"{ONE}:a blob b missing\n", Kind.NOTHING),
        (f"dangling 44\n{ONE}:gone\n", Kind.NOTHING),
        (f"notdir 44\n{ONE}:page/x\n", Kind.NOTHING),
        ("symlink 9\n../secret\n", Kind.OUTSIDE),
        ("", Kind.NOTHING),
    ],
)
def test_what_lies_at_a_path_of_a_commit(answer: str, kind: Kind) -> None:
    assert git.kind_of(answer) is kind


def test_an_empty_repository_has_no_versions() -> None:
    assert git.refs_of("") == {}
    assert (
        git.unknown("main", {})
        == "The repository has no branch, tag or commit main: check ⟦setting git_version⟧. It is empty."
    )


@pytest.mark.parametrize(("text", "short"), [("1234567", True), ("f" * 63, True), ("123456", False), ("main", False)])
def test_what_may_be_the_beginning_of_a_commit(text: str, short: bool) -> None:
    assert git.may_be_short(text) is short


def test_names_that_are_like_the_one_asked_for_are_told() -> None:
    refs = git.refs_of(LISTED)
    assert git.unknown("mian", refs).endswith("check ⟦setting git_version⟧. It has main and others.")
    assert git.unknown("zzz", refs).endswith("It has main, v1, v1 and others.")


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (
            "@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
            "another host key",
        ),
        (
            "No ED25519 host key is known for git.example.com\nHost key verification failed.",
            "⟦setting git_known_hosts⟧",
        ),
        ("git@git.example.com: Permission denied (publickey).", "⟦setting git_key⟧"),
        ('Load key "/x": error in libcrypto\ngit@x: Permission denied (publickey).', "without a passphrase"),
        (
            "fatal: could not read Username for 'https://git.example.com': terminal prompts disabled",
            "⟦setting git_token⟧",
        ),
        ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://x/'", "⟦setting git_token⟧"),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", "no such repository"),
        ("fatal: '/srv/x' does not appear to be a git repository", "no such repository"),
        ("ssh: Could not resolve hostname x: Name or service not known", "DNS"),
        ("ssh: connect to host x port 22: Connection timed out", "does not answer"),
        ("error: RPC failed; curl 28 Operation too slow", "does not answer"),
        ("git fetch did not end within 9 s", "does not answer"),
        ("fatal: unable to access 'https://x/': server certificate verification failed", "certificate"),
        ("fatal: write error: No space left on device", "disk"),
        ("fatal: detected dubious ownership in repository at '/x'", "chown"),
        ("error: The following untracked working tree files would be overwritten by checkout:\n\tpage", "in the way"),
        ("fatal: Unable to create '/x/.git/index.lock': File exists.", "Another git"),
        ("error: object file .git/objects/aa/bb is empty\nfatal: loose object aabb is corrupt", "damaged"),
        ("fatal: remote error: upload-pack: not our ref 123", "⟦setting git_version⟧"),
        ("fatal: transport 'file' not allowed", "submodule"),
        (
            "git-lfs filter-process: 1: git-lfs: not found\nfatal: the remote end hung up unexpectedly",
            "apt-get install",
        ),
    ],
)
def test_a_refusal_has_its_cause_and_what_git_said_once(output: str, cause: str) -> None:
    reason = git.why(f"{output}\n{output}")
    assert cause in reason
    assert "{" not in reason
    assert all(reason.count(line.strip().rstrip(".")) <= 1 for line in output.splitlines() if len(line) > 9)


def test_what_is_not_known_is_told_as_git_said_it() -> None:
    assert git.why("hint: try this\nfatal: odd\nfatal: odd\n") == "Git said: fatal: odd."
    assert git.why("") == "Git said nothing."


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("git-upload-pack '/acme/site.git'", "own"),
        ("git-upload-pack '/acme/ui.git'", "ui"),
        ("git-upload-pack 'acme/ui.git'", "ui"),
        ("git-upload-pack 'acme/ui'", "ui"),
        ("git-lfs-authenticate acme/ui.git download", "ui"),
        ("git-lfs-authenticate acme/ui download", "ui"),
        ("git-upload-pack '/acme/ui-kit.git'", "own"),
        ("git-upload-pack '/other-acme/ui.git'", "own"),
        ("git-upload-pack '/acme/it'\\''s.git'", "own"),
    ],
)
@pytest.mark.parametrize("named", ["acme/ui", "/acme/ui.git", "acme/ui.git/"])
def test_each_repository_is_asked_with_its_key(command: str, key: str, named: str, tmp_path: Path) -> None:
    asked = asked_with(tmp_path, {named: "ui"}, command)
    assert asked[asked.index("-i") + 1] == key
    assert asked[-2:] == ["git@git.example.com", command]


def asked_with(place: Path, keys: Mapping[str, str], command: str, own: str = "own", known: str = "") -> list[str]:
    """Return the arguments with which the script calls ssh."""
    (place / "ssh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (place / "ssh").chmod(0o755)
    script = git.ssh(own, keys, known).replace("exec ssh", f"exec {place}/ssh")
    done = subprocess.run(
        ["sh", "-c", script, "sh", "git@git.example.com", command], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_without_a_key_ssh_has_its_own(tmp_path: Path) -> None:
    asked = asked_with(tmp_path, {}, "git-upload-pack 'acme/site'", own="")
    assert "-i" not in asked
    assert "BatchMode=yes" in asked


@pytest.mark.parametrize(
    ("known", "options"),
    [
        ("", ["StrictHostKeyChecking=yes"]),
        ("accept-new", ["StrictHostKeyChecking=accept-new"]),
        (
            git.ACCEPT_UNKEPT,
            [
                "StrictHostKeyChecking=accept-new",
                "UserKnownHostsFile=/dev/null ~/.ssh/known_hosts ~/.ssh/known_hosts2",
            ],
        ),
        ("/x", ["StrictHostKeyChecking=yes", "UserKnownHostsFile=/x", "GlobalKnownHostsFile=/dev/null"]),
    ],
)
def test_which_host_keys_count(known: str, options: list[str], tmp_path: Path) -> None:
    asked = asked_with(tmp_path, {}, "git-upload-pack 'acme/site'", known=known)
    assert [one for one in asked if re.search("HostKey|KnownHosts", one)] == options


SITE = "git@git.example.com:acme/site.git"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SITE, "https://git.example.com/acme/site", True),
        (SITE, "ssh://git@Git.example.com:2222/acme/site.git/", True),
        (SITE, "https://bot@git.example.com/acme/site.git", True),
        (SITE, "git@git.example.com:acme/blog.git", False),
        (SITE, "https://other.example.com/acme/site.git", False),
        ("/srv/site.git", "file:///srv/site", True),
        ("/srv/site.git", "/srv/blog.git", False),
    ],
)
def test_one_repository_has_many_addresses(one: str, other: str, same: bool) -> None:
    assert git.same_repository(one, other) is same


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://git.example.com/acme/site.git", "https://git.example.com"),
        ("https://bot@git.example.com:8443/acme", "https://git.example.com:8443"),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:1"),
        ("git@git.example.com:acme/site.git", ""),
        ("ssh://git@git.example.com/acme", ""),
        ("/srv/site", ""),
    ],
)
def test_a_token_is_for_one_server_over_http(url: str, host: str) -> None:
    assert git.host_of(url) == host
