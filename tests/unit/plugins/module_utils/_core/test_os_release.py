# SPDX-License-Identifier: GPL-3.0-or-later
"""What distributions say of themselves."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.os_release import System, system

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n# a=b\n\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n'


def test_a_distribution() -> None:
    assert system(TRIXIE) == System("debian", "13", "trixie", "Debian GNU/Linux 13 (trixie)")
    assert system("ID='arch'\n") == System("arch")


def test_what_says_nothing() -> None:
    assert system("") == System() == System("", "", "", "")
