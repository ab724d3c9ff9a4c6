# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of .dockerignore; tests/integration/test_dockerignore.py compares with the real builder."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.dockerignore import kept, patterns_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput

FILES = ("a.ts", "b.mdx", "c.js", "docs/a.md", "docs/guide/x.mdx", "src/app/page.ts", "src/lib.js", "ä [1].txt")


def taken(text: str) -> list[str]:
    def entries(folder: str) -> list[tuple[str, bool]]:
        begin = f"{folder}/" if folder else ""
        names = {file[len(begin) :].split("/")[0] for file in FILES if file.startswith(begin)}
        return [(name, f"{begin}{name}" not in FILES) for name in names]

    return sorted(kept(patterns_of(text.encode(), ".dockerignore"), entries))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("", []),
        ("# docs\n\n   \n", []),
        ("docs", ["docs/a.md", "docs/guide/x.mdx"]),
        ("  /docs/  \n", ["docs/a.md", "docs/guide/x.mdx"]),
        ("docs/guide/..", ["docs/a.md", "docs/guide/x.mdx"]),
        ("\ufeffdocs", ["docs/a.md", "docs/guide/x.mdx"]),
        ("*\n!**/*.ts", [name for name in FILES if not name.endswith(".ts")]),
        ("docs\n!**/*.mdx", ["docs/a.md"]),
        ("docs\n!docs/guide", ["docs/a.md"]),
        ("!docs\ndocs", ["docs/a.md", "docs/guide/x.mdx"]),
        ("[^a].*", ["b.mdx", "c.js"]),
        ("[a-b].*", ["a.ts", "b.mdx"]),
        ("?.js", ["c.js"]),
        ("*.js", ["c.js"]),
        ("**/*.js", ["c.js", "src/lib.js"]),
        ("**.js", ["c.js", "src/lib.js"]),
        ("src/**", ["src/app/page.ts", "src/lib.js"]),
        ("**/app", ["src/app/page.ts"]),
        ("src/**/page.ts", ["src/app/page.ts"]),
        ("**/a.ts", ["a.ts"]),
        ("../x\n.\n/\n..", []),
        ("*/a.md", ["docs/a.md"]),
        ("*\\[1\\].txt", ["ä [1].txt"]),
        ("a.t$", []),
        ("**", list(FILES)),
    ],
)
def test_what_is_left_out(text: str, gone: list[str]) -> None:
    assert taken(text) == sorted(set(FILES) - set(gone))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("!", "it is a ! alone"),
        ("! ", "it is a ! alone"),
        ("!/", "it is a ! alone"),
        ("a[", "a \\[ needs its \\]"),
        ("[]", "a \\[ needs its \\]"),
        ("[a-]", "a \\[ needs its \\]"),
        ("[z-a]", "bad character range z-a"),
        ("src\\lib", "a backslash takes the meaning"),
        ("x\\", "a backslash takes the meaning"),
        ("[[:alpha:]]", "classes such as"),
    ],
)
def test_what_is_no_pattern(line: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"^Line 2 of .dockerignore, .* is no pattern: {why}"):
        patterns_of(f"docs\n{line}\n".encode(), ".dockerignore")


def test_bytes_that_are_not_utf8() -> None:
    assert len(patterns_of(b"# f\xfcr\nf\xfcr\n", ".dockerignore")) == 1
