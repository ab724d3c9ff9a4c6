# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the actions of modules act upon; the modules themselves only know them, and do nothing with them."""

from __future__ import annotations

from typing import Any, Mapping

from .._core.progress import PROGRESS

CONTAINER_LOGS: Mapping[str, Mapping[str, Any]] = {
    "show": {"type": "bool", "default": False},
    "timestamps": {"type": "bool", "default": True},
    "follow": {"type": "bool", "default": False},
    "follow_for": {"type": "float", "default": 60},
}
DEPLOY_LOCK: Mapping[str, Mapping[str, Any]] = {
    "purpose": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
    "app": {"type": "str", "default": ""},
    "env_file": {"type": "str", "default": ""},
}
HOST_INFO: Mapping[str, Mapping[str, Any]] = {"clock_tolerance": {"type": "float", "default": 30}}  # seconds
IMAGE_EXPORT: Mapping[str, Mapping[str, Any]] = {"progress": PROGRESS}
IMAGE_IMPORT: Mapping[str, Mapping[str, Any]] = {
    "source": {"type": "path", "required": True},
    "progress": PROGRESS,
}
