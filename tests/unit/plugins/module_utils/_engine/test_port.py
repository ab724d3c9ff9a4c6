# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedures ask of an engine is what the engine's client answers."""

from __future__ import annotations

import inspect

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.port import EnginePort
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Engine

ASKED = sorted(name for name, _method in inspect.getmembers(EnginePort, inspect.isfunction) if name[0] != "_")


@pytest.mark.parametrize("name", ASKED)
def test_the_client_takes_the_same(name: str) -> None:
    asked, answered = (inspect.signature(getattr(of, name)).parameters for of in (EnginePort, Engine))
    assert [(one.name, one.default) for one in asked.values()] == [(one.name, one.default) for one in answered.values()]
