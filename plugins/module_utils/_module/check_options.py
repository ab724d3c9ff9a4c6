# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that look how an application and its host are have in common."""

from __future__ import annotations

from typing import Any

from .._command.watch import NEVER
from .._core.watch import SEVERITIES
from .releases import PLACE_ARGUMENTS

_STRING = {"type": "str", "default": ""}
LOOK_ARGUMENTS: dict[str, Any] = {
    **PLACE_ARGUMENTS,
    "container": {"type": "str"},
    "sets_directory": {"type": "path"},
    **dict.fromkeys(("url", "text", "time_server"), _STRING),
    "thresholds": {"type": "dict", "default": {}},
    "fail_at": {"type": "str", "choices": [NEVER, *SEVERITIES], "default": NEVER},
}
