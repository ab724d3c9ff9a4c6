# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures in docs/recordings, of what a terminal shows meanwhile: SVG that moves by itself, without any script.

Whoever wants no motion sees the last frame. See recordings.py, which records what is drawn here.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/recordings"
COLUMNS, ROWS = 100, 32  # of the terminal
LONGEST_WAIT = 3.0  # seconds; longer ones are shortened
SUMMARY, END = 6.0, 10.0  # seconds to read the end of one command of two, and the end of all
MOMENT = 0.05  # seconds; what comes within one is shown at once
PROGRESS_EVERY = 0.2  # seconds at least, between two lines of progress

SIZE, LINE, CELL = 13, 17, 7.8  # pixels: of the font, of a line, of a character
BAR, MARGIN = 32, 14  # pixels: of the bar with the title, and around the text
PAPER, INK, EDGE = "#14171c", "#d5dae2", "#4b5563"
# Black, red, green, yellow, blue, magenta, cyan and white, each light enough to be read on PAPER.
_COLOURS = [
    (148, 158, 174), (255, 128, 122), (122, 218, 136), (226, 184, 72),
    (116, 178, 255), (214, 160, 255), (98, 214, 226), (213, 218, 226),
]  # fmt: skip
_THEME = TerminalTheme((20, 23, 28), (213, 218, 226), _COLOURS, _COLOURS)
# What no XML may have, even escaped, but for what begins a code of the terminal.
_FORBIDDEN = re.compile(r"[^\t\n\r\x1b\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Event:
    """What comes to be seen at a time: a line that stays, or one that tells how far something is until the next."""

    at: float
    text: str
    stays: bool = True


@dataclass(frozen=True)
class Story:
    """What a picture is of, and what has to be read in its last frame."""

    title: str
    description: str
    says: str


STORIES: Mapping[str, Story] = {
    "deploy": Story(
        "A deploy",
        "A terminal in which deploy.yml checks the variables, gets the sources from git, builds the image, writes the "
        "environment, puts the release live, and ends with a summary: the release is live and healthy.",
        "is live and healthy after",
    ),
    "failed_update": Story(
        "An update that fails, and undoes itself",
        "A terminal in which update.yml builds a new version and starts it, waits in vain for it to become healthy, "
        "puts the version before back, and ends with what failed, in red: the version before is healthy, and the data "
        "is as it was.",
        "was put back and is healthy after",
    ),
    "restore": Story(
        "A restore of a backup",
        "A terminal in which restore.yml first says in a dry run which data would be lost, and then puts the data of a "
        "backup set in place, starts the application, and ends with a summary: the set is in the volumes.",
        "is in shop-db, shop-media",
    ),
}

Line = tuple[float, bool, Text]
"""A row on the screen: when it is seen, and whether it stays."""


def events_in(chunks: Sequence[tuple[float, bytes]]) -> Iterator[Event]:
    """Yield the lines that a program wrote into a terminal; one that a carriage return alone ends does not stay."""
    decoder, rest, at = codecs.getincrementaldecoder("utf-8")("replace"), "", 0.0
    for at, chunk in chunks:
        rest += decoder.decode(chunk)
        while found := re.search(r"\r*\n|\r(?=[^\r\n])", rest):
            text, rest = rest[: found.start()], rest[found.end() :]
            yield Event(at, text, stays=found[0].endswith("\n"))
    if rest.strip():
        yield Event(at, rest)


def shortened(events: Sequence[Event]) -> list[Event]:
    """Return the same without long waits between lines that stay; what comes meanwhile is quicker, and less."""
    found: list[Event] = []
    waiting: list[Event] = []
    now = began = 0.0
    for event in events:
        if not event.stays:
            waiting.append(event)
            continue
        took = event.at - began
        pace = min(1.0, LONGEST_WAIT / took) if took else 1.0
        for progress in waiting:
            at = now + (progress.at - began) * pace
            if not found or found[-1].stays or at - found[-1].at >= PROGRESS_EVERY:
                found.append(replace(progress, at=at))
        now, began, waiting = now + took * pace, event.at, []
        found.append(replace(event, at=now))
    return found


def after(first: Sequence[Event], then: Sequence[Event]) -> list[Event]:
    """Return what is seen when one command is called after the other."""
    return [*first, *(replace(event, at=event.at + first[-1].at + SUMMARY) for event in then)]


def _lines_of(events: Sequence[Event]) -> list[Line]:
    """Return the rows of events, each as wide as the terminal."""
    decoder, found = AnsiDecoder(), list[Line]()
    for event in events:
        text = decoder.decode_line(_FORBIDDEN.sub(_REPLACEMENT, event.text).expandtabs())
        text.plain = text.plain.replace("\x1b", _REPLACEMENT)  # of a code that is none
        rows = text.divide(_cuts(text.plain))
        found += [(event.at, event.stays, row) for row in (rows if event.stays else rows[:1])]
    return found


def _cuts(text: str) -> Iterator[int]:
    """Yield where a row is full, so that the text continues in the next one."""
    cells = 0
    for number, character in enumerate(text):
        cells += cell_len(character)
        if cells > COLUMNS:
            yield number
            cells = cell_len(character)


def _runs_of(text: Text) -> Iterator[dict[str, Any]]:
    """Yield the pieces of a row that have one colour each, with their places in pixels; wide blanks lie in between."""
    cell = 0
    for segment in text.render(Console(file=io.StringIO(), width=COLUMNS), end=""):
        style = segment.style
        ink = style.color.get_truecolor(_THEME).hex if style and style.color else INK
        for words in re.finditer(r"[^ ]+(?: [^ ]+)*", segment.text):
            yield {
                "x": _pixels(cell + cell_len(segment.text[: words.start()])),
                "width": _pixels(cell_len(words[0])),
                "ink": "" if ink == INK else ink,
                "bold": bool(style and style.bold),
                "text": words[0],
            }
        cell += cell_len(segment.text)


def _pixels(cells: int) -> str:
    return f"{cells * CELL:.1f}".removesuffix(".0")


def _moves_of(lines: Sequence[Line], seconds: float) -> Mapping[str, Sequence[tuple[str, int]]]:
    """Return where each part of the picture is meanwhile: by percent of the time, and pixels.

    Everything that is written lies there from the beginning. It scrolls, and what is not written yet is below a cover,
    the first row of which is a window onto the rows of progress.
    """
    count = steps = 0
    shown: dict[int, Mapping[str, int]] = {}
    for at, stays, _text in lines:
        count, steps = count + stays, steps + (not stays)
        rows = {"scroll": -max(0, count + 1 - ROWS), "cover": count, "progress": 0 if stays else -steps}
        shown[round(at / MOMENT)] = {part: number * LINE for part, number in rows.items()}
    moves: dict[str, list[tuple[str, int]]] = {"scroll": [], "cover": [], "progress": []}
    for moment, places in shown.items():
        for part, place in places.items():
            if not moves[part] or moves[part][-1][1] != place:
                moves[part].append((f"{100 * moment * MOMENT / seconds:.2f}", place))
    return moves


def drawn(story: Story, events: Sequence[Event]) -> str:
    """Return the picture of what was seen."""
    lines = _lines_of(events)
    seconds = round(lines[-1][0] + END, 1)
    rows = {stay: [text for _at, stays, text in lines if stays is stay] for stay in (True, False)}
    # The first row of progress is empty.
    placed = {
        stay: [
            (number * LINE + LINE - 4, run)
            for number, text in enumerate(texts, int(not stay))
            for run in _runs_of(text)
        ]
        for stay, texts in rows.items()
    }
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return jinja.get_template("screens.svg.j2").render(
        title=story.title,
        description=story.description,
        caption=f"a real run; waits of more than {LONGEST_WAIT:.0f} s are shortened",
        width=round(COLUMNS * CELL + 2 * MARGIN),
        height=BAR + ROWS * LINE + 2 * MARGIN,
        seconds=seconds,
        moves=_moves_of(lines, seconds),
        rows=placed[True],
        progress=placed[False],
        theme={"paper": PAPER, "ink": INK, "edge": EDGE, "size": SIZE, "line": LINE, "bar": BAR, "margin": MARGIN},
    )


def rows_of(picture: str) -> list[str]:
    """Return the text of the rows of a picture that stay, from the first to the last."""
    found: dict[int, list[str]] = {}
    for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):
        if text.get("class") == "row":
            found.setdefault(int(text.get("y", "")), []).append(text.text or "")
    return [" ".join(found.get(y, [])) for y in range(LINE - 4, max(found) + 1, LINE)]


def reads(picture: str, words: str) -> bool:
    """Return whether words are in the last frame, wherever they continue in the next row."""
    last = "".join(rows_of(picture)[1 - ROWS :])
    return words.replace(" ", "") in last.replace(" ", "")
