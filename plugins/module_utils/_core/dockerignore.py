# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a directory a build takes, by the patterns of ``.dockerignore``, as BuildKit reads them.

The format: https://docs.docker.com/build/concepts/context/#dockerignore-files. What BuildKit makes of it, which differs
in places: https://github.com/moby/patternmatcher.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Callable, Iterator, List, Sequence, Tuple

from .errors import InvalidInput

_BOM = b"\xef\xbb\xbf"
_SPECIAL = re.compile(r"[*?\[\]\\]")
_LITERAL = ".+()|{}$"


@dataclass(frozen=True)
class Pattern:
    """A pattern, and whether what matches it is taken again."""

    matches: Callable[[str], bool]
    again: bool


def patterns_of(content: bytes, file: str) -> list[Pattern]:
    """Return the patterns of an ignore file.

    Args:
        content: of any encoding; BuildKit compares bytes.
        file: its name, for messages.

    Raises:
        InvalidInput: the builder would refuse a line.
    """
    found = []
    text = content[len(_BOM) :] if content.startswith(_BOM) else content
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").split("\n"), 1):
        if line.startswith("#") or not line.strip():
            continue
        again, pattern = _cleaned(line.strip())
        problem = _problem(pattern)
        if problem:
            raise InvalidInput(f"Line {number} of {file}, {line.strip()!r}, is no pattern: {problem}.")
        found.append(Pattern(_matcher(pattern), again))
    return found


def kept(patterns: Sequence[Pattern], entries: Callable[[str], List[Tuple[str, bool]]]) -> Iterator[str]:
    """Yield the paths of the files that a build takes.

    Args:
        entries: returns what is in a directory, each with whether it is a directory; that itself is named by an empty
            path, and all others relative to it.
    """
    yield from _below("", patterns, [False] * len(patterns), entries)


def _below(
    folder: str,
    patterns: Sequence[Pattern],
    above: Sequence[bool],
    entries: Callable[[str], List[Tuple[str, bool]]],
) -> Iterator[str]:
    for name, is_folder in entries(folder):
        path = f"{folder}/{name}" if folder else name
        left_out, matched = _judged(path, patterns, above)
        if not is_folder:
            if not left_out:
                yield path
        elif not left_out or any(pattern.again for pattern in patterns):
            yield from _below(path, patterns, matched, entries)


def _judged(path: str, patterns: Sequence[Pattern], above: Sequence[bool]) -> tuple[bool, list[bool]]:
    """Return whether a path is left out, and which patterns match it; what matches a directory matches all in it."""
    left_out, matched = False, []
    for pattern, inherited in zip(patterns, above):
        # One that would change nothing is not asked, and so is not inherited either.
        match = inherited or (pattern.again is left_out and pattern.matches(path))
        matched.append(match)
        if match:
            left_out = not pattern.again
    return left_out, matched


def _cleaned(line: str) -> tuple[bool, str]:
    again = line.startswith("!")
    pattern = line[1:].strip() if again else line
    if pattern:
        pattern = re.sub("^/+", "/", posixpath.normpath(pattern))
        pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
    if not again and pattern.startswith("!"):  # of /!x
        return True, pattern[1:]
    return again, "" if again and pattern == "/" else pattern


def _matcher(pattern: str) -> Callable[[str], bool]:
    end = pattern[2:]
    if not _SPECIAL.search(pattern):
        return lambda path: path == pattern
    if pattern.startswith("**") and not _SPECIAL.search(end):
        return lambda path: path.endswith(end) or (end.startswith("/") and path == end[1:])
    begin = pattern[:-2]
    if pattern.endswith("**") and not _SPECIAL.search(begin):
        return lambda path: path.startswith(begin)
    compiled = re.compile(_regex(pattern))
    return lambda path: bool(compiled.match(path))


def _regex(pattern: str) -> str:
    parts, place = [], 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character == "*" and pattern.startswith("*", place):
            place += 2 if pattern.startswith("/", place + 1) else 1
            parts.append("(?:.*/)?" if place < len(pattern) else ".*")
        elif character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "\\":
            parts.append(re.escape(pattern[place]))
            place += 1
        else:
            parts.append(f"\\{character}" if character in _LITERAL else character)
    return "".join(parts) + r"\Z"


def _problem(pattern: str) -> str:
    """Return why the builder would refuse a pattern, or why it cannot mean what it seems to; else nothing."""
    if not pattern:
        return "it is a ! alone"
    if re.search(r"\\([A-Za-z0-9]|\Z)", pattern):
        return "a backslash takes the meaning from the character after it, and / parts folders"
    for found in re.finditer(r"(?<!\\)\[", pattern):
        if not re.match(r"\[\^?(?:(?:\\.|[^]\\-])(?:-(?:\\.|[^]\\-]))?)+\]", pattern[found.start() :], re.DOTALL):
            return "a [ needs its ], with characters or ranges such as a-z between them"
        if pattern.startswith("[[:", found.start()):
            return "classes such as [:alpha:] are not known; write a range such as a-z"
    try:
        re.compile(_regex(pattern))
    except re.error as error:
        return str(error)
    return ""


def ignore_files(dockerfile: str, context: str) -> tuple[str, str]:
    """Return the ignore files that the builder looks for, the first of them that is there counts.

    Args:
        dockerfile: where it is; context: a directory, empty for the top. All are relative to the sources' top.
    """
    return f"{dockerfile}.dockerignore", posixpath.join(context, ".dockerignore")


def default_ignore(own_dockerfile: bool, ignore: str) -> str:
    """Return what is left out of sources without an ignore file, by whether they have a Dockerfile of their own.

    With one it is git's directory alone, as for the builder when it takes sources from git itself.
    """
    return ".git\n" if own_dockerfile else ignore
