# SPDX-License-Identifier: GPL-3.0-or-later
"""A watch that notifies people, with a host and an engine of the test and real channels."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command import watch
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.notify import Notify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.watch import Watch
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.alerts import AlertRules
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.heal import HealRules
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import Thresholds
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, locked
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_watch import PERIOD, Watched
from prometheus_client.parser import text_string_to_metric_families


class Told:
    """A watched host whose news are kept by a command, which may fail."""

    def __init__(self, place: Path) -> None:
        self.watched = Watched(place)
        self.kept, self.broken = place / "told", place / "broken"
        code = f"import os, sys; os.path.exists({str(self.broken)!r}) and sys.exit(3)\n"
        code += f"open({str(self.kept)!r}, 'a').write(sys.stdin.read() + chr(10))"
        params = replace(self.watched.params, thresholds=Thresholds(backup=0, proof=0), heal=True)
        channels = Notify(command=(sys.executable, "-c", code))
        self.wanted = Watch(params, AlertRules(), channels, "", "web-1")

    def look(self, times: int = 1, **wanted: Any) -> Any:
        for _turn in range(times):
            self.watched.clock.passed += PERIOD
            result = watch.look_and_tell(replace(self.wanted, **wanted), self.watched.world)
        return result

    def news(self) -> list[list[str]]:
        """Return for each message what was told in it."""
        lines = self.kept.read_text().splitlines() if self.kept.exists() else []
        return [[f"{row['id']} {row['news']}" for row in json.loads(line)["findings"]] for line in lines]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_fifty_periods_with_an_outage_that_is_healed(told: Told) -> None:
    told.look(10)
    assert told.news() == []
    told.watched.fake.runs(status="exited")
    told.watched.fake.events = ["kill", "die"]
    told.look()
    assert told.news() == [["app-state began"]]
    result = told.look()
    assert (result["restarted"], told.watched.fake.restarted) == (True, ["A1"])
    assert "shop-app was restarted, since it is exited" in "\n".join(result["summary"])
    told.watched.fake.runs()
    told.look(38)
    assert told.news() == [["app-state began"], ["heal-restart began"], ["app-state ended"], ["heal-restart ended"]]


def test_a_restart_in_vain_is_given_up_and_told(told: Told) -> None:
    told.look()
    told.watched.fake.runs("unhealthy", 9)
    told.watched.fake.restart = told.watched.fake.restarted.append  # type: ignore[method-assign]
    told.look(50)
    assert told.watched.fake.restarted == ["A1"] * 3
    assert [news for news in told.news() if "heal-end began" in news] == [["heal-end began"]]


def test_what_no_channel_takes_is_told_at_the_next_run_as_what_it_was(told: Told) -> None:
    told.look()
    told.broken.touch()
    told.watched.fake.runs("unhealthy", 1)
    result = told.look()
    assert result["problems"] == [
        f"The notification command {sys.executable} failed: it ended with 3. It is told at the next run."
    ]
    told.watched.fake.runs()
    told.look(2)
    told.broken.unlink()
    assert told.look()["problems"] == []
    assert told.news() == [["app-state was"]]
    message = json.loads(told.kept.read_text())["message"]
    assert "was, and is over: the container shop-app" in message
    assert "from 2026-02-01 02:10 UTC to 2026-02-01 02:20 UTC" in message
    told.look(9)
    assert len(told.news()) == 1


def test_remedies_are_in_the_words_of_the_command(told: Told) -> None:
    told.watched.fake.state = {}
    told.look()
    assert "⟦" not in told.kept.read_text()


def test_a_damaged_state_is_said_and_the_look_goes_on(told: Told) -> None:
    told.look()
    state = Path(told.watched.releases.home) / "watch.json"
    state.write_text(state.read_text()[:99])
    (problem,) = told.look()["problems"]
    assert problem.startswith(f"{state} is damaged")
    assert told.look()["problems"] == []


def test_two_watches_do_not_tell_the_same_twice(told: Told) -> None:
    told.look()
    with locked(f"{told.watched.releases.home}/.watch.lock", "a watch of shop"), pytest.raises(Locked):
        told.look()


def test_metrics_are_for_everybody_to_read(told: Told, tmp_path: Path) -> None:
    place = tmp_path / "textfile"
    (problem,) = told.look(metrics=str(place))["problems"]
    assert problem == (
        f"The directory of metrics {place} is not there. Install node_exporter, which reads it, or fix "
        "⟦setting metrics_directory⟧."
    )
    place.mkdir()
    assert told.look(metrics=str(place))["problems"] == []
    (file,) = place.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("dockervps_shop.prom", 0o644)
    names = {family.name for family in text_string_to_metric_families(file.read_text())}
    assert "dockervps_last_run_timestamp_seconds" in names


def test_the_ping_is_the_last_and_says_whether_all_was_told(told: Told) -> None:
    channels = replace(told.wanted.channels, pings={"watch": "http://127.0.0.1:1/ping"})
    assert told.look(channels=channels)["problems"] == ["The ping of watch failed: [Errno 111] Connection refused."]


def test_every_channel_is_tested(told: Told) -> None:
    now = told.watched.clock.utc()
    assert watch.test(told.wanted, now)["summary"] == "Sent by command."
    assert told.news() == [["test-message began"]]
    told.broken.touch()
    pings = {"watch": "http://127.0.0.1:1/ping"}
    with pytest.raises(DockerVpsError, match="it ended with 3. The ping of watch failed"):
        watch.test(replace(told.wanted, channels=replace(told.wanted.channels, pings=pings)), now)
    with pytest.raises(DockerVpsError, match="There is no channel to test"):
        watch.test(replace(told.wanted, channels=Notify()), now)


def test_a_look_of_a_play_tells_nobody_and_leaves_what_is_remembered(told: Told) -> None:
    told.look()
    state = Path(told.watched.releases.home) / "watch.json"
    before = state.read_bytes()
    told.watched.fake.runs("unhealthy", 3)
    params = replace(told.wanted.params, heal_rules=HealRules(looks=1))
    would = watch.run(params, told.watched.world, watch.NEVER, check_mode=True)
    assert (would["changed"], told.watched.fake.restarted, state.read_bytes()) == (True, [], before)
    assert not watch.run(replace(params, heal=False), told.watched.world, watch.NEVER, check_mode=False)["changed"]
    assert watch.run(params, told.watched.world, watch.NEVER, check_mode=False)["restarted"] is True
    assert told.watched.fake.restarted == ["A1"]
    assert json.loads(state.read_text())["heal"]["vain"] == 1
    assert told.news() == []


def test_a_play_fails_on_what_is_severe_enough(told: Told) -> None:
    told.watched.fake.state = {}
    with pytest.raises(DockerVpsError, match="shop has 1 finding of severity warning or higher: app-state"):
        watch.run(told.wanted.params, told.watched.world, "warning", check_mode=True)


def test_people_are_told_although_nothing_can_be_kept(told: Told) -> None:
    """On a full disk, for example, though the lock keeps some space for the state."""
    (Path(told.watched.releases.home) / "watch.json").mkdir()
    told.watched.fake.state = {}
    unread, unwritten = told.look()["problems"]
    assert "watch.json cannot be read: " in unread
    assert "watch.json cannot be written: Is a directory" in unwritten
    assert told.news() == [["app-state began"]]
