# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place from which modules exit."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

from .._core.errors import DockerVpsError
from .._store.files import unforeseen
from .wording import worded


def finish(
    module: AnsibleModule, run: Callable[[], Mapping[str, Any]], shown: Optional[Mapping[str, Any]] = None
) -> None:
    """Run the module's body and exit with its result or with its failure.

    Args:
        shown: what -vvv shows of the parameters, when that is not all of them.
    """
    extra = {"invocation": shown} if shown else {}
    try:
        result = run()
    except DockerVpsError as error:
        module.fail_json(msg=worded(error.message), **worded(error.evidence), **extra)
    except OSError as error:
        module.fail_json(msg=worded(unforeseen("The task", error).message), **extra)
    module.exit_json(**worded(result), **extra)
