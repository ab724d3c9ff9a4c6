# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Dockerfile of the application's own may lie, and what it must have."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.dockerfile import (
    Kind,
    misplaced,
    no_stage,
    outside,
)


@pytest.mark.parametrize(
    ("path", "wanted", "found", "sentence"),
    [
        ("docker/prod", Kind.FILE, Kind.FILE, None),
        ("apps/web", Kind.DIRECTORY, Kind.DIRECTORY, None),
        (
            "docker/prod",
            Kind.FILE,
            Kind.NOTHING,
            "There is no file docker/prod in the site. Correct ⟦setting ",
        ),
        (
            "apps/web",
            Kind.DIRECTORY,
            Kind.NOTHING,
            "There is no directory apps/web in the site. Correct ⟦setting ",
        ),
        ("docker", Kind.FILE, Kind.DIRECTORY, "docker in the site is a directory. Correct ⟦setting "),
        ("apps", Kind.DIRECTORY, Kind.FILE, "apps in the site is a file. Correct ⟦setting "),
        (
            "a/link",
            Kind.FILE,
            Kind.OUTSIDE,
            "a/link leads out of the site. Correct ⟦setting dockerfile⟧, or put",
        ),
    ],
)
def test_what_cannot_be_used_is_told(path: str, wanted: Kind, found: Kind, sentence: str | None) -> None:
    told = misplaced(path, wanted, found, "the site")
    assert told is None if sentence is None else told is not None and told.startswith(sentence)


@pytest.mark.parametrize(
    ("path", "out"),
    [("a/b", False), ("..a", False), ("a/../b", False), (".", False), ("..", True), ("a/../../b", True), ("/a", True)],
)
def test_what_leads_out_of_the_sources(path: str, out: bool) -> None:
    assert outside(path) is out


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("FROM x\n", False),
        ("\ufeff  from x", False),
        ("# from x\nARG A=1\nFrom\tx", False),
        ("FROM \\\n  x\n", False),
        ("# syntax = docker/other\nrecipe: x\n", False),
        ("", True),
        ("RUN FROM\n", True),
        ("# FROM x\nRUN x\n", True),
        ("FROMAGE\n", True),
    ],
)
def test_a_dockerfile_without_a_stage(text: str, none: bool) -> None:
    assert no_stage(text) is none
