# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what a terminal shows: how anything is drawn, and what those in docs/recordings have."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from ansible_collections.ptnextjs.docker_vps.tests.support import screens
from ansible_collections.ptnextjs.docker_vps.tests.support.screens import Event, Story
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

SVG = "{http://www.w3.org/2000/svg}"
STORY = Story("A <title> & more", 'What "happens"', "")
HOSTILE = [
    "<script>alert(1)</script> & ]]> \"quoted\" 'so'",
    "".join(map(chr, range(32))) + "\x7f\x85\ufffe\uffff\U0001f600\u202e",
    "x" * 5000,
    "日本" * 60,
    " " * 90 + "\x1b[31mred \x1b[1;38;5;200mbold\x1b[0m   far",
    "\x1b]0;a title\x07\x1b[2J\x1b[",
    "",
]
LARGEST = 60_000  # bytes
# What is a machine's own, and what is secret.
PRIVATE = re.compile(
    r"/(?:work|home|root|tmp|Users)/|PRIVATE KEY|(?i:secret|password|token)\w*[=:] ?\w|(?<!sha256:)\b[0-9a-f]{64}\b"
)
PICTURES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(screens.FOLDER.iterdir())}
each = pytest.mark.parametrize("name", PICTURES)


def texts(picture: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(picture).iter(f"{SVG}text"))


def test_anything_can_be_drawn() -> None:
    picture = screens.drawn(STORY, [Event(number / 10, text) for number, text in enumerate(HOSTILE)])
    rows = screens.rows_of(picture)
    assert rows[0] == HOSTILE[0]
    assert sum(row.count("x") for row in rows) == 5000
    assert max(map(len, rows)) <= screens.COLUMNS
    assert texts(picture)[0].text == STORY.title
    ends = [float(text.get("x", "")) + float(text.get("textLength", "")) for text in texts(picture)[2:]]
    assert max(ends) <= screens.COLUMNS * screens.CELL + 0.1


def test_colours_and_wide_blanks_stay_where_they_were() -> None:
    event = Event(0, "ok  \x1b[0;31mfatal:  [vps1]\x1b[0m \x1b[1mend\x1b[0m")
    found = [(text.get("x"), text.get("fill"), text.text) for text in texts(screens.drawn(STORY, [event]))[2:]]
    assert found == [
        ("0", None, "ok"),
        ("31.2", "#ff807a", "fatal:"),
        ("93.6", "#ff807a", "[vps1]"),
        ("148.2", None, "end"),
    ]


def test_lines_of_progress_are_told_from_lines_that_stay() -> None:
    chunks = [b"begin\r", b"\nthe build, 1 s\x1b[K\r", b"the build, 2 s \xe2\x80", b"\xa6\x1b[K\r", b"\x1b[K\r\nend"]
    seen = list(screens.events_in(list(enumerate(map(bytes, chunks), 1))))
    assert [(event.at, event.stays) for event in seen] == [(2, True), (3, False), (5, False), (5, True), (5, True)]
    assert [event.text.replace("\x1b[K", "") for event in seen] == [
        "begin",
        "the build, 1 s",
        "the build, 2 s …",
        "",
        "end",
    ]


def test_long_waits_are_shortened() -> None:
    progress = [Event(second, f"{second} s", stays=False) for second in range(2, 61)]
    seen = screens.shortened([Event(0, "command"), Event(1, "begin"), *progress, Event(61, "end"), Event(62, "after")])
    ends = {event.text: event.at for event in seen if event.stays}
    assert ends == {"command": 0, "begin": 1, "end": 1 + screens.LONGEST_WAIT, "after": 2 + screens.LONGEST_WAIT}
    steps = [event.at for event in seen if not event.stays]
    assert 10 <= len(steps) <= screens.LONGEST_WAIT / screens.PROGRESS_EVERY
    assert steps == sorted(steps)


