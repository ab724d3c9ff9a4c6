# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what people read."""

from __future__ import annotations

import re
from base64 import b64encode
from itertools import groupby
from typing import Mapping
from urllib.parse import unquote

from .logs import CONTROL

SHORTEST = 4
"""Characters. To hide shorter values, such as a port or "1", would blank half of the text and protect nothing."""

# Keys whose values stand in public places anyway, and are what one checks for in a log.
_PUBLIC = re.compile(
    r"NEXT_PUBLIC_.*|NODE_ENV|PORT|HOSTNAME|PUID|PGID|TZ|LANG|PAYLOAD_CONFIG_PATH|NEXT_TELEMETRY_DISABLED|EMAIL_FROM"
)
# A short value under another name, such as LOG_LEVEL=info, is a word that logs are full of.
_NAMED = re.compile(r"SECRET|KEY|TOKEN|PASS|PWD|CREDENTIAL|AUTH", re.IGNORECASE)
_WORD = 8  # characters
_DELETE = re.compile(r"[\x7f-\x9f]")


class Mask:
    """Replaces secrets in text by the names of their keys, as in ``<PAYLOAD_SECRET>``; longest first.

    A secret is found in whatever form a program writes it: as it is, in JSON, as JavaScript shows a string, in an
    address or a form of the web, in HTML, each of its lines alone, in hexadecimal and in Base64.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        names: dict[str, str] = {}
        for name, value in secrets.items():
            # Lines are shown without control characters, of which JSON escapes those up to the blank.
            for part in (value, CONTROL.sub("", value), _DELETE.sub("", value), *value.splitlines()):
                if len(part.strip()) >= SHORTEST:
                    names.setdefault(part.strip(), f"<{name}>")
        self._names = [names[part] for part in sorted(names, key=len, reverse=True)]
        patterns = (f"({_any_form(part)})" for part in sorted(names, key=len, reverse=True))
        self._pattern = re.compile("|".join(patterns)) if names else None

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._pattern.sub(lambda found: self._names[(found.lastindex or 0) - 1], text) if self._pattern else text


def _any_form(secret: str) -> str:
    """Return a pattern for every form of a secret."""
    data = secret.encode("utf-8", "surrogatepass")
    base64 = b64encode(data).decode().rstrip("=")
    whole = {data.hex(), data.hex().upper(), base64, base64.translate(_URL_SAFE)}
    # Runs, since so many backslashes, each of them doubled or not, could be matched in too many ways.
    written = "".join(_run(character, len(list(run))) for character, run in groupby(secret))
    return "|".join([written, *map(re.escape, sorted(whole))])


def _run(character: str, count: int) -> str:
    if character == "\\":
        return rf"(?:\\{{{count},{count * _DEEPEST}}}|(?:%5[Cc]){{{count}}})"
    forms = _forms(character)
    return forms * count if forms == character else f"(?:{forms}){{{count}}}"


def _forms(character: str) -> str:
    """Return a pattern for the forms of a character; a backslash of JSON in JSON is doubled again."""
    number = ord(character)
    literal = re.escape(character)
    if character.isascii() and character.isalnum():
        return character
    percent = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    # In this order, or of %25 the 25 would stay, and of &amp; the amp;
    forms = [f"(?i:{percent})", *_ELSEWHERE.get(character, []), literal]
    if character in _ESCAPED:
        forms.append(rf"\\{{1,{_DEEPEST}}}{_ESCAPED[character]}")
    if number < 32 or 127 <= number < 256:
        forms.append(rf"\\{{1,{_DEEPEST}}}(?i:x{number:02x})")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\{{1,{_DEEPEST}}}u{units[place : place + 4]}" for place in range(0, len(units), 4))
    forms.append(f"(?i:{escaped})")
    return "|".join(forms)


_URL_SAFE = str.maketrans("+/", "-_")
_DEEPEST = 8  # backslashes for one: a string in JSON in JSON in JSON
_ESCAPED = {"\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f", "\v": "v", **{quote: quote for quote in "\"'`/"}}
_ELSEWHERE = {
    " ": [r"\+"],
    "&": ["&amp;"],
    "<": ["&lt;"],
    ">": ["&gt;"],
    '"': ["&quot;", "&#34;"],
    "'": ["&#x27;", "&#39;", "&apos;"],
}


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
        for reading, password in zip(("", " as far as @"), passwords_in(value)):
            found[f"{name}, its password{reading}"] = password
            found[f"{name}, its password{reading} decoded"] = unquote(password)
    return found


def sounds_secret(name: str) -> bool:
    """Return whether the name of a key says that its value is a secret, and not where a file with one is."""
    return bool(_NAMED.search(name)) and not _PUBLIC.fullmatch(name) and not name.upper().endswith("_FILE")


_USER = r"//[^/?#:]*:"
_PORT = re.compile(r"\d*[/?#]")
_LOGIN = re.compile(r"(?<=//)[^/\s?#:\[]*:(?:(?!\d*[/?#])[^\s\"]*|[^/\s?#]*)@")


def passwords_in(address: str) -> list[str]:
    """Return what may be the password in an address such as ``https://user:password@host/``.

    By RFC 3986 (3.2) it ends before the first of ``/?#``; people write these into a password as they are, though, so
    it may as well be all up to the last ``@``.
    """
    login = re.search(rf"{_USER}([^/?#]*)@", address)
    raw = re.search(rf"{_USER}(.*)", address.rpartition("@")[0], re.DOTALL)
    return list(dict.fromkeys(found[1] for found in (login, raw) if found and found[1]))


def password_in(address: str) -> str:
    """Return the password in an address, or nothing; what can be a port is one."""
    return next((found for found in passwords_in(address) if not _PORT.match(found)), "")


def shown(address: str) -> str:
    """Return an address with ``***`` instead of a password, which may have any character."""
    scheme, _slashes, rest = address.partition("//")
    login, _at, place = rest.rpartition("@")
    user, colon, _password = login.partition(":")
    if not colon:
        return address
    return f"{scheme}//{'' if re.search('[/?#@]', user) else f'{user}:'}***@{place}"


def without_logins(text: str, instead: str = "***") -> str:
    """Return a text without what stands before the host of its addresses and has a password."""
    return _LOGIN.sub(f"{instead}@", text)
