# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the rules in docs/audit.md from the code: ``python tests/support/audit.py``. A unit test compares them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / ".ansible/collections"))  # when this is run as a program
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_remedies import REMEDIES
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.host_audit import RULES

PAGE = ROOT / "docs/audit.md"
BEGIN, END = "<!-- tests/support/audit.py writes this table -->\n", "<!-- end -->\n"
HEAD = [("Rule", "Severity", "Checked", "Wanted", "Source", "What fixes it"), ("---",) * 6]


def written(page: str) -> str:
    """Return the page with the rules that there are."""
    rows = [
        (f"`{rule.id}`", rule.severity, rule.looked_at, rule.wanted, rule.source, worded(REMEDIES[rule.id]))
        for rule in RULES
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [*HEAD, *rows])
    return re.sub(f"{BEGIN}.*{END}", lambda _found: f"{BEGIN}\n{table}\n\n{END}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
