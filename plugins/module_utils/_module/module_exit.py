# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place from which modules exit, and what they show of their parameters."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

from .._core.errors import DockerVpsError
from .._core.progress import PROGRESS
from .._store.files import unforeseen
from .._store.progress_file import reported
from .wording import worded

FOLLOWED_ARGUMENTS: Mapping[str, Any] = {"progress": PROGRESS, "progress_id": {"type": "str", "default": ""}}
"""What modules take that are followed while they work; the first one concerns their actions only."""


def finish(
    module: AnsibleModule, run: Callable[[], Mapping[str, Any]], shown: Optional[Mapping[str, Any]] = None
) -> None:
    """Run the module's body, and exit with its result or with its failure; what is in ``warnings`` is shown as such.

    Args:
        shown: what -vvv shows of the parameters, when that is not all of them.
    """
    extra = {"invocation": shown} if shown else {}
    try:
        with reported(module.params.get("progress_id", "")):
            result = dict(run())
    except DockerVpsError as error:
        module.fail_json(msg=worded(error.message), **worded(error.evidence), **extra)
    except OSError as error:
        module.fail_json(msg=worded(unforeseen("The task", error).message), **extra)
    for warning in result.pop("warnings", ()):
        module.warn(worded(warning))
    module.exit_json(**worded(result), **extra)


def hide_values(module: AnsibleModule, name: str) -> dict[str, Any]:
    """Return what may be shown of the parameters when the values of one are secret.

    Declaring the values no_log keeps them out of syslog, but it also makes Ansible blank
    every occurrence of every value in the result: with PUID=1000 and NODE_ENV=production
    not even the path would be readable. Nothing in our results and messages holds a value,
    so here the blanking ends and the parameters are shown without values.
    """
    module.no_log_values = set()
    return {"module_args": {**module.params, name: dict.fromkeys(module.params[name], "(hidden)")}}
