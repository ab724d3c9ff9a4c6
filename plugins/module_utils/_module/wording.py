# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps against a failure, in the words of plays: playbooks and the variables of an inventory."""

from __future__ import annotations

from typing import Any

from .._core import remedies

_NO_PLAYBOOK = {"prune": "docker-vps prune", "recover": "docker-vps recover", "verify": "docker-vps verify"}


def _setting(name: str, value: str = "") -> str:
    return f"docker_vps_{name}: {value}" if value else f"docker_vps_{name}"


WORDS: remedies.Words = {
    "setting": _setting,
    "once": "-e docker_vps_{}={}".format,
    "play": lambda name: _NO_PLAYBOOK.get(name, f"{name}.yml"),
    "again": lambda: "run the same play again",
    "as_root": lambda: "with become: true",
    "is_it_root": lambda: "Does the play need become: true?",
}


def worded(value: Any) -> Any:
    """Return a string, or data with all its strings, as a play says it."""
    return remedies.worded(value, WORDS)
