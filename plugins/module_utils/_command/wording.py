# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps against a failure, in the words of the host's command: its jobs, options and configuration."""

from __future__ import annotations

from typing import Any

from .._core import remedies

_JOBS = {
    "backup": "backup",
    "backup_export": "export",
    "backup_list": "list",
    "maintenance": "maintenance",
    "prune": "prune",
    "recover": "recover",
    "restore": "restore",
    "restore_drill": "drill",
    "verify": "verify",
}
_KEYS = {
    "backup_directory": "directory",
    "backup_consistency": "backup.consistency",
    "backup_offsite_host": "offsite.host",
    "backup_offsite_prune": "offsite.prune",
}
_OPTIONS = {"restore_stop_app": "--stop-app", "backup_accept_loss": "--accept-loss"}


def _setting(name: str, value: str = "") -> str:
    if name == "restore_undo":
        return "docker-vps restore --undo"
    key, where = (_KEYS[name], "the configuration") if name in _KEYS else (f"docker_vps_{name}", "the inventory")
    return f"{key}: {value} in {where}" if value else f"{key} in {where}"


def _once(name: str, value: str) -> str:
    return _OPTIONS.get(name, f"-e docker_vps_{name}={value} of the playbook")


def _play(name: str) -> str:
    return f"docker-vps {_JOBS[name]}" if name in _JOBS else f"the playbook {name}.yml"


WORDS: remedies.Words = {
    "setting": _setting,
    "once": _once,
    "play": _play,
    "again": lambda: "run the same command again",
    "as_root": lambda: "as root",
    "is_it_root": lambda: "Does it have to run as root?",
}


def worded(value: Any) -> Any:
    """Return a string, or data with all its strings, as the command says it."""
    return remedies.worded(value, WORDS)
