# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach the Docker engine. Apart from glue, so that modules without an engine start faster."""

from __future__ import annotations

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule, env_fallback

from .._core.errors import EngineError
from .._engine.sdk import ANSWER_WITHIN, DEFAULT_ADDRESS, SDK_MISSING, Address, Engine, sdk_fault

ENGINE_ARGUMENTS: dict[str, Any] = {
    "docker_host": {"type": "str", "default": DEFAULT_ADDRESS, "fallback": (env_fallback, ["DOCKER_HOST"])},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
}
ENGINE_TOGETHER = [("client_cert", "client_key")]


def engine_of(module: AnsibleModule, within: int = ANSWER_WITHIN) -> Engine:
    """Connect to the engine that the module's parameters name, which has so many seconds for each ordinary answer.

    Raises:
        DockerVpsError: the Docker SDK is missing, no engine answers, or it refuses us.
    """
    return _engine(module.params, within)


def engine_if_sdk(given: Mapping[str, Any]) -> Engine:
    """Connect to the engine for a module that tells by itself when the Docker SDK is missing or does not work.

    Args:
        given: the parameters that name it.

    Raises:
        EngineError: it is missing or does not work, no engine answers, or it refuses us.
    """
    if SDK_MISSING or sdk_fault():
        raise EngineError("The engine was not asked for more.")
    return _engine(given, ANSWER_WITHIN)


def _engine(given: Mapping[str, Any], within: int) -> Engine:
    address = Address(given["docker_host"], given["ca_path"], given["client_cert"], given["client_key"])
    return Engine.connect(address, within)
