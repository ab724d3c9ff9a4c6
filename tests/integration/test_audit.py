# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook audit on this machine; what each rule finds, the Molecule scenario shows."""

from __future__ import annotations

import json
from pathlib import Path

from lab import MakeApp


def test_an_audit_tells_everything_and_then_fails_where_it_was_told_to(make_app: MakeApp, tmp_path: Path) -> None:
    app, report = make_app("it-audit"), tmp_path / "report.json"
    played = app.playbook("audit", docker_vps_audit_fail="low", docker_vps_audit_file=str(report)).failed()
    assert "The audit has " in played.text
    assert "of severity low or higher: " in played.text
    assert report.stat().st_mode & 0o777 == 0o600
    found = json.loads(report.read_text())
    rules = {rule["id"]: rule for rule in found["rules"]}
    assert found["host"] == "local"
    assert rules["app-privileged"]["found"] == "there is no container it-audit-app"
    assert rules["backup-offsite"]["remedy"] == "docker_vps_backup_offsite_repository, then backup.yml."
    assert played.recap["changed"] == 0


def test_a_severity_that_is_none_is_refused(make_app: MakeApp) -> None:
    text = make_app("it-audit-word").playbook("audit", docker_vps_audit_fail="severe").failed().text
    assert "docker_vps_audit_fail" in text
    assert "never, low, medium, high, critical" in text
