# SPDX-License-Identifier: GPL-3.0-or-later
"""Env files: what is written is read back as it was, and files of people are read as Compose reads them."""

from __future__ import annotations

import json
from typing import Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.dotenv import dump, parse, quote
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FIXTURES
from hypothesis import example, given
from hypothesis import strategies as st

# Everything that can be in a file of UTF-8 text, apart from NUL; above all what means something to a parser.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text("\\\"'$#=nrt \n\r\t{}`A")
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
COMPOSE = [
    pytest.param(case["text"], case["values"], id=f"{path.stem}-{case['text']!r}")
    for path in sorted((FIXTURES / "dotenv").glob("compose-*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]
# What we refuse although Compose makes something of it: more likely a mistake than meant.
STRICTER = {'A="x" y\n', 'A="x"B=2\n', "A\n", "A: 1\n", "1A=2\n", "A.B=1\n", "\ufeffA=1\n"}


@given(TEXT)
@example("")
@example("\\")
@example("'\"\\'")
@example("a\r\nb\r")
@example("$A ${B} $$")
@example(" # no comment")
def test_every_value_survives(value: str) -> None:
    assert parse(dump({"KEY": value})) == {"KEY": value}


@given(st.dictionaries(KEYS, TEXT), TEXT)
def test_every_file_survives_and_is_written_the_same_again(values: dict[str, str], header: str) -> None:
    text = dump(values, header)
    assert list(parse(text).items()) == list(values.items())
    assert dump(parse(text), header) == text


@given(TEXT)
def test_a_value_stays_on_its_line(value: str) -> None:
    assert not set(quote(value)) & {"\n", "\r"}
    assert dump({"A": value, "B": "1"}).count("\n") == 2


@given(TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        values = parse(text)
    except InvalidInput:
        return
    assert parse(dump(values)) == values


@pytest.mark.parametrize(("text", "values"), COMPOSE)
def test_a_file_is_read_as_compose_reads_it(text: str, values: Optional[dict[str, str]]) -> None:
    if values is None or text in STRICTER:
        with pytest.raises(InvalidInput):
            parse(text)
    else:
        assert parse(text) == values


def test_the_captured_cases_cover_what_is_stricter() -> None:
    assert {text for text, _unused in (case.values for case in COMPOSE)} >= STRICTER
    assert any(values is None for _unused, values in (case.values for case in COMPOSE))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("production", "production"),
        ("file:///data/payload.db", "file:///data/payload.db"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a$b", '"a\\$b"'),
        ("it's", '"it\'s"'),
        ("a\nb", '"a\\nb"'),
        ("production\n", '"production\\n"'),
    ],
)
def test_how_values_are_written(value: str, written: str) -> None:
    assert quote(value) == written


def test_header_and_order() -> None:
    assert dump({"B": "2", "A": "1"}, "First\n\nsecond") == "# First\n#\n# second\nB=2\nA=1\n"


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A B", "Ä", "A=", "A\n"])
def test_a_wrong_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput, match="is not a name of an environment variable"):
        dump({key: "1"})


def test_a_nul_is_refused() -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        quote("a\0b")


@pytest.mark.parametrize(
    ("number", "text"), [(2, "A=1\nwhat is this\n"), (5, '\nA="two\nlines"\n# comment\nwhat is this\nB=1\n')]
)
def test_the_line_that_is_wrong_is_named(number: int, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"^line {number} is neither KEY=value nor a comment$"):
        parse(text)


def test_dollars_are_literal() -> None:
    assert parse('A=$B\nC="${D}"\n') == {"A": "$B", "C": "${D}"}
