# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down of a cutover."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover_state
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import JOURNAL
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, Site


def test_the_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    one = cutover_state.UnderWay(
        "20260201-020104", "shop", APP, others=("a",), proxy_reload_command=("x", "y"), rows={"v/p": {"t": 1}}
    )
    os.mkdir(os.path.join(site.releases.directory, one.id))
    written = one.write(site.releases, copied=True)
    assert cutover_state.read(site.releases, one.id) == written == replace(one, copied=True)
    assert os.stat(site.releases.path(one.id, JOURNAL)).st_mode & 0o777 == 0o600
    shutil.rmtree(os.path.join(site.releases.directory, one.id))
    assert cutover_state.read(site.releases, one.id) is None
