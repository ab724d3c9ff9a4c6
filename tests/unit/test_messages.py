# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house for messages, and the page that shows them all."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ptnextjs.docker_vps.tests.support import messages
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

# What these say is about a parameter, or becomes part of a message that has the next step.
PARTS = re.compile(
    r"_core/(dockerignore|dotenv|environment|git|health|manifest|openpgp|tar_members|validators)|"
    r"_store/(archive|archive_file|compression|sqlite)|_module/|modules/|_release/container_logs"
)
# What follows these is the output of others, or stands in a message that has the next step.
BEGUN = (
    "Backups of <app> in",
    "Container <name> is",
    "It was healthy at first, and then",
    "Its sha256",
    "Not everything is there",
    "The Docker engine refused",
    "The command <command> ended",
    "The command <hook[0]> of",
    "cannot be started:",
    "ended with <rc>",
    "The databases of <file>",
    "The last run of",
    "There is no backup set of <app> in <directory>: run",
    "the Docker engine ended",
    "there is no database",
    "(not shown",
    "<file> has more bytes",
)


def test_the_page_shows_them_all() -> None:
    page = (ROOT / "docs/messages.md").read_text(encoding="utf-8")
    assert page == messages.page(), "Run: python tests/support/messages.py >docs/messages.md"


def test_messages_keep_the_rules() -> None:
    assert [fault for one in messages.every() for fault in messages.faults(one.text)] == []


def test_each_says_what_to_do() -> None:
    silent = {one.text for one in messages.every() if not one.halves[1] and not PARTS.search(one.file)}
    assert {text for text in silent if not text.startswith(BEGUN) and not re.search(r"\bmust\b", text)} == set()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("It ended with a KeyError. Report it.", "a class of Python"),
        ("It is a _AnsibleTaggedDate.", "a class of Python"),
        ("The step said: a\\nb.", "a backslash and an n"),
        ("It failed.. Try again.", "two full stops"),
        ("Error executing command.", "Error executing command"),
        ("There is no branch. There is no branch. Check it.", "a sentence twice"),
        ("Run ⟦play deploy⟧.", "a remedy that nobody has worded"),
        ("The host is too small: see image_host.", "a role's variable"),
    ],
)
def test_each_rule_finds_what_it_is_for(text: str, fault: str) -> None:
    (found,) = messages.faults(text)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "text",
    [
        "The file a/../b has 1.5 MiB… Free some, or set docker_vps_memory_min.",
        "The container exited.\nIts last 2 log lines:\nTypeError: x\nTypeError: x",
    ],
)
def test_what_is_right_or_of_others_is_no_fault(text: str) -> None:
    assert messages.faults(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "The image <image> is not on this host. Build or pull it first.",  # of a module
        "The server requires a token, or refuses it: see docker_vps_git_token.",  # a cause
        "memory: expected at least <size>, found <found>; use a larger host or lower docker_vps_memory_min.",
        "<path> cannot be made durable: <cause>. <next step>",  # by a function that adds the step
        "Container <name> exited with code <exit code>.",
    ],
)
def test_messages_are_read_as_the_code_says_them(text: str) -> None:
    assert text in {one.text for one in messages.every()}
