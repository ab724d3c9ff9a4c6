# SPDX-License-Identifier: GPL-3.0-or-later
"""What the classic image store says of the archive of a layer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_split import Content, parts


def lines(*entries: Any) -> list[bytes]:
    return [json.dumps(entry).encode() for entry in entries]


def test_the_parts_of_an_archive() -> None:
    raw = base64.b64encode(b"./odd\xff").decode()
    given = lines(
        {"type": 2, "payload": base64.b64encode(b"header").decode(), "position": 0},
        {"type": 1, "name": "app/", "payload": None, "position": 1},
        {"type": 1, "name": "/app//./größe", "size": 3, "payload": "AAAAAAAAAAA=", "position": 2},
        {"type": 1, "name_raw": raw, "size": 1, "payload": "AAAAAAAAAAA=", "position": 3},
        {"type": 2, "payload": None, "position": 4},
    )
    assert list(parts(given)) == [
        b"header",
        Content((b"app", "größe".encode()), 3),
        Content((b"odd\xff",), 1),
        b"",
    ]
    assert list(parts([])) == []


@pytest.mark.parametrize(
    "entry",
    [
        [],
        {"type": 2, "payload": ""},
        {"type": 2, "payload": "", "position": 1},
        {"type": 3, "position": 0},
        {"type": 2, "payload": "xyz", "position": 0},
        {"type": 1, "name": "../x", "size": 1, "position": 0},
        {"type": 1, "name": "a/../../x", "size": 1, "position": 0},
        {"type": 1, "name": "/", "size": 1, "position": 0},
        {"type": 1, "size": 1, "position": 0},
    ],
)
def test_what_cannot_be_followed(entry: Any) -> None:
    with pytest.raises(ValueError, match=r"entry 0|no file of a layer|padding"):
        list(parts(lines(entry)))


def test_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        list(parts([b"x"]))
