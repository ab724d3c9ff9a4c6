# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of OpenPGP keys, so that one can be pinned on hosts that have no gpg yet.

The format is that of RFC 9580: packets in section 4.2, fingerprints in section 5.5.4, the armor in section 6.2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Iterator

from .errors import InvalidInput

_BLOCK = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]+\r?\n)*?[ \t]*\r?\n(.*?)(?:^=[^\n]*\n)?"
    r"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL | re.MULTILINE,
)
_PUBLIC_KEY = 6


def fingerprints(text: str) -> list[str]:
    """Return the fingerprints of the primary keys of an armored file, in capital hexadecimal digits.

    Raises:
        InvalidInput: it has none, or cannot be read.
    """
    try:
        blocks = [base64.b64decode("".join(block.split()), validate=True) for block in _BLOCK.findall(text)]
        found = [_fingerprint(body) for block in blocks for tag, body in _packets(block) if tag == _PUBLIC_KEY]
    except (binascii.Error, IndexError, ValueError):
        raise InvalidInput("That is a damaged OpenPGP key.") from None
    if not found:
        raise InvalidInput("That is no armored OpenPGP key.")
    return found


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and body of each packet; those of keys are never in parts, and always say how long they are."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("no packet begins here")
        if head & 0x40:
            tag, (length, size) = head & 0x3F, _length(data[at + 1 : at + 6])
        else:
            tag, size = (head >> 2) & 0x0F, (1, 2, 4)[head & 3]
            length = int.from_bytes(data[at + 1 : at + 1 + size], "big")
        at += 1 + size
        if at + length > len(data):
            raise ValueError("it ends too early")
        yield tag, data[at : at + length]
        at += length


def _length(octets: bytes) -> tuple[int, int]:
    """Return a length and how many octets say it."""
    first = octets[0]
    if first < 192:
        return first, 1
    if first < 224:
        return ((first - 192) << 8) + octets[1] + 192, 2
    if first == 255:
        return int.from_bytes(octets[1:5], "big"), 5
    raise ValueError("a packet in parts")


def _fingerprint(body: bytes) -> str:
    if body[0] == 4:
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324  # RFC 4880, 12.2
    if body[0] == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError("a key of a version that is not in use any more")
