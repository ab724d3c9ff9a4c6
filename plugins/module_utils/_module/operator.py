# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs a play."""

from __future__ import annotations

import getpass
import os
from typing import Any, Mapping


def operator(variables: Mapping[str, Any]) -> str:
    """Return who runs a play on this controller, as in me@laptop, by the variables of the play."""
    job = variables.get("awx_job_id")
    return f"{variables.get('awx_user_name') or _user()}@{f'awx job {job}' if job else os.uname().nodename}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, the number may have no name
        return str(os.getuid())
