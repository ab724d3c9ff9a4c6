# SPDX-License-Identifier: GPL-3.0-or-later
"""A Dockerfile: where the application's own and its context may be, what it must have, what it is based on."""

from __future__ import annotations

import enum
import posixpath
import re
from dataclasses import dataclass
from typing import Iterator, Mapping, Optional

from .remedies import setting

NAME = "Dockerfile"
SCRATCH = "scratch"

_CONTINUED = re.compile(r"\\[ \t\r]*$")
_HEREDOC = re.compile(r"(?<!\S)\d*<<-?([\"']?)([A-Za-z_]\w*)\1(?!\S)")
_ARGUMENT = re.compile(r"([A-Za-z_]\w*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}$]*))?\})")


class Kind(enum.Enum):
    """What is at a path of the sources."""

    FILE = "file"
    DIRECTORY = "directory"
    NOTHING = "nothing"
    OUTSIDE = "outside"
    """It is above the sources, or a link leads there."""


def outside(path: str) -> bool:
    """Return whether a path, relative to the sources' top, leads out of them whatever is there."""
    cleaned = posixpath.normpath(path)
    return cleaned.startswith(("/", "../")) or cleaned == ".."


def misplaced(path: str, wanted: Kind, found: Kind, sources: str) -> Optional[str]:
    """Return why a path cannot be that of the Dockerfile (a file) or of the context (a directory), unless it can.

    Args:
        sources: how they are called.
    """
    if found is wanted:
        return None
    remedy = setting("dockerfile") if wanted is Kind.FILE else setting("build_context")
    if found is Kind.OUTSIDE:
        return f"{path} leads out of {sources}. Correct {remedy}, or put there what it leads to."
    if found is Kind.NOTHING:
        return f"There is no {wanted.value} {path} in {sources}. Correct {remedy}, a path from the sources' top."
    return f"{path} in {sources} is a {found.value}. Correct {remedy}, which must name a {wanted.value}."


def no_stage(text: str) -> bool:
    """Return whether a Dockerfile lacks what each must have, a line FROM; one in another language is not judged."""
    return not re.search(r"(?mi)^(?:\ufeff?[ \t]*FROM[ \t\\]|#[ \t]*syntax[ \t]*=)", text)


@dataclass(frozen=True)
class Bases:
    """The images that the stages of a Dockerfile are based on, as it names them.

    Attributes:
        images: each once, in their order.
        last: that of the stage that becomes the image, empty when that is none of ``images``.
    """

    images: tuple[str, ...]
    last: str


def bases_of(text: str, args: Mapping[str, str], target: str = "") -> Bases:
    """Return the images of all lines FROM; those with variables whose values are not known here are left out.

    Args:
        args: build arguments, which count if they are declared before the first FROM.
        target: the name or the number of the stage that becomes the image; empty for the last one.
    """
    declared: dict[str, str] = {}
    named: dict[str, str] = {}
    stages: list[str] = []
    for instruction, rest in _instructions(text):
        if instruction == "ARG" and not stages:
            _declare(rest, args, declared)
        if instruction == "FROM":
            words = [word for word in rest.split() if not word.startswith("--")]
            image = _expanded(words[0], declared) if words else ""
            stages.append("" if image.lower() == SCRATCH else named.get(image.lower(), image))
            named.update((name.lower(), stages[-1]) for name in words[2:3])  # FROM image AS name
    numbered = {str(number): image for number, image in enumerate(stages)}
    last = {**numbered, **named}.get(target.lower(), "") if target else "".join(stages[-1:])
    return Bases(tuple(dict.fromkeys(filter(None, stages))), last)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions in capitals, each with what follows it; without comments and the bodies of heredocs."""
    lines, joined = iter(text.lstrip("\ufeff").split("\n")), ""
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        joined += _CONTINUED.sub(" ", line)
        if _CONTINUED.search(line):
            continue
        name, _space, rest = " ".join(joined.split()).partition(" ")
        joined = ""
        for _quote, end in _HEREDOC.findall(rest) if name.upper() in ("RUN", "COPY", "ADD") else ():
            any(body.strip("\t\r") == end for body in lines)  # reads on to its end
        yield name.upper(), rest


def _declare(rest: str, args: Mapping[str, str], declared: dict[str, str]) -> None:
    for name, default in _ARGUMENT.findall(rest):
        declared[name] = args.get(name, "") or _expanded(default.strip("\"'"), declared)


def _expanded(word: str, declared: Mapping[str, str]) -> str:
    """Return a word with its variables replaced, empty when one of them has no value."""
    replaced = _VARIABLE.sub(lambda found: declared.get(found[1] or found[2]) or found[3] or "$", word)
    return "" if "$" in replaced else replaced
