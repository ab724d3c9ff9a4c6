# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that count are those that BuildKit takes, whatever the patterns: SETS=2000 for more, SEED for others."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sources import chosen, layout_of
from lab import docker

SETS, SEED, AT_ONCE = int(os.environ.get("SETS", "60")), int(os.environ.get("SEED", "16")), 60
FOLDERS = ("", "docs", "docs/guide", "src", "src/app", "src/app/docs", "a.b")
NAMES = ("a.ts", "b.mdx", "c", "docs.md", "page.ts", "ä b.txt", "[x].js", "^a", "x+y.ts")
PARTS = (
    *FOLDERS[1:],
    *NAMES,
    "*",
    "**",
    "?",
    "*.ts",
    "*.mdx",
    "[^a]*",
    "[a-c]*",
    "b*",
    "..",
    ".",
    "do?s",
    "\\[x\\].js",
    "x",
)


def some_patterns(chance: random.Random) -> str:
    lines = []
    for _turn in range(chance.randint(1, 6)):
        pattern = chance.choice(["", "", "/", "./"]) + "/".join(chance.choices(PARTS, k=chance.choice([1, 1, 2, 3])))
        pattern += chance.choice(["", "", "", "/", "**", "/**"])
        lines.append(chance.choice(["", "", "!", "! ", "#", "  "]) + pattern + chance.choice(["", "", " ", "\r"]))
    return chance.choice(["", "", "\ufeff"]) + chance.choice(["", "", "*\n", "**\n"]) + "\n".join(lines) + "\n"


def tree(place: Path, text: str) -> None:
    for folder in FOLDERS:
        (place / folder).mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (place / folder / name).touch()
    (place / ".dockerignore").write_text(text, encoding="utf-8", newline="")


def taken(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}


def test_the_same_files_as_the_builder_takes(tmp_path: Path) -> None:
    chance, made = random.Random(SEED), 0
    while made < SETS:
        contexts: dict[str, Path] = {}
        while len(contexts) < min(AT_ONCE, SETS - made):
            place = tmp_path / f"context{made + len(contexts)}"
            tree(place, some_patterns(chance))
            try:
                chosen(str(place), "")
            except InvalidInput as refused:
                if "leaves none" not in refused.message:
                    continue  # the builder would refuse them all
            contexts[place.name] = place
        built = build(tmp_path, contexts)
        for name, place in contexts.items():
            text = (place / ".dockerignore").read_bytes()
            try:
                ours = set(chosen(str(place), ""))
            except InvalidInput:
                ours = set()
            # The file itself is sent in any case; the builder reads it.
            assert ours - {".dockerignore"} == taken(built / name) - {".dockerignore"}, (SEED, text)
        made += len(contexts)


def build(tmp_path: Path, contexts: dict[str, Path]) -> Path:
    """Have the builder copy each context, and return where."""
    (tmp_path / "empty").mkdir(exist_ok=True)
    lines = ["FROM scratch", *(f"COPY --from={name} . /{name}/" for name in contexts)]
    file, out = tmp_path / "Dockerfile", tmp_path / f"out-{next(iter(contexts))}"
    file.write_text("\n".join(lines) + "\n")
    given = [option for name, place in contexts.items() for option in ("--build-context", f"{name}={place}")]
    options = ["--quiet", "--file", str(file), "--output", f"type=local,dest={out}", *given, str(tmp_path / "empty")]
    docker("buildx", "build", *options)
    return out


@pytest.mark.parametrize("beside", [None, "", "a.ts\n"])
@pytest.mark.parametrize("at_top", [None, "b.mdx\n"])
@pytest.mark.parametrize(
    ("dockerfile", "context"), [("docker/prod", ""), ("docker/prod", "src"), ("src/prod", "src"), ("", "src")]
)
def test_the_same_ignore_file_counts_wherever_dockerfile_and_context_lie(
    tmp_path: Path, dockerfile: str, context: str, at_top: str | None, beside: str | None
) -> None:
    place, out = tmp_path / "site", tmp_path / "out"
    tree(place, "c\n")
    if context or at_top is None:
        (place / ".dockerignore").unlink()
    file = place / (dockerfile or f"{context}/Dockerfile")
    file.parent.mkdir(exist_ok=True)
    file.write_text("FROM scratch\nCOPY . /\n")
    for path, text in ((place / context / ".dockerignore", at_top), (Path(f"{file}.dockerignore"), beside)):
        if text is not None:
            path.write_text(text)
    docker(
        "buildx",
        "build",
        "--quiet",
        *(("--file", str(file)) if dockerfile else ()),
        f"--output=type=local,dest={out}",
        str(place / context),
    )
    layout = layout_of(str(place), dockerfile, context)
    ours = {os.path.relpath(name, context or ".") for name in chosen(str(place), "", layout) if name not in layout.own}
    assert ours == taken(out) - {os.path.relpath(name, context or ".") for name in layout.own}
    assert ("a.ts" in ours, "b.mdx" in ours) == (beside != "a.ts\n", beside is not None or at_top is None)
