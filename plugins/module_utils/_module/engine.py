# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach the Docker engine. Apart from glue, so that modules without an engine start faster."""

from __future__ import annotations

import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

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
        trace = traceback.format_exception(type(SDK_MISSING), SDK_MISSING, SDK_MISSING.__traceback__)
        why = "to talk to the engine; on Debian and Ubuntu install python3-docker"
        module.fail_json(msg=missing_required_lib("docker", reason=why), exception="".join(trace))
    p = module.params
    return Engine(Address(p["docker_host"], p["ca_path"], p["client_cert"], p["client_key"]))
