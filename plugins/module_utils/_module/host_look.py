# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules take that look at a host before something is changed there."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._core.errors import InvalidInput
from .._core.host import Needs
from .._engine.this_host import ThisHost
from .._release.host_info import Params, run
from .action_options import HOST_INFO
from .engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_if_sdk
from .sizes import bytes_of

_NAMES: Mapping[str, Any] = {"type": "list", "elements": "str", "default": []}
HOST_ARGUMENTS: dict[str, Any] = {
    "engine_version_min": {"type": "str", "default": ""},
    "compose_version_min": {"type": "str", "default": ""},
    "buildx": {"type": "bool", "default": False},
    "memory_min": {"type": "str", "default": "0"},
    "disk_free_min": {"type": "str", "default": "0"},
    "commands": _NAMES,
    "project": {"type": "str", "default": "ptnextjs"},
    "containers": _NAMES,
    "starts": {"type": "bool", "default": True},
    "volumes": _NAMES,
    "networks": _NAMES,
    "images": _NAMES,
    "directory": {"type": "path", "default": ""},
    "env_file": {"type": "path", "default": ""},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "files": {"type": "list", "elements": "path", "default": []},
    "patterns": {"type": "list", "elements": "path", "default": []},
    **HOST_INFO,
    **ENGINE_ARGUMENTS,
}


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a size is not one.
    """
    needs = Needs(
        engine_version=given["engine_version_min"],
        compose_version=given["compose_version_min"],
        buildx=given["buildx"],
        memory=bytes_of(given, "memory_min"),
        disk_free=bytes_of(given, "disk_free_min"),
        project=given["project"],
    )
    names = ("commands", "containers", "volumes", "networks", "images", "files", "patterns")
    looked_at = {key: tuple(given[key]) for key in names}
    return Params(
        needs,
        starts=given["starts"],
        directory=given["directory"],
        env_file=given["env_file"],
        environment=given["environment"],
        **looked_at,
    )


def look_of(given: Mapping[str, Any]) -> Optional[Callable[[], Mapping[str, Any]]]:
    """Return what looks at the host, None for nothing, by the options that another module was given in one of its own.

    Raises:
        InvalidInput: one of them is wrong.
    """
    if not given:
        return None
    found = ArgumentSpecValidator(HOST_ARGUMENTS, required_together=ENGINE_TOGETHER).validate(given)
    if found.error_messages:
        raise InvalidInput(f"The options for host_info are wrong: {' '.join(found.error_messages)}.")
    options = found.validated_parameters
    params = params_of(options)
    return lambda: run(params, lambda: engine_if_sdk(options), ThisHost())
