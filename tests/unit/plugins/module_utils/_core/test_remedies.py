# SPDX-License-Identifier: GPL-3.0-or-later
"""What sentences tell people to do, marked for whoever tells it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import remedies

WORDS: remedies.Words = {
    "setting": lambda name, value="": f"<{name}={value}>",
    "once": lambda name, value: f"<once {name}={value}>",
    "play": lambda name: f"<play {name}>",
    "again": lambda: "<again>",
    "as_root": lambda: "<as root>",
    "is_it_root": lambda: "<root?>",
}


@pytest.mark.parametrize(
    ("marked", "phrase"),
    [
        (remedies.setting("memory_min"), "<memory_min=>"),
        (remedies.setting("cutover", "stop-first"), "<cutover=stop-first>"),
        (remedies.once("lock_force", "true"), "<once lock_force=true>"),
        (remedies.play("restore"), "<play restore>"),
        (remedies.again(), "<again>"),
        (remedies.as_root(), "<as root>"),
        (remedies.is_it_root(), "<root?>"),
    ],
)
def test_each_kind_is_marked_and_worded(marked: str, phrase: str) -> None:
    assert (marked[0], marked[-1]) == (remedies.OPEN, remedies.CLOSE)
    assert remedies.worded(f"It broke: {marked}, or fix it.", WORDS) == f"It broke: {phrase}, or fix it."


@pytest.mark.parametrize("value", ["nothing", "", "a ⟦ b", "⟦unknown thing⟧", 3, None, True, 1.5, b"\xe2"])
def test_what_is_no_remedy_stays(value: Any) -> None:
    assert remedies.worded(value, WORDS) == value


def test_all_strings_of_data_are_worded() -> None:
    play, phrase = remedies.play("restore"), "<play restore>"
    found = {"msg": play, "n": 1, "rows": [{"why": (play, "x")}], play: [[play]]}
    assert remedies.worded(found, WORDS) == {
        "msg": phrase,
        "n": 1,
        "rows": [{"why": [phrase, "x"]}],
        phrase: [[phrase]],
    }
