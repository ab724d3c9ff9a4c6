# SPDX-License-Identifier: GPL-3.0-or-later
"""Where apt finds packages, in both formats of sources.list(5), and how other entries of a repository are switched off.

Two entries for one repository with different keys make every run of apt fail.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ONE_LINE = re.compile(r"\s*deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+)\s")
_FIELD = re.compile(r"^([A-Za-z-]+)[ \t]*:(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
WRITTEN = "# Written by ptnextjs.docker_vps."
OFF = "# Switched off by ptnextjs.docker_vps: "


def entry(url: str, suite: str, component: str, architecture: str, key: str) -> str:
    """Return a file that names a repository, with the path of its key, as deb822(5)."""
    return (
        f"{WRITTEN}\nTypes: deb\nURIs: {url}\nSuites: {suite}\nComponents: {component}\n"
        f"Architectures: {architecture}\nSigned-By: {key}\n"
    )


def without(text: str, name: str, url: str) -> str:
    """Return the content of a file in which the entries for a repository are switched off.

    Args:
        name: the name of the file, which tells its format.
        url: the address of the repository; http or https and a slash at the end make no difference.
    """
    if name.endswith(".sources"):
        return "".join(_without_stanza(part, url) for part in re.split(r"((?:^[ \t]*\n)+)", text, flags=re.MULTILINE))
    return "".join(_without_line(line, url) for line in text.splitlines(keepends=True))


def is_empty(text: str) -> bool:
    """Return whether no entry is left in a file, but for comments and what is switched off."""
    return not re.search(r"^[ \t]*[^#\s]", text, re.MULTILINE)


def _without_line(line: str, url: str) -> str:
    found = _ONE_LINE.match(line)
    return OFF + line if found and _same(found[1], url) else line


def _without_stanza(stanza: str, url: str) -> str:
    fields = {name.lower(): value.split() for name, value in _FIELD.findall(stanza)}
    if not any(_same(uri, url) for uri in fields.get("uris", ())):
        return stanza
    return "".join(OFF + line for line in stanza.splitlines(keepends=True))


def _same(first_url: str, second_url: str) -> bool:
    first, second = urlsplit(first_url), urlsplit(second_url)
    return (first.netloc.lower(), first.path.rstrip("/")) == (second.netloc.lower(), second.path.rstrip("/"))
