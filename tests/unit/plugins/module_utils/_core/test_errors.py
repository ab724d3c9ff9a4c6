# SPDX-License-Identifier: GPL-3.0-or-later
"""The error family."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineForbidden,
    EngineUnreachable,
    InvalidInput,
)


@pytest.mark.parametrize("kind", [DockerVpsError, InvalidInput, EngineError, EngineUnreachable, EngineForbidden])
def test_every_error_carries_a_message_and_evidence(kind: type[DockerVpsError]) -> None:
    error = kind("It broke.", lines=["a"], code=3)
    assert isinstance(error, DockerVpsError)
    assert (str(error), error.message) == ("It broke.", "It broke.")
    assert error.evidence == {"lines": ["a"], "code": 3}


def test_a_refusal_is_no_absence() -> None:
    assert not issubclass(EngineForbidden, EngineUnreachable)
    assert issubclass(EngineForbidden, EngineError)
    assert issubclass(EngineUnreachable, EngineError)
