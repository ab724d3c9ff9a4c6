# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_health on real containers: every outcome, and how soon it comes."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.modules.container_health import params_of, run
from lab import docker, image_of

ENGINE = "unix:///var/run/docker.sock"
HEALTHY, SICK = "test -e /healthy", "exit 1"
Start = Callable[..., str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start containers that are removed after the test."""
    made: list[str] = []
    image = image_of("base_image.sh")

    def one(name: str, script: str, *options: str, check: str = "") -> str:
        retries = "2" if check == SICK else "50"
        health = ["--health-cmd", check, "--health-interval", "200ms", "--health-retries", retries] if check else []
        docker("rm", "--force", f"it-health-{name}", check=False)
        docker("run", "--detach", "--init", "--name", f"it-health-{name}", *health, *options, image, "sh", "-c", script)
        made.append(f"it-health-{name}")
        return made[-1]

    yield one
    docker("rm", "--force", *made)


def wait(*names: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    given = {"state": "healthy", "timeout": 10, "tolerate_unhealthy": False, "max_restarts": 0, "log_lines": 50}
    params = params_of({"containers": list(names), **given, **options})
    return run(params, Engine.connect(Address(ENGINE)), SystemClock(), check_mode)


def failure(*names: str, **options: Any) -> DockerVpsError:
    with pytest.raises(DockerVpsError) as caught:
        wait(*names, **options)
    return caught.value


def reason(error: DockerVpsError, index: int = 0) -> str:
    found: str = error.evidence["containers"][index]["reason"]  # type: ignore[index]
    return found


def test_healthy(start: Start) -> None:
    name = start("good", "sleep 1; touch /healthy; sleep 60", check=HEALTHY)
    result = wait(name)
    assert result["reached"] is True
    assert result["containers"][0]["health"] == "healthy"
    assert 0.8 < result["waited"] < 5


def test_several_within_one_deadline(start: Start) -> None:
    quick = start("quick", "touch /healthy; sleep 60", check=HEALTHY)
    wait(quick)
    slow, slower = (start(name, "sleep 60", check=HEALTHY) for name in ("slow", "slower"))
    began = time.monotonic()
    error = failure(quick, slow, slower, timeout=2)
    assert 1.9 < time.monotonic() - began < 4
    assert [reason(error, index) for index in range(3)] == ["reached", "timeout", "timeout"]


def test_unhealthy_is_never_taken_for_healthy(start: Start) -> None:
    name = start("sick", "echo it will not do; sleep 60", check=SICK)
    error = failure(name)
    assert reason(error) == "unhealthy"
    assert "is unhealthy" in error.message
    assert "it will not do" in error.message
    assert wait(name, state="unhealthy")["reached"] is True


def test_an_unhealthy_one_may_recover_when_that_is_tolerated(start: Start) -> None:
    name = start("recovers", "sleep 2; touch /healthy; sleep 60", "--health-retries", "2", check=HEALTHY)
    wait(name, state="unhealthy")
    assert wait(name, tolerate_unhealthy=True)["reached"] is True


def test_an_exit_ends_the_wait_at_once_with_code_and_logs(start: Start) -> None:
    name = start("exits", "sleep 1; echo last words; exit 3", check=HEALTHY)
    began = time.monotonic()
    error = failure(name, timeout=30)
    assert time.monotonic() - began < 5
    assert reason(error) == "exited"
    assert "exited with code 3" in error.message
    assert "last words" in error.message


def test_a_restart_loop_ends_the_wait(start: Start) -> None:
    name = start("loops", "echo again; exit 4", "--restart", "unless-stopped", check=HEALTHY)
    error = failure(name, timeout=30)
    assert reason(error) == "restarting"
    assert "again" in error.message


def test_out_of_memory_is_named(start: Start) -> None:
    # tail keeps the last line, which never ends here. Its own code is a few pages: a large program at its limit
    # can crawl along re-reading its code from disk, and is not killed within the test's time.
    limits = ("--memory", "64m", "--memory-swap", "64m")
    error = failure(start("eats", "sleep 1; exec tail /dev/zero", *limits, check=HEALTHY))
    assert reason(error) == "out_of_memory"
    assert error.evidence["containers"][0]["oom_killed"] is True  # type: ignore[index]


def test_no_health_check_is_its_own_outcome(start: Start) -> None:
    name = start("plain", "sleep 60")
    assert reason(failure(name)) == "no_health_check"
    assert wait(name, state="running")["reached"] is True


def test_a_stopped_one_that_was_healthy_is_not_healthy(start: Start) -> None:
    name = start("was", "touch /healthy; sleep 60", check=HEALTHY)
    wait(name)
    docker("stop", "--time", "1", name)
    assert reason(failure(name)) == "exited"
    assert wait(name, state="stopped")["reached"] is True


def test_paused_and_missing(start: Start) -> None:
    name = start("paused", "touch /healthy; sleep 60", check=HEALTHY)
    docker("pause", name)
    assert reason(failure(name)) == "paused"
    docker("unpause", name)
    assert reason(failure("it-health-nobody")) == "not_found"
    assert wait("it-health-nobody", state="stopped")["reached"] is True


def test_waiting_for_a_stop_ends_when_it_stops(start: Start) -> None:
    name = start("stops", "sleep 2.5")
    result = wait(name, state="stopped")
    assert 0.5 < result["waited"] < 4


def test_removed_while_waiting(start: Start) -> None:
    name = start("removed", "sleep 60", check=HEALTHY)
    threading.Timer(0.5, docker, ("rm", "--force", name)).start()
    assert reason(failure(name)) in ("exited", "not_found")


def test_check_mode_looks_once_and_never_fails(start: Start) -> None:
    name = start("sick", "sleep 60", check=SICK)
    began = time.monotonic()
    result = wait(name, check_mode=True)
    assert (result["reached"], result["changed"]) == (False, False)
    assert time.monotonic() - began < 5


def test_no_engine_is_its_own_outcome() -> None:
    with pytest.raises(EngineUnreachable, match="No Docker engine answers at unix:///nowhere.sock"):
        Engine.connect(Address("unix:///nowhere.sock"))
