# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a container, with a fake engine."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.logs import WantedLines, after, parse_time
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.container_logs import END, Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import frame
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock, inspected

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
BEGAN = datetime(2026, 1, 31, 10, 0, tzinfo=timezone.utc)


def at(second: int) -> str:
    return (BEGAN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


class FakeLogEngine:
    """An engine with one container, app, whose lines are there from given seconds on.

    Attributes:
        asked: what was asked of the log.
        clock: when given, lines of the future are not there yet.
    """

    def __init__(
        self,
        written: Sequence[tuple[int, str]],
        state: str = "healthy",
        env: Optional[Sequence[str]] = None,
        image: Optional[Sequence[str]] = (),
        clock: Optional[FakeClock] = None,
        ends: float = float("inf"),
    ) -> None:
        self.written, self.clock, self.ends, self.state = written, clock, ends, state
        self.env, self.public = env, image
        self.mounts: Sequence[Mapping[str, str]] = ()
        self.asked: list[tuple[int, str, str]] = []

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        if name != "app":
            return None
        passed = self.clock.passed if self.clock else 0
        found = inspected("exited-3" if passed >= self.ends else self.state)
        return {**found, "Image": "sha256:ab", "Config": {**found["Config"], "Env": self.env}, "Mounts": self.mounts}

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        assert name == "sha256:ab"
        return None if self.public is None else {"Config": {"Env": self.public}}

    def log(self, name: str, tail: int, since: str = "", until: str = "") -> Iterator[bytes]:
        self.asked.append((tail, since, until))
        now = self.clock.passed if self.clock else float("inf")
        there = [frame(f"{at(second)} {text}\n") for second, text in self.written if second <= now]
        yield from there[-tail:] if tail else there


def texts(result: Mapping[str, Any]) -> list[str]:
    return [one["text"] for one in result["lines"]]


def ran(
    engine: FakeLogEngine,
    container: str = "app",
    tail: int = 50,
    since: str = "",
    until: str = "",
    pattern: str = "",
    env_file: str = "",
    wait: float = 0,
) -> dict[str, Any]:
    found = re.compile(pattern) if pattern else None
    wanted = WantedLines(tail, after(since, NOW), parse_time("until", until, NOW), found)
    return run(Params(container, wanted, env_file, wait), engine, engine.clock or FakeClock())


THREE = [(1, "one"), (2, "two"), (3, "three")]


def test_the_last_lines() -> None:
    engine = FakeLogEngine(THREE)
    result = ran(engine, tail=2)
    assert texts(result) == ["two", "three"]
    assert result["lines"][0] == {"time": at(2), "stream": "stdout", "text": "two"}
    assert (result["changed"], result["truncated"]) == (False, True)
    assert result["last"] == f"{at(3)},{at(-7)}"
    assert result["container"] == {
        "name": "app",
        "id": inspected("healthy")["Id"],
        "state": "running",
        "exit_code": 0,
    }


def test_the_end_of_the_log_is_mostly_enough() -> None:
    engine = FakeLogEngine([(n, str(n)) for n in range(5000)])
    assert texts(ran(engine, tail=2)) == ["4998", "4999"]
    assert texts(ran(engine, tail=0, since=at(4997))) == ["4998", "4999"]
    assert texts(ran(engine, tail=2, pattern="00$")) == ["4800", "4900"]
    assert engine.asked == [(END, "", "")] * 3


def test_otherwise_all_of_it_is_read() -> None:
    engine = FakeLogEngine([(n, str(n)) for n in range(5000)])
    assert texts(ran(engine, pattern="^7$")) == ["7"]
    assert len(texts(ran(engine, tail=0))) == 5000
    assert len(texts(ran(engine, tail=0, since=at(3), until=at(4990)))) == 4987
    unix = int(BEGAN.timestamp())
    place = (f"{unix + 3}.000000000", f"{unix + 4990}.000000000")
    assert engine.asked == [(END, "", ""), (0, "", ""), (0, "", ""), (END, "", ""), (0, *place)]
    assert len(texts(ran(engine, tail=3000))) == 3000
    assert engine.asked[-1] == (6000, "", "")


def test_it_continues_where_it_was() -> None:
    clock = FakeClock()
    engine = FakeLogEngine([(n, str(n)) for n in range(10)], clock=clock)
    last, got = "", []
    for _turn in range(11):
        result = ran(engine, tail=0, since=last)
        got += texts(result)
        last = result["last"]
        clock.sleep(1)
    assert got == [str(n) for n in range(10)]


def test_nothing_was_written_yet() -> None:
    result = ran(FakeLogEngine([]))
    assert (result["lines"], result["last"], result["truncated"]) == ([], "", False)


def test_a_wait_ends_with_the_first_line_that_is_wanted() -> None:
    clock = FakeClock()
    engine = FakeLogEngine([(0, "wanted"), (1, "other"), (3, "wanted"), (4, "wanted")], clock=clock)
    result = ran(engine, since=at(0), pattern="wanted", wait=30)
    assert result["lines"] == [{"time": at(3), "stream": "stdout", "text": "wanted"}]
    assert clock.passed == 3


def test_a_wait_ends_in_time() -> None:
    clock = FakeClock()
    result = ran(FakeLogEngine([(0, "old")], clock=clock), since=at(0), wait=1.1)
    assert result["lines"] == []
    assert clock.passed == pytest.approx(1.1)


def test_a_wait_ends_when_the_container_does() -> None:
    clock = FakeClock()
    result = ran(FakeLogEngine([(0, "old")], clock=clock, ends=2), since=at(0), wait=30)
    assert clock.passed == 2
    assert (result["container"]["state"], result["container"]["exit_code"]) == ("exited", 3)


def test_a_container_that_does_not_exist() -> None:
    with pytest.raises(DockerVpsError) as caught:
        ran(FakeLogEngine([]), container="nobody")
    assert caught.value.message == "Container nobody does not exist; see which containers do with: docker ps --all."


def test_secrets_of_the_container_are_left_out_and_what_is_in_the_image_is_not() -> None:
    env = ["TOKEN=c0ffee", "MAIL_BOX=/var/mail", "NODE_ENV=production", "URL=https://me:pass%40word@db/"]
    engine = FakeLogEngine([(1, "c0ffee in /var/mail for production: https://me:pass%40word@db/ pass@word")], env=env)
    assert texts(ran(engine)) == ["<TOKEN> in <MAIL_BOX> for production: <URL> <URL, its password decoded>"]
    engine.public = ["MAIL_BOX=/var/mail", "TOKEN=other"]
    assert texts(ran(engine))[0].startswith("<TOKEN> in /var/mail for")
    engine.public = None
    assert texts(ran(engine))[0].startswith("<TOKEN> in <MAIL_BOX> for")


def test_a_pattern_finds_what_is_not_shown() -> None:
    engine = FakeLogEngine([(1, "an error"), (2, "fine")], env=["KEY=error"])
    assert texts(ran(engine, pattern="error")) == ["an <KEY>"]


def test_secrets_of_an_env_file_are_left_out_too(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("TOKEN=earlier\n")
    engine = FakeLogEngine([(1, "earlier and c0ffee")], env=["TOKEN=c0ffee"])
    assert texts(ran(engine, env_file=str(path))) == ["<TOKEN> and <TOKEN>"]


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    for text, message in (
        (None, "must be an env file on the host, but there is none."),
        ("=", "cannot be read: line 1 is"),
    ):
        if text:
            path.write_text(text)
        with pytest.raises(InvalidInput, match=re.escape(f"env_file {path} {message}")):
            ran(FakeLogEngine(THREE), env_file=str(path))


def test_a_line_is_cut_behind_its_secrets() -> None:
    engine = FakeLogEngine([(1, "x" * 65530 + "c0ffee" * 4 + "y" * 9000)], env=["TOKEN=" + "c0ffee" * 4])
    assert texts(ran(engine)) == ["x" * 65530 + "<TOKEN"]


def test_secrets_that_are_files_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "API_TOKEN").write_text("c0ffee5eed")
    engine = FakeLogEngine([(1, "token=c0ffee5eed")], env=["API_TOKEN_FILE=/run/secrets/API_TOKEN"])
    engine.mounts = [
        {"Source": str(tmp_path / name), "Destination": f"/run/secrets/{name}"} for name in ("API_TOKEN", "GONE")
    ]
    assert texts(ran(engine)) == ["token=<API_TOKEN>"]
