# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what people read."""

from __future__ import annotations

import json
import re
from typing import Mapping
from urllib.parse import quote, unquote

SHORTEST = 4
"""Characters. To hide shorter values, such as a port or "1", would blank half of the text and protect nothing."""

# Keys whose values stand in public places anyway, and are what one looks for in a log.
_PUBLIC = re.compile(
    r"NEXT_PUBLIC_.*|NODE_ENV|PORT|HOSTNAME|PUID|PGID|TZ|LANG|PAYLOAD_CONFIG_PATH|NEXT_TELEMETRY_DISABLED|EMAIL_FROM"
)
# A short value under another name, such as LOG_LEVEL=info, is a word that logs are full of.
_NAMED = re.compile(r"SECRET|KEY|TOKEN|PASS|PWD|CREDENTIAL|AUTH", re.IGNORECASE)
_WORD = 8  # characters


class Mask:
    """Replaces secrets in text by the names of their keys, as in ``<PAYLOAD_SECRET>``; longest first."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names: dict[str, str] = {}
        for name, value in secrets.items():
            for form in (value, quote(value, safe=""), json.dumps(value)[1:-1], *value.splitlines()):
                if len(form.strip()) >= SHORTEST:
                    self._names.setdefault(form.strip(), f"<{name}>")
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._pattern.sub(lambda found: self._names[found[0]], text) if self._pattern else text


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of an application's environment nobody should read.

    That is everything but paths of files, keys known to be public, and short values of keys that do not sound secret;
    and of an address also the password in it alone.
    """
    found = {}
    for name, value in environment.items():
        if _PUBLIC.fullmatch(name) or value.startswith("file:"):
            continue
        if len(value) < _WORD and not _NAMED.search(name):
            continue
        found[name] = value
        password = password_in(value)
        if password:
            found[f"{name}, its password"] = password
            found[f"{name}, its password decoded"] = unquote(password)
    return found


def password_in(address: str) -> str:
    """Return the password in an address such as ``https://user:password@host/``, or nothing."""
    login = re.search(r"//[^/?#@]*?:([^/?#]*)@", address)
    return login.group(1) if login else ""
