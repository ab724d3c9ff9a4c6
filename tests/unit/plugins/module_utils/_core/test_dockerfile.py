# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Dockerfile of the application's own may be, what it must have, and what it is based on."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.dockerfile import (
    Bases,
    Kind,
    bases_of,
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


@pytest.mark.parametrize(
    ("text", "images", "last"),
    [
        ("", (), ""),
        ("FROM\n", (), ""),
        ("FROM node:22\nRUN x\n", ("node:22",), "node:22"),
        ("\ufeff  from node:22 as web\r\nFROM WEB\r\n", ("node:22",), "node:22"),
        ("FROM --platform=$BUILDPLATFORM node:22 AS a\nFROM b@sha256:1\n", ("node:22", "b@sha256:1"), "b@sha256:1"),
        ("FROM x AS a\nFROM y\nFROM x\nCOPY --from=z . .\n", ("x", "y"), "x"),
        ("FROM x AS a\nFROM Scratch\nCOPY --from=a . .\n", ("x",), ""),
        ("FROM scratch AS a\nFROM a\n", (), ""),
        # Lines that go on, with comments and empty ones between; and what only looks like an instruction.
        ("FROM \\\n# no\n\n  x \\ \n AS a\n", ("x",), "x"),
        ("# FROM no\nFROM x\nRUN echo \\\nFROM y\nCMD FROM z\n", ("x",), "x"),
        ("FROM x\nCOPY <<-'END' /q\nFROM t\n\tEND\nFROM y\n", ("x", "y"), "y"),
        ("FROM x\nRUN <<A cat <<B\nFROM t\nA\nFROM u\nB\nFROM y\n", ("x", "y"), "y"),
        ("FROM x\nRUN cat <<<A\nLABEL a=<<B\nFROM y\nA\nB\n", ("x", "y"), "y"),
        ("FROM x\nRUN <<A\nFROM t\n", ("x",), "x"),
        # Arguments
        ("ARG B=x\nFROM ${B} AS a\nFROM $B\n", ("x",), "x"),
        ("ARG V=22 T='-slim' \\\n  I=\"node:${V}\"\nFROM $I$T\n", ("node:22-slim",), "node:22-slim"),
        ("ARG TAG\nFROM node:${TAG}\n", ("node:20",), "node:20"),
        ("ARG TAG=22\nFROM node:$TAG\n", ("node:20",), "node:20"),
        ("FROM node:$TAG\n", (), ""),
        ("FROM node:${TAG:-21} AS a\nFROM c:${U-1}\n", ("node:21", "c:1"), "c:1"),
        ("ARG EMPTY=22\nFROM node:$EMPTY\n", ("node:22",), "node:22"),
        ("FROM x AS a\nARG TAG=1\nFROM y:$TAG\n", ("x",), ""),
        ("FROM x AS a\nFROM y:${TAG:+1}\n", ("x",), ""),
        ("ARG A=$B\nFROM x:$A\n", (), ""),
    ],
)
def test_what_a_dockerfile_is_based_on(text: str, images: tuple[str, ...], last: str) -> None:
    assert bases_of(text, {"TAG": "20", "EMPTY": ""}) == Bases(images, last)


@pytest.mark.parametrize(
    ("target", "last"), [("Build", "x"), ("1", "y"), ("2", "x"), ("3", ""), ("none", ""), ("", "z")]
)
def test_the_base_of_a_stage(target: str, last: str) -> None:
    text = "FROM x AS build\nFROM y\nFROM build AS run\nFROM scratch\nFROM z\n"
    assert bases_of(text, {}, target) == Bases(("x", "y", "z"), last)
