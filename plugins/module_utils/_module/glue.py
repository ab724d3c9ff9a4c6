# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module shares: how to reach the engine, and the one place that exits."""

from __future__ import annotations

import traceback
from typing import Any, Callable, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from .._core.errors import DockerVpsError
from .._engine.sdk import DEFAULT_ADDRESS, SDK_MISSING, Address, Engine

ENGINE_ARGUMENTS: dict[str, Any] = {
    "docker_host": {"type": "str", "default": DEFAULT_ADDRESS, "fallback": (env_fallback, ["DOCKER_HOST"])},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
}
ENGINE_TOGETHER = [("client_cert", "client_key")]


def engine_of(module: AnsibleModule) -> Engine:
    """Connect to the engine that the module's parameters name.

    Raises:
        EngineError: no engine answers, or it refuses us.
    """
    if SDK_MISSING:
        module.fail_json(msg=missing_required_lib("docker"), exception="".join(traceback.format_exception(SDK_MISSING)))
    p = module.params
    return Engine(Address(p["docker_host"], p["ca_path"], p["client_cert"], p["client_key"]))


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
        module.fail_json(msg=error.message, **error.evidence, **extra)
    module.exit_json(**result, **extra)
