# SPDX-License-Identifier: GPL-3.0-or-later
"""Write and read env files so that Compose gives the container exactly these bytes.

The format is the one that Docker Compose reads for ``env_file``:
https://github.com/compose-spec/compose-go/blob/main/dotenv/parser.go. Compose expands
``$`` in bare and double-quoted values, turns CRLF into LF and drops what follows `` #``,
so a value is written bare only when none of that can touch it and double-quoted with
escapes otherwise. Single quotes are never written: they cannot hold a backslash before a
quote.
"""

from __future__ import annotations

import re
from typing import Iterator, Mapping

from .errors import InvalidInput

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {"\\": "\\", '"': '"', "$": "$", "n": "\n", "r": "\r", "t": "\t"}
_LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
        (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)' | (?P<bare>(?![ \t]*["'])[^\n]*) )
        [ \t]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_SKIP = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


def quote(value: str) -> str:
    """Return ``value`` as it stands behind ``KEY=`` in an env file.

    Raises:
        InvalidInput: the value holds a NUL, which no environment can carry.
    """
    if "\0" in value:
        raise InvalidInput("an environment value cannot hold a NUL character")
    if _BARE.match(value):
        return value
    return '"' + "".join(_ESCAPES.get(char, char) for char in value) + '"'


def dump(values: Mapping[str, str], header: str = "") -> str:
    """Return the content of an env file, keys in the order given, one per line.

    Raises:
        InvalidInput: a key is not a name, or a value cannot be carried.
    """
    lines = [f"# {line}".rstrip() for line in header.splitlines()]
    for key, value in values.items():
        if not KEY.match(key):
            raise InvalidInput(f"{key!r} is not a name of an environment variable")
        lines.append(f"{key}={quote(value)}")
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """Return the values of an env file, the last one winning as in Compose.

    ``$`` is taken literally: a file of ours never relies on expansion, see ``expanded``.

    Raises:
        InvalidInput: a line is neither an assignment nor a comment; names its number.
    """
    return {line["key"]: _value_of(line) for line in _assignments(text)}


def expanded(text: str) -> list[str]:
    """Return the keys whose values Compose expands, so that the container has others than stand there.

    Raises:
        InvalidInput: as ``parse``.
    """
    last = {line["key"]: line for line in _assignments(text)}
    return [
        key
        for key, line in last.items()
        if "$" in (line["bare"] or "") or "$" in re.sub(r"\\.", "", line["double"] or "", flags=re.DOTALL)
    ]


def _assignments(text: str) -> Iterator[re.Match[str]]:
    if text.startswith("\ufeff"):
        raise InvalidInput(
            "line 1 begins with a byte order mark (BOM), which Compose does not accept; save it without one"
        )
    text = text.replace("\r\n", "\n")
    position = 0
    while position < len(text):
        skip = _SKIP.match(text, position)
        if skip:
            position = skip.end()
            continue
        line = _LINE.match(text, position)
        if not line:
            number = text.count("\n", 0, position) + 1
            raise InvalidInput(f"line {number} is neither KEY=value nor a comment")
        yield line
        position = line.end()


def _value_of(line: re.Match[str]) -> str:
    if line["double"] is not None:
        return re.sub(r"\\(.)", _unescape, line["double"], flags=re.DOTALL)
    if line["single"] is not None:
        return str(line["single"]).replace("\\'", "'")
    return str(line["bare"]).split(" #", 1)[0].strip()


def _unescape(found: re.Match[str]) -> str:
    return _UNESCAPES.get(found[1], found[0])
