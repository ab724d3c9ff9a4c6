# SPDX-License-Identifier: GPL-3.0-or-later
"""What a procedure on sets and volumes is given, with the real AnsibleModule."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Mapping

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.backups import APP_ARGUMENTS
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.engine import ENGINE_ARGUMENTS
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.volumes import finish_on_volumes
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer


@pytest.mark.parametrize("check", [False, True])
def test_a_procedure_gets_what_the_parameters_name(
    exit_of: Any, serve_engine: Callable[..., EngineServer], tmp_path: Path, check: bool
) -> None:
    server = serve_engine({"/info": (200, {"ServerVersion": "26.1.5"})})

    def run(params: str, sets: Any, connect: Callable[[], Any], clock: Any, check_mode: bool) -> Mapping[str, Any]:
        engine = connect().info()["ServerVersion"]
        return {"changed": False, "given": [params, sets.app, sets.directory, engine, clock.utc().tzname(), check_mode]}

    def main() -> None:
        module = AnsibleModule(argument_spec={**APP_ARGUMENTS, **ENGINE_ARGUMENTS}, supports_check_mode=True)
        finish_on_volumes(module, run, lambda given: f"params of {given['app']}")

    ended = exit_of(main, check=check, app="shop", directory=str(tmp_path), docker_host=server.url)
    assert ended.code == 0
    assert ended.result["given"] == ["params of shop", "shop", str(tmp_path), "26.1.5", "UTC", check]
