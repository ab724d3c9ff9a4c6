# SPDX-License-Identifier: GPL-3.0-or-later
"""How the classic image store keeps the archive of a layer: what is not the content of a file, in order, as JSON lines.

See https://github.com/vbatts/tar-split; the contents are in the layer's directory.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Iterable, Iterator, Union

_FILE, _BYTES = 1, 2


@dataclass(frozen=True)
class Content:
    """The content of a file of the layer: the names on the way to it, and its bytes."""

    names: tuple[bytes, ...]
    size: int


def parts(lines: Iterable[bytes]) -> Iterator[Union[bytes, Content]]:
    """Yield the parts of an archive in order.

    Raises:
        ValueError: a line is not what tar-split writes, or names something outside of the layer.
    """
    for position, line in enumerate(lines):
        entry = json.loads(line)
        if not isinstance(entry, dict) or entry.get("position") != position:
            raise ValueError(f"entry {position} is missing")
        if entry.get("type") == _BYTES:
            yield base64.b64decode(entry.get("payload") or "")
        elif entry.get("type") != _FILE:
            raise ValueError(f"entry {position} is of an unknown type")
        elif entry.get("size"):
            yield Content(_names(entry), int(entry["size"]))


def _names(entry: dict[str, str]) -> tuple[bytes, ...]:
    name = base64.b64decode(entry["name_raw"]) if entry.get("name_raw") else entry.get("name", "").encode()
    names = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if not names or b".." in names:
        raise ValueError(f"{name!r} is no file of a layer")
    return names