def test_what_moves_ends_in_the_last_frame() -> None:
    lines = [Event(number, f"line {number}") for number in range(40)]
    picture = screens.drawn(STORY, [*lines, Event(40, "5 s", stays=False), Event(41, "end")])
    moves = {
        part: re.findall(r"([\d.]+)% \{ transform: translateY\((-?\d+)px", frames)
        for part, frames in re.findall(r"@keyframes (\w+) \{(.*?)\n\}", picture, re.DOTALL)
    }
    assert len(moves["scroll"]) == 41 + 1 - (screens.ROWS - 1)
    assert [int(place) / screens.LINE for _percent, place in moves["progress"]] == [0, -1, 0]
    still = dict(re.findall(r'<g class="(\w+)" transform="translate\(0 (-?\d+)\)"', picture))
    assert still == {part: moves[part][-1][1] for part in ("scroll", "cover")}
    assert still["cover"] == str(41 * screens.LINE)
    assert float(moves["cover"][-1][0]) == pytest.approx(100 * 41 / (41 + screens.END), abs=0.1)
    motion = re.search(r"@media \(prefers-reduced-motion: no-preference\) \{(.*?)\n\}", picture, re.DOTALL)
    assert motion
    assert picture.count("animation:") == motion[1].count("animation:") == 3


def test_there_is_a_picture_of_each_story() -> None:
    assert {*PICTURES} == {*screens.STORIES}


@each
def test_a_picture_ends_with_what_matters(name: str) -> None:
    assert screens.reads(PICTURES[name], screens.STORIES[name].says)
    assert not screens.reads(PICTURES[name], "is live and dead")


@each
def test_a_picture_needs_nothing_else_and_is_small(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name])
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "path", "text", "g",
    }  # fmt: skip
    given = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert given == []
    assert not re.search(r"url\(|@import|@font-face|<!|<\?|\bon\w+=", PICTURES[name])
    assert len(PICTURES[name].encode()) < LARGEST


@each
def test_a_picture_can_be_read_by_those_who_do_not_see_it(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name])
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "title desc")
    words = {element.get("id"): element.text for element in root if element.get("id")}
    assert words == {"title": screens.STORIES[name].title, "desc": screens.STORIES[name].description}
    assert "shortened" in (texts(PICTURES[name])[1].text or "")


@each
def test_a_picture_has_nothing_of_a_machine_and_no_secret(name: str) -> None:
    assert not PRIVATE.search("".join(text.text or "" for text in texts(PICTURES[name])))


@pytest.mark.parametrize("line", ["included: /home/ann/x.yml", "PAYLOAD_SECRET=x", "5eed" * 16, "token: x"])
def test_what_is_private_is_found(line: str) -> None:
    assert PRIVATE.search(line)


def unknown_tasks(picture: str) -> list[str]:
    """Return the tasks in a picture that have other names now; without blanks, since names continue in the next row."""
    files = [*(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "playbooks").rglob("*.yml")]
    names = [
        name for file in files for name in re.findall(r"(?m)^ *- name: (\w.+?)(?: +#.*)?$", file.read_text("utf-8"))
    ]
    parts = [map(re.escape, re.split(r"\{\{.*?\}\}", re.sub(r"\s", "", name))) for name in names]
    known = re.compile("|".join(".+".join(part) for part in parts))
    shown = re.findall(r"TASK\[(?:[\w.]+:)?(.+?)\]", re.sub(r"\s", "", "".join(screens.rows_of(picture))))
    assert len(shown) > 5
    return [task for task in shown if not known.fullmatch(task)]


@each
def test_the_tasks_in_a_picture_still_have_their_names(name: str) -> None:
    assert unknown_tasks(PICTURES[name]) == [], "run make recordings"


def test_a_task_that_is_gone_is_found() -> None:
    assert unknown_tasks(PICTURES["deploy"].replace("Put it live", "Put it up")) == ["Stack|Putitup,orleavewhatwaslive"]


@each
def test_a_picture_is_shown_with_words_for_it(name: str) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = [
        alt
        for page in pages
        for alt in re.findall(rf"!\[([^]]*)\]\([\w/]*recordings/{name}\.svg\)", page.read_text(encoding="utf-8"))
    ]
    assert shown
    assert all(len(alt) > 40 for alt in shown)
