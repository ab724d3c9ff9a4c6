# SPDX-License-Identifier: GPL-3.0-or-later
"""A container counts as healthy as soon as its own check succeeds, and its end is seen at once."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import HealthRules, Reason, WantedHealth
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import PROBE, as_test
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_wait import Wait, Waited
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.health_probe import (
    ASK_EVERY,
    Probed,
    refuse_unfit,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock, FakeEngine, seen

CHECK = {"Test": ["CMD", "wget", "x"]}


class FakeAskedEngine(FakeEngine):
    """An engine on which the check succeeds from a second on, or fails in another way."""

    succeeds: float = 3.0
    takes: float = 0.01
    check: Mapping[str, Any] = CHECK
    refuses: Sequence[Exception] = ()
    begun: list[tuple[float, list[str]]]

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        self.answer()
        return {"Config": {"Healthcheck": self.check}}

    def begin(self, container: str, command: Any) -> str:
        self.answer()
        for error in self.refuses:
            raise error
        self.begun.append((self.clock.passed, list(command)))
        return str(len(self.begun) - 1)

    def ended(self, command: str) -> Optional[int]:
        self.answer()
        at, _unused = self.begun[int(command)]
        if self.clock.passed < at + self.takes:
            return None
        return 0 if at >= self.succeeds else 1


def engine_of(*timeline: tuple[float, Any], **given: Any) -> FakeAskedEngine:
    engine = FakeAskedEngine(FakeClock(), {"app": timeline or [(0, seen("starting"))]})
    engine.begun = []
    for name, value in given.items():
        setattr(engine, name, value)
    return engine


def waited(engine: FakeAskedEngine, within: float = 60) -> Waited:
    (one,) = (
        Wait(Probed(engine, engine.clock), engine.clock, ["app"], HealthRules(WantedHealth.HEALTHY), within)
        .run()
        .containers
    )
    return one


def test_it_is_healthy_when_its_own_check_succeeds() -> None:
    engine = engine_of()
    one = waited(engine)
    assert one.reason is Reason.REACHED
    assert 3.0 <= one.seconds <= 3.0 + 3 * ASK_EVERY
    assert {tuple(command) for _at, command in engine.begun} == {("wget", "x")}
    assert len(engine.begun) > 3.0 / (2 * ASK_EVERY)


def test_a_check_that_takes_its_time_runs_once_at_a_time() -> None:
    engine = engine_of(succeeds=0.0, takes=2.0)
    assert waited(engine).reason is Reason.REACHED
    assert len(engine.begun) == 1


def test_the_engines_own_verdict_stays() -> None:
    engine = engine_of((0, seen("starting")), (1.0, seen("unhealthy")))
    assert waited(engine).reason is Reason.UNHEALTHY
    engine = engine_of((0, seen("healthy")))
    assert waited(engine).reason is Reason.REACHED
    assert engine.begun == []
    engine = engine_of((0, seen("starting")), (1.0, seen("exited-3")))
    assert waited(engine).reason is Reason.EXITED


@pytest.mark.parametrize("check", [{}, {"Test": ["NONE"]}, {"Test": None}])
def test_without_a_check_nothing_is_asked(check: Mapping[str, Any]) -> None:
    engine = engine_of(check=check)
    assert waited(engine, 1).reason is Reason.TIMEOUT
    assert engine.begun == []


def test_a_command_that_cannot_be_begun_is_a_check_that_fails() -> None:
    engine = engine_of(refuses=[EngineError("not running")])
    assert waited(engine, 1).reason is Reason.TIMEOUT


def test_an_engine_that_goes_away_is_waited_for() -> None:
    with pytest.raises(EngineUnreachable):  # as Wait has it of the first look
        waited(engine_of(refuses=[EngineUnreachable("away")]))
    engine = engine_of(outages=[(1.0, 2.0)])
    assert waited(engine).reason is Reason.REACHED


def test_the_feed_is_closed() -> None:
    engine = engine_of()
    waited(engine)
    assert [feed.closed for feed in engine.feeds] == [1]


class FakeImageEngine(FakeEngine):
    """An engine with one container that was made, of an image that has these files."""

    config: Mapping[str, Any] = {}
    host: Mapping[str, Any] = {}
    files: Sequence[str] = ()

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        return {"Config": {"Image": "shop:1", **self.config}, "HostConfig": self.host}

    def has(self, container: str, path: str) -> bool:
        return path in self.files


OURS = as_test(PROBE, [], "http://127.0.0.1:3000/", 9)
NO_TOOL = "has no wget or curl or node or python3 or bash, which its health check needs. Set ⟦setting health image⟧ if"


@pytest.mark.parametrize(
    ("test", "files", "lacks"),
    [
        (OURS, ["/bin/sh", "/usr/bin/python3"], ""),
        (OURS, ["/usr/bin/wget"], "has no sh, which its health check needs. Set ⟦setting health image⟧ if it has a"),
        (OURS, ["/bin/sh", "/opt/node"], NO_TOOL),
        (["CMD", "/check"], ["/check"], ""),
        (["CMD", "/check"], [], "has no /check, which its health check needs."),
        (["CMD-SHELL", "check"], ["/bin/sh"], ""),
        (["CMD-SHELL", "check"], ["/usr/bin/sh"], "has no /bin/sh, which its health check needs."),
        (
            ["NONE"],
            ["/bin/sh"],
            "has no HEALTHCHECK, so nothing could tell when it is healthy. Set ⟦setting health probe",
        ),
        ([], ["/bin/sh"], "has no HEALTHCHECK"),
    ],
)
def test_a_container_whose_health_nobody_could_tell_is_refused(
    test: Sequence[str], files: Sequence[str], lacks: str
) -> None:
    engine = FakeImageEngine(FakeClock(), {"app": [(0, seen("starting"))]})
    engine.config, engine.files = {"Healthcheck": {"Test": test}}, files
    if not lacks:
        return refuse_unfit(engine, "app")  # type: ignore[arg-type]
    with pytest.raises(DockerVpsError) as caught:
        refuse_unfit(engine, "app")  # type: ignore[arg-type]
    assert caught.value.message.startswith(f"The image shop:1 {lacks}")
    return None


def test_a_supervisor_that_would_not_be_the_first_process_is_refused() -> None:
    engine = FakeImageEngine(FakeClock(), {"app": [(0, seen("starting"))]})
    engine.config, engine.host = {"Entrypoint": ["/init"]}, {"Init": True}
    with pytest.raises(DockerVpsError) as caught:
        refuse_unfit(engine, "app")  # type: ignore[arg-type]
    assert caught.value.message == (
        "The image shop:1 begins with /init, which has to be the first process of its container. Name init in "
        "⟦setting hardening_off⟧."
    )


def test_the_application_is_asked_by_the_engine() -> None:
    starting = seen("starting")
    engine = engine_of((0, starting), answers={starting.name: "503: no database"})
    assert waited(engine, within=1).snapshot.answer == "503: no database"
