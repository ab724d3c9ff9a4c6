# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed build says."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.buildlog import failure
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FIXTURES
from hypothesis import given
from hypothesis import strategies as st

# Real logs of docker buildx build --progress plain.
STEP, BASE, SYNTAX = [
    (FIXTURES / f"buildlog/buildx-0.13.1-{name}.txt").read_text(encoding="utf-8") for name in ("step", "base", "syntax")
]
RUN = "[4/4] RUN printf '%s\\n' '> site@1.0.0 build' '> next build' '' 'Failed to compile.' './page.tsx:3:7' "


def test_the_failing_step_and_its_last_lines() -> None:
    found = failure(STEP, 2)
    assert found.step == (RUN + "\"Type error: Type 'string' is not assignable to type 'number'.\" >&2; exit 1")[:160]
    assert found.lines == (
        "0.148 ./page.tsx:3:7",
        "0.148 Type error: Type 'string' is not assignable to type 'number'.",
    )
    assert found.sentence == f"the step {found.step} failed"
    assert failure(STEP, 30).lines[0] == "0.148 > site@1.0.0 build"
    assert failure(STEP, 30).lines[-2:] == found.lines


def test_a_base_that_cannot_be_pulled() -> None:
    found = failure(BASE, 30)
    assert found.step == "[internal] load metadata for docker.io/docker-vps/nowhere:1"
    assert found.cause.startswith("its base image is neither on the host nor can it be pulled")


def test_a_log_without_a_step() -> None:
    found = failure(SYNTAX, 1)
    assert found.lines == (
        "ERROR: failed to solve: dockerfile parse error on line 1: unknown instruction: RUNN (did you mean RUN?)",
    )
    assert found.sentence == "the step of the builder before the first line of the Dockerfile failed"


def test_no_log_at_all() -> None:
    assert failure("", 30).lines == ()


@pytest.mark.parametrize(
    ("sign", "cause"),
    [
        ("write /var/lib/docker/x: no space left on device", "the disk of the host is full"),
        ("node:22-alpine: failed to resolve source metadata for docker.io/library/node", "its base image is neither"),
        ("npm error `npm ci` can only install packages when", "package.json and package-lock.json do not agree"),
        ("npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "a certificate is not trusted"),
        ('failed to compute cache key: "/package-lock.json": not found', "the sources have no package-lock.json"),
        ("npm error code ENOTFOUND", "the host cannot resolve the package registry's name"),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "the build ran out of"),
        ("did not complete successfully: exit code: 137", "the build was killed, most likely because"),
    ],
)
def test_known_causes_are_told(sign: str, cause: str) -> None:
    found = failure(STEP.replace("#8 ERROR", f"#8 0.149 {sign}\n#8 ERROR"), 1)
    assert found.cause.startswith(cause)
    assert found.sentence == f"the step {found.step} failed: {found.cause}"


PIECES = st.sampled_from(["------\n", "\n", " > [a 1/2] RUN x:\n", "1.0 words\n", "ERROR: failed to solve: x\n"])


@given(st.lists(PIECES | st.text()).map("".join), st.integers(1, 5))
def test_any_log_is_read(log: str, lines: int) -> None:
    found = failure(log, lines)
    assert len(found.lines) <= lines
    assert all(line.strip() and line in log for line in found.lines)
