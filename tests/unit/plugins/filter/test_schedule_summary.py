# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter schedule_summary; what it says is tested in _core/test_summary.py."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.filter.schedule_summary import FilterModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import summary


def test_it_is_the_summary() -> None:
    assert FilterModule().filters() == {"schedule_summary": summary.schedule}
