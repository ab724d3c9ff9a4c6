# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, numbers and sizes in sentences."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import (
    counted,
    listed,
    sentence,
    short,
    shown,
    size,
    tidy,
)


def test_what_is_quoted_is_short() -> None:
    assert (short("a" * 200), short("a" * 201)) == ("a" * 200, "a" * 200 + "…")


def test_a_sentence_can_follow() -> None:
    assert (sentence("It broke"), sentence("It broke."), sentence("Why?")) == ("It broke.", "It broke.", "Why?")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("It broke: no space.. Free some.", "It broke: no space. Free some."),
        ("It broke..", "It broke."),
        ("The links ../a and .. lead out...", "The links ../a and .. lead out..."),
        ("It broke. It broke. Fix it. It broke.", "It broke. Fix it. It broke."),
        (f"The name {'a' * 401} is wrong.", f"The name {'a' * 400}… is wrong."),
        (f"The name {'a' * 400} is wrong.", f"The name {'a' * 400} is wrong."),
        (f"It broke..\nSaid.. Said. Said. {'a' * 5000}", f"It broke.\nSaid.. Said. Said. {'a' * 5000}"),
        ("", ""),
    ],
)
def test_a_message_is_tidy_whatever_was_put_into_it(message: str, expected: str) -> None:
    assert tidy(message) == DockerVpsError(message).message == expected


def test_words() -> None:
    assert listed([]) == ""
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert (counted(1, "row"), counted(2, "row")) == ("1 row", "2 rows")


@pytest.mark.parametrize(("name", "expected"), [("a ö.db", "a ö.db"), ("a\udcff", "a\\xff")])
def test_names_as_utf8(name: str, expected: str) -> None:
    assert shown(name) == expected


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (49152, "48 KiB"),
        (5 * 1024**2, "5 MiB"),
        (1536 * 1024**2, "1.5 GiB"),
        (1024**3 - 1, "1024 MiB"),
        (1024**3, "1.0 GiB"),
    ],
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert size(count) == text
