# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule of the audit has what fixes it."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_remedies import REMEDIES
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.host_audit import RULES


def test_each_rule_has_a_remedy() -> None:
    assert set(REMEDIES) == {rule.id for rule in RULES}
    assert all(len(remedy) > 10 for remedy in REMEDIES.values())
