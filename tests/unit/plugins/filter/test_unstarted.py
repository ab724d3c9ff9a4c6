# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter unstarted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.filter.unstarted import FilterModule

unstarted = FilterModule().filters()["unstarted"]


@pytest.mark.parametrize(
    ("content", "mode", "argument", "why"),
    [
        (None, 0o755, "", "there is no such file on the host"),
        ("#!/no/such/interpreter\n", 0o755, "", "or the interpreter that its first line names is not there"),
        ("#!/bin/sh\n", 0o644, "", "it may not be executed: its mode forbids it"),
        ("echo\n", 0o755, "", "it is no program of this host, and a script needs a first line"),
        ("#!/bin/sh\n", 0o755, "x" * 131072, "its arguments are too long"),
    ],
)
def test_what_the_kernel_refuses(tmp_path: Path, content: str | None, mode: int, argument: str, why: str) -> None:
    program = tmp_path / "program"
    if content is not None:
        program.write_text(content)
        program.chmod(mode)
    with pytest.raises(OSError, match="program") as refused:
        subprocess.run([str(program), argument], check=False)
    assert why in unstarted({"msg": "Error executing command.", "rc": refused.value.errno})


def test_any_other_error_of_the_kernel() -> None:
    assert unstarted({"msg": "Error executing command.", "rc": 12}) == "the host says: Cannot allocate memory"
    assert unstarted({"msg": "Task failed: Error executing command.", "rc": 257}) == "the host says: Unknown error 257"


@pytest.mark.parametrize("result", [{"msg": "non-zero return code", "rc": 13}, {"rc": 2}, {}])
def test_a_command_that_was_started(result: dict[str, object]) -> None:
    assert unstarted(result) == ""
