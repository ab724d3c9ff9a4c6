# SPDX-License-Identifier: GPL-3.0-or-later
"""The error family."""

from __future__ import annotations

import errno
from typing import Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineForbidden,
    EngineUnreachable,
    InvalidInput,
    next_step,
)


@pytest.mark.parametrize("kind", [DockerVpsError, InvalidInput, EngineError, EngineUnreachable, EngineForbidden])
def test_every_error_carries_a_message_and_evidence(kind: type[DockerVpsError]) -> None:
    error = kind("It broke.", lines=["a"], code=3)
    assert isinstance(error, DockerVpsError)
    assert (str(error), error.message) == ("It broke.", "It broke.")
    assert error.evidence == {"lines": ["a"], "code": 3}


def test_more_can_be_said() -> None:
    error = EngineError("It is away.", lines=[1])
    error.also()
    assert error.message == "It is away."
    error.also("Somebody stopped it.", "Start it.")
    assert error.message == str(error) == "It is away. Somebody stopped it. Start it."
    assert error.evidence == {"lines": [1]}


def test_a_message_is_text_whatever_bytes_a_name_holds() -> None:
    assert DockerVpsError("a\udcffö.db: it broke.").message == str(DockerVpsError("a\\xffö.db: it broke."))


def test_a_refusal_is_no_absence() -> None:
    assert not issubclass(EngineForbidden, EngineUnreachable)
    assert issubclass(EngineForbidden, EngineError)
    assert issubclass(EngineUnreachable, EngineError)


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "The quota of that disk is used up"),
        (errno.EROFS, "is mounted read-only"),
        (errno.EFBIG, "takes larger files"),
        (errno.EIO, "The disk has errors"),
        (errno.ENAMETOOLONG, "Choose a shorter path"),
        (errno.ENOLCK, "has no locks to give"),
        (errno.EACCES, "⟦is_it_root⟧"),
        (errno.EPERM, "⟦is_it_root⟧"),
        (errno.EISDIR, "See with ls -l what is there"),
        (errno.ENOTDIR, "See with ls -l what is there"),
        (None, "See with ls -l what is there"),
    ],
)
def test_the_next_step_is_that_of_the_cause(number: Optional[int], step: str) -> None:
    assert step in next_step(OSError(number, "refused"))
