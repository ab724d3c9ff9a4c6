# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter build_failure."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.filter.build_failure import FilterModule
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FIXTURES

LOG = (FIXTURES / "buildlog/buildx-0.13.1-step.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("lines", "kept"), [((), 5), ((2,), 2), ((1,), 1)])
def test_a_log_becomes_a_sentence_and_lines(lines: tuple[int, ...], kept: int) -> None:
    found = FilterModule().filters()["build_failure"](LOG, *lines)
    assert set(found) == {"sentence", "lines", "text"}
    assert found["text"].splitlines() == found["lines"]
    assert found["sentence"].startswith("the step [4/4] RUN printf")
    assert len(found["lines"]) == kept
    assert found["lines"][-1].endswith("is not assignable to type 'number'.")


def test_thirty_lines_unless_told_otherwise() -> None:
    output = [f"line {number}" for number in range(100)]
    log = "#1 [1/1] RUN make\n" + "".join(f"#1 0.1 {line}\n" for line in output) + "#1 ERROR: failed\n"
    assert FilterModule().filters()["build_failure"](log)["lines"] == output[-30:]


def test_the_values_of_secrets_are_not_said() -> None:
    log = "#1 [1/1] RUN curl -H tok-4711-sesame\n#1 0.1 refused: pw-of-the-registry\n#1 ERROR: failed\n"
    secrets = {"npm": "tok-4711-sesame", "registry": {"value": "pw-of-the-registry"}, "ca": {"file": "/etc/ca"}}
    found = FilterModule().filters()["build_failure"](log, 30, secrets)
    assert found["sentence"] == "the step [1/1] RUN curl -H <npm> failed"
    assert found["text"] == "refused: <registry>"
