# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_logs: its parameters, and its exits over a real socket."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.logs import WantedLines
from ansible_collections.ptnextjs.docker_vps.plugins.modules.container_logs import Params, main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer, frame
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import inspected

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
BEGAN = datetime(2026, 1, 31, 10, 0, tzinfo=timezone.utc)
DEFAULTS = {
    "container": "app",
    "tail": 50,
    "since": "",
    "until": "",
    "pattern": "",
    "env_file": None,
    "wait": 0,
}


def at(second: int) -> str:
    return (BEGAN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def texts(result: Mapping[str, Any]) -> list[str]:
    return [one["text"] for one in result["lines"]]


def refused(**given: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        params_of({**DEFAULTS, **given}, NOW)
    return caught.value.message


def test_params_are_read() -> None:
    given = {
        "container": " /app",
        "tail": 7,
        "since": "1h",
        "until": "30m",
        "pattern": "x",
        "env_file": "/e",
        "wait": 2,
    }
    place = dict.fromkeys(("stdout", "stderr"), "2026-01-31T11:00:00.000000000Z")
    wanted = WantedLines(7, place, "2026-01-31T11:30:00.000000000Z", re.compile("x"))
    assert params_of(given, NOW) == Params("app", wanted, "/e", 2)


def test_what_cannot_be_right_is_told_in_one_sentence() -> None:
    assert refused(container="/") == "container must be the name of a container, but is empty."
    assert refused(tail=-1) == "tail must not be below 0, but is -1."
    assert refused(wait=float("nan")) == "wait must not be below 0, but is nan."
    assert refused(pattern="(x").startswith("pattern must be a regular expression, but '(x' is none: missing )")
    assert refused(since="soon").startswith("since must be a time such as")
    assert refused(until="soon").startswith("until must be a time such as")


ServeEngine = Callable[..., EngineServer]


@pytest.mark.parametrize("check", [False, True])
def test_main_exits_with_the_result(serve_engine: ServeEngine, exit_of: Callable[..., Any], check: bool) -> None:
    there = {**inspected("healthy"), "Image": "sha256:ab"}
    log = frame(f"{at(1)} one\n") + frame(f"{at(2)} tw", 2) + frame(f"{at(2)} o\n", 2)
    server = serve_engine({"/containers/app/json": (200, there), "/containers/app/logs": (200, log)})
    ended = exit_of(main, check=check, container="app", docker_host=server.url)
    assert (ended.code, texts(ended.result)) == (0, ["one", "two"])
    assert [one["stream"] for one in ended.result["lines"]] == ["stdout", "stderr"]


def test_main_exits_with_one_sentence(serve_engine: ServeEngine, exit_of: Callable[..., Any]) -> None:
    refusal = (501, {"message": "configured logging driver does not support reading"})
    server = serve_engine({"/containers/app/json": (200, inspected("healthy")), "/containers/app/logs": refusal})
    ended = exit_of(main, container="app", docker_host=server.url)
    assert (ended.code, ended.result["msg"]) == (
        1,
        "The Docker engine refused: configured logging driver does not support reading.",
    )
    ended = exit_of(main, container="app", docker_host="unix:///nowhere.sock")
    assert ended.result["msg"].startswith("No Docker engine answers at unix:///nowhere.sock")
    assert exit_of(main, container="app", since="soon", docker_host=server.url).code == 1
