# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries for a repository that somebody else has made."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.apt_sources import OFF, entry, is_empty, without

URL = "https://download.docker.com/linux/debian"
OTHER = "deb http://deb.debian.org/debian bookworm main\n"


@pytest.mark.parametrize(
    "line",
    [
        f"deb {URL} bookworm stable\n",
        f"deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] {URL} bookworm stable\n",
        f"  deb-src [ arch=amd64 ] {URL.replace('https', 'http')}/ bookworm stable",
        f"deb\t{URL.replace('download', 'Download')}\tbookworm stable\n",
    ],
)
def test_a_line_is_switched_off(line: str) -> None:
    text = without(OTHER + line, "docker.list", URL)
    assert text == OTHER + OFF + line
    assert without(text, "docker.list", URL) == text
    assert not is_empty(text)
    assert is_empty(without(line, "docker.list", URL))


@pytest.mark.parametrize(
    "line",
    [
        OTHER,
        f"# deb {URL} bookworm stable\n",
        f"deb {URL}-security bookworm stable\n",
        "deb https://example.com/linux/debian bookworm stable\n",
        "\n",
        "deb\n",
    ],
)
def test_other_lines_stay(line: str) -> None:
    assert without(line, "sources.list", URL) == line


STANZA = f"""Types: deb
URIs: {URL}
Suites: bookworm
Components: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 x
 -----END PGP PUBLIC KEY BLOCK-----
"""
DEBIAN = """# Debian
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
"""


def test_a_stanza_is_switched_off() -> None:
    off = "".join(OFF + line for line in STANZA.splitlines(keepends=True))
    text = without(f"{DEBIAN}\n{STANZA}\n \n{DEBIAN}", "all.sources", URL)
    assert text == f"{DEBIAN}\n{off}\n \n{DEBIAN}"
    assert without(text, "all.sources", URL) == text
    assert is_empty(without(STANZA, "docker.sources", URL))
    assert without(STANZA.replace("URIs: ", "uris:\n https://example.com/debian\n "), "a.sources", URL).startswith(OFF)
    assert without(DEBIAN, "debian.sources", URL) == DEBIAN


def test_our_own_entry_is_one() -> None:
    ours = entry(URL, "bookworm", "stable", "amd64", "/etc/apt/keyrings/docker.asc")
    assert is_empty(without(ours, "docker.sources", URL))
    assert "\n\n" not in ours
