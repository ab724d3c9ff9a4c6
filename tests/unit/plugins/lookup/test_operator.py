# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup operator."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.lookup.operator import LookupModule


def test_it_knows_the_variables_of_the_play() -> None:
    assert list(LookupModule().run([], {"awx_job_id": 12, "awx_user_name": "jane"})) == ["jane@awx job 12"]
    assert "@" in "".join(LookupModule().run([]))
