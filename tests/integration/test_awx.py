# SPDX-License-Identifier: GPL-3.0-or-later
"""What plays keep for workflows of AWX. Jobs as AWX runs them are in tests/awx."""

from __future__ import annotations

import json
import re
from typing import Any

from lab import MakeApp, Played

JOB = ("-e", '{"awx_job_id": 4711, "awx_user_name": "jane"}')
SHOWN = {"ANSIBLE_SHOW_CUSTOM_STATS": "true", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}


def kept(played: Played) -> Any:
    """Return what a play kept with set_stats."""
    found = re.search(r"CUSTOM STATS: \*+\s+RUN: (\{.*\})", played.output, re.DOTALL)
    return json.loads(found[1]) if found else {}


def test_what_a_play_did_is_kept_in_awx_and_nowhere_else(make_app: MakeApp) -> None:
    app = make_app("it-artifacts")
    assert kept(app.deploy("--check", *JOB, environment=SHOWN).succeeded()) == {}
    deployed = app.deploy(*JOB, environment=SHOWN).succeeded()
    record = app.record()
    assert record["deployed_by"] == "jane@awx job 4711"
    assert kept(deployed) == {"vps_deploy": {"local": {"release": record["id"], "downtime": record["downtime"]}}}
    assert kept(app.deploy(*JOB, environment=SHOWN).succeeded()) == {}
    changed = {"docker_vps_env": {"ROUND": "2"}}
    assert kept(app.playbook("update", environment=SHOWN, **changed).succeeded()) == {}  # a person at a terminal
    back = kept(app.playbook("rollback", *JOB, environment=SHOWN, **changed).succeeded())["vps_rollback"]["local"]
    assert back["rolled_back_to"] == record["id"]
    assert back["rows_lost"] == 0
    looked = app.playbook("health", *JOB, "-e", "docker_vps_watch_fail=info", environment=SHOWN).failed()
    assert kept(looked)["vps_health"]["local"]["findings"] > 0
