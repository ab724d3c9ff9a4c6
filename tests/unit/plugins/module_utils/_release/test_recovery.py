# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: what becomes of the data, of the engine's absence, and of what people did by hand meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import DEGRADED, FAILED, HEALTHY
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover, cutover_state
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.cutover_state import KEEP, RESTORE
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.recovery import recover
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import JOURNAL, LOG
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import (
    APP,
    FATE,
    NEXT,
    OLD,
    SECRET,
    Killed,
    Site,
    Version,
    migrate,
    name_of,
)

LATE = 6.0  # seconds after its start: the new version has its name, and is watched


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    return one


def version(**given: Any) -> Version:
    return Version(exits=LATE, **given)


def failed(site: Site, made: Optional[Version] = None, **more: Any) -> DockerVpsError:
    """Have a version fail while it is watched."""
    with pytest.raises(DockerVpsError) as caught:
        site.deploy("shop:2", made or version(), **more)
    return caught.value


def users_write(site: Site, rows: int = 2) -> None:
    """Have users write as soon as they reach the new version."""
    site.engine.on["here", "reload"] = lambda: database(site.db / "payload.db", vendors=rows)


def killed_at(site: Site, point: str, image: str = "shop:2", **more: Any) -> str:
    """Have a run killed at a point, and return the release that it was at."""
    site.write_env(f"of {image}")
    if image not in site.engine.images:
        site.engine.add_image(image, Version(migrates=migrate))
    site.engine.on[tuple(point.split())] = lambda: FATE.strike(site.place, 0, Killed())
    with pytest.raises(Killed):
        site.run(site.params(image, **more))
    FATE.rest()
    site.engine.on.clear()
    (one,) = site.releases.unfinished()
    return one


# What becomes of the data


def test_data_that_no_user_has_met_is_put_back(site: Site) -> None:
    before = site.state()["data"]
    error = failed(site, Version(exits=0.1, answers=9, migrates=migrate))
    assert site.state()["data"] == before
    assert "The data is as it was before." in error.message


@pytest.mark.parametrize("choice", [KEEP, RESTORE])
def test_it_is_put_back_whatever_was_chosen_for_later(site: Site, choice: str) -> None:
    before = site.state()["data"]
    failed(site, Version(exits=0.1, answers=9, migrates=migrate), data_on_failure=choice)
    assert site.state()["data"] == before


def test_newer_data_of_the_same_schema_stays(site: Site) -> None:
    users_write(site)
    error = failed(site, proxy_reload_command=["reload"])
    assert site.counted()["vendors"] == 3 + 2 + 2  # the proxy is reloaded on the way back too
    assert "The data" not in error.message
    assert (site.newest().result, site.engine.names()) == (FAILED, {APP: "shop:1"})
    assert site.beside() == []


def test_a_migration_alone_is_no_users_data(site: Site) -> None:
    before = site.state()["data"]
    error = failed(site, version(migrates=migrate))
    assert "The data is as it was before." in error.message
    assert (site.newest().result, site.engine.names()) == (FAILED, {APP: "shop:1"})
    assert site.state()["data"] == before


def test_users_newer_data_in_another_schema_stays_with_the_version_that_can_read_it(site: Site) -> None:
    users_write(site)
    error = failed(site, Version(unhealthy=LATE, migrates=migrate), proxy_reload_command=["reload"])
    one = site.live()
    assert (one.image, one.result) == ("shop:2", DEGRADED)
    assert "Would be lost: 2 rows of vendors." in error.message
    assert "⟦setting rollback_data restore⟧" in error.message
    assert error.evidence["release"] == vars(one)
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]
    assert site.engine.names() == {APP: "shop:2"}
    assert site.counted() == {"vendors": 5, "payload_migrations": 2, "orders": 0}
    assert "of shop:2" in (site.home / ".env.production").read_text()
    assert (site.beside(), site.releases.unfinished()) == ([], [])


def test_it_is_not_counted_while_the_failed_version_takes_more(site: Site) -> None:
    users_write(site)
    failed(site, version(migrates=migrate), proxy_reload_command=["reload"])
    did = site.engine.did()
    assert did[did.index(f"rename {NEXT} {APP}", 8) :] == [
        f"rename {NEXT} {APP}",
        "here reload",
        f"stop {APP}",
        f"start {APP}",
        f"remove {OLD}",
    ]


def test_a_version_that_stays_and_cannot_be_started_says_so(site: Site) -> None:
    users_write(site)
    site.engine.fails["start", APP] = EngineError("no more memory")
    error = failed(site, version(migrates=migrate), proxy_reload_command=["reload"])
    assert "no more memory" in error.message
    assert site.live().result == DEGRADED


def test_a_version_that_stays_gets_its_name(site: Site) -> None:
    site.engine.on["start", NEXT] = lambda: database(site.db / "payload.db", vendors=2)
    error = failed(site, Version(answers=99, healthy=1e9, unhealthy=5.0, migrates=migrate), aliases=["www"])
    assert "Would be lost: 1 row of payload_migrations, 2 rows of vendors." in error.message
    assert site.engine.names() == {APP: "shop:2"}
    assert (site.live().image, site.live().result) == ("shop:2", DEGRADED)


def test_an_engine_that_restarts_when_a_version_has_to_stay(site: Site) -> None:
    def restart() -> None:
        site.engine.on.pop(("start", APP))
        site.engine.away = site.engine.second + 30
        raise EngineUnreachable("the fake engine is away")

    users_write(site)
    site.engine.on["start", APP] = restart
    failed(site, Version(unhealthy=LATE, migrates=migrate), proxy_reload_command=["reload"])
    assert site.engine.names() == {APP: "shop:2"}
    assert (site.live().image, site.live().result) == ("shop:2", DEGRADED)


@pytest.mark.parametrize("choice", [KEEP, RESTORE])
def test_what_was_chosen_for_newer_data_is_done(site: Site, choice: str) -> None:
    def write() -> None:
        site.engine.on.clear()
        database(site.db / "payload.db", vendors=2)

    site.engine.on["here", "reload"] = write
    failed(site, version(migrates=migrate), proxy_reload_command=["reload"], data_on_failure=choice)
    assert site.engine.names() == {APP: "shop:1"}
    assert site.newest().result == FAILED
    kept = {"vendors": 5, "payload_migrations": 2, "orders": 0}
    assert site.counted() == (kept if choice == KEEP else {"vendors": 3, "payload_migrations": 1})


def test_a_database_that_cannot_be_read_is_not_thrown_away(site: Site) -> None:
    def damage() -> None:
        start = (site.db / "payload.db").read_bytes()[:100]
        (site.db / "payload.db").write_bytes(start + b"garbage" * 1000)

    site.engine.on["here", "reload"] = damage
    made = version(migrates=migrate)
    site.engine.on["stop", APP] = lambda: setattr(made, "migrates", lambda place: None)
    error = failed(site, made, proxy_reload_command=["reload"])
    assert "What would be lost cannot be determined" in error.message
    assert (site.live().image, site.live().result) == ("shop:2", DEGRADED)


def test_a_database_that_cannot_be_read_when_the_name_moves(site: Site) -> None:
    def damage() -> None:
        start = (site.db / "payload.db").read_bytes()[:100]
        (site.db / "payload.db").write_bytes(start + b"garbage" * 1000)

    site.engine.on["execute", NEXT, "true"] = damage
    error = failed(site, smoke_test_command=["true"])
    assert "What would be lost cannot be determined" in error.message


def test_a_new_version_known_by_an_alias_may_be_reached_from_its_start(site: Site) -> None:
    site.engine.on["start", NEXT] = lambda: database(site.db / "payload.db", vendors=1)
    failed(site, Version(exits=0.1, answers=9), aliases=["www"])
    assert site.counted()["vendors"] == 4
    assert site.engine.names() == {APP: "shop:1"}


def test_an_alias_and_a_failure_before_anything_ran(site: Site) -> None:
    before = site.state()
    site.engine.fails["create", "shop-next"] = EngineError("Compose could not do it.")
    failed(site, aliases=["www"])
    assert site.state() == before


def test_a_replica_is_stopped_for_the_exchange_and_goes_on(site: Site) -> None:
    replica = site.engine.place_container("replica", "shop:1", {}, [])
    site.engine.start("replica")
    failed(site, Version(exits=0.1, answers=9, migrates=migrate), allowed_containers=["replica"])
    assert site.engine.did()[-5:] == [
        f"remove {NEXT}",
        "stop replica",
        f"rename {OLD} {APP}",
        f"start {APP}",
        "start replica",
    ]
    assert site.engine.containers[replica]["State"]["Running"]
    assert site.counted() == {"vendors": 3, "payload_migrations": 1}


def test_a_replica_that_does_not_go_on_keeps_nobody_else(site: Site) -> None:
    site.engine.place_container("replica", "shop:1", {}, [])
    site.engine.start("replica")
    site.engine.fails["start", "replica"] = EngineError("no more memory")
    error = failed(site, Version(exits=0.1, answers=9, migrates=migrate), allowed_containers=["replica"])
    assert site.engine.names() == {APP: "shop:1"}
    assert "replica does not run again: no more memory" in error.message


# Killed, and found by the next


def test_a_copy_that_is_not_durable_is_worth_nothing_after_a_reboot(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    journal = cutover_state.read(site.releases, one)
    assert journal
    assert (journal.copied, journal.durable) == (True, False)
    assert os.path.isdir(journal.copy)
    migrate(site.db)
    journal.write(site.releases, boot="another")
    recover(site.world, one, "It was killed.")
    assert site.counted()["payload_migrations"] == 2
    assert site.engine.names() == {APP: "shop:1"}
    assert site.beside() == []


def test_a_durable_copy_is_used_after_a_reboot(site: Site) -> None:
    before = site.state()["data"]
    one = killed_at(site, f"rename {NEXT} {APP}")
    journal = cutover_state.read(site.releases, one)
    assert journal
    assert journal.durable
    journal.write(site.releases, boot="another", reachable=False)
    recover(site.world, one, "It was killed.")
    assert site.state()["data"] == before


def test_half_a_copy_is_not_used(site: Site) -> None:
    one = killed_at(site, f"stop {OLD}")
    journal = cutover_state.read(site.releases, one)
    assert journal
    copy = Path(str(site.db) + f".release-{one}")
    copy.mkdir()
    journal.write(site.releases, volume="shop-db", live=str(site.db), copy=str(copy))
    recover(site.world, one, "It was killed.")
    assert site.counted()["vendors"] == 3
    assert site.beside() == []


def test_an_exchange_that_was_interrupted_is_finished(site: Site) -> None:
    before = site.state()["data"]
    one = killed_at(site, f"rename {NEXT} {APP}")
    assert cutover_state.read(site.releases, one).reachable  # type: ignore[union-attr]
    os.rename(site.db, f"{site.db}.failed-{one}")
    recover(site.world, one, "It was killed.")
    assert site.state()["data"] == before
    assert site.beside() == []


def test_data_that_the_old_version_has_again_stays(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    site.engine.start(OLD)  # by hand, after a power failure
    database(site.db / "payload.db", vendors=7)
    recover(site.world, one, "It was killed.")
    assert site.counted()["vendors"] == 10
    assert site.engine.names() == {APP: "shop:1"}


def brought_up(site: Site, image: str) -> str:
    """Have a run killed before users reach the new version, and a version brought up by hand then."""
    one = killed_at(site, f"start {NEXT}", image)
    site.engine.place_container(APP, image, {}, [])
    site.engine.start(APP)
    return one


def test_rows_written_to_a_version_that_was_brought_up_by_hand_are_not_lost(site: Site) -> None:
    one = brought_up(site, "shop:2")
    database(site.db / "payload.db", vendors=40)
    recovered = recover(site.world, one, "It was killed.")
    assert recovered
    assert recovered.release.result == "degraded"
    assert "40 rows of vendors" in recovered.release.message
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]
    assert site.engine.names() == {APP: "shop:2"}
    assert site.counted()["vendors"] == 43


def test_rows_written_by_hand_with_the_same_schema_stay_with_the_version_before(site: Site) -> None:
    site.engine.add_image("shop:3")
    one = brought_up(site, "shop:3")
    database(site.db / "payload.db", vendors=40)
    recover(site.world, one, "It was killed.")
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]
    assert site.engine.names() == {APP: "shop:1"}
    assert site.counted()["vendors"] == 43


def test_a_write_that_a_crash_interrupted_is_rolled_back_first(site: Site) -> None:
    def crash() -> None:
        path = site.db / "payload.db"
        code = (
            "import os, sqlite3, sys\n"
            "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "db.execute('PRAGMA journal_mode = DELETE'); db.execute('PRAGMA cache_spill = 1')\n"
            "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN')\n"
            "db.executemany('INSERT INTO vendors VALUES (?)', ((number,) for number in range(1000, 60000)))\n"
            "os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert path.with_name("payload.db-journal").stat().st_size > 0

        site.engine.on.clear()

    site.engine.on["here", "reload"] = crash
    error = failed(site, proxy_reload_command=["reload"])
    assert "was put back and is healthy" in error.message
    assert site.engine.names() == {APP: "shop:1"}
    assert site.counted()["vendors"] == 3


def test_a_journal_of_a_later_version_is_read(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    path = Path(site.releases.path(one, JOURNAL))
    path.write_text(json.dumps({**json.loads(path.read_text()), "later": 1}))
    recover(site.world, one, "It was killed.")
    assert site.engine.names() == {APP: "shop:1"}


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "x"}'])
def test_a_journal_that_cannot_be_read(site: Site, text: str) -> None:
    one = killed_at(site, f"start {NEXT}")
    path = Path(site.releases.path(one, JOURNAL))
    path.write_text(text)
    with pytest.raises(DockerVpsError, match="See with docker ps which version runs, and remove that file"):
        recover(site.world, one, "It was killed.")


def test_an_old_container_that_is_gone_is_made_anew(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    site.engine.remove_container(OLD)
    recovered = recover(site.world, one, "It was killed.")
    assert recovered
    assert site.engine.names() == {APP: "shop:1"}
    assert ("up", "shop") in site.engine.calls
    assert "The version before, shop:1, was put back and is healthy" in recovered.release.message


def test_a_container_that_was_stopped_for_the_exchange_and_is_gone(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    journal = cutover_state.read(site.releases, one)
    assert journal
    journal.write(site.releases, others=("gone",))
    recover(site.world, one, "It was killed.")
    assert site.engine.names() == {APP: "shop:1"}


def test_a_version_that_has_to_stay_and_is_gone_is_made_anew(site: Site) -> None:
    one = killed_at(site, "here reload", proxy_reload_command=["reload"])
    database(site.db / "payload.db", vendors=1)
    site.engine.remove_container(APP)
    recovered = recover(site.world, one, "It was killed.")
    assert recovered
    assert recovered.release.result == DEGRADED
    assert site.engine.names() == {APP: "shop:2"}


def test_nothing_to_recover(site: Site) -> None:
    assert recover(site.world, site.releases.current(), "") is None
    assert cutover.recover_all(site.world) == []


def test_a_decided_one_is_finished(site: Site) -> None:
    one = killed_at(site, f"remove {OLD}")
    assert site.releases.current() == one
    recovered = recover(site.world, one, "It was killed.")
    assert recovered
    assert recovered.release.result == HEALTHY
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]


def test_a_decided_one_whose_record_is_gone(site: Site) -> None:
    one = killed_at(site, f"remove {OLD}")
    os.unlink(site.releases.path(one, "release.json"))
    assert recover(site.world, one, "") is None
    assert site.releases.unfinished() == []


def test_an_undone_one_whose_record_is_gone(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    os.unlink(site.releases.path(one, "release.json"))
    with pytest.raises(DockerVpsError, match=f"The record of the release {one} is gone"):
        recover(site.world, one, "")
    assert site.engine.names() == {APP: "shop:1"}


def test_an_old_container_that_cannot_be_removed_is_left(site: Site) -> None:
    site.engine.fails["remove", OLD] = EngineError("busy")
    site.deploy("shop:2")
    assert site.engine.names() == {APP: "shop:2"}
    assert site.releases.unfinished() == [site.live().id]
    site.engine.fails.clear()
    result = site.deploy("shop:2")
    assert result["cautions"] == [f"Release {site.live().id}: healthy."]
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]


# The first release, and what did not run


def test_a_first_release_that_fails_stays_to_be_looked_at(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.volumes.clear()
    error = failed(site, Version(answers=99, healthy=1e9))
    assert "There is no earlier healthy version to put back." in error.message
    assert site.engine.names() == {APP: "shop:2"}
    assert (site.releases.current(), site.newest().result, site.releases.unfinished()) == ("", FAILED, [])
    site.deploy("shop:3")
    assert site.engine.names() == {APP: "shop:3"}


@pytest.mark.parametrize("step", [("config_hash", "shop"), ("recreate", APP, NEXT), ("start", NEXT)], ids=" ".join)
def test_a_first_release_that_cannot_be_started_is_removed(tmp_path: Path, step: tuple[str, ...]) -> None:
    site = Site(tmp_path)
    site.engine.volumes.clear()
    site.engine.fails[step] = EngineError("The Docker engine refused: no.")
    error = failed(site)
    assert f"There is no earlier healthy version to put back. {APP} had never run, and was removed." in error.message
    assert (site.engine.containers, site.releases.current(), site.releases.unfinished()) == ({}, "", [])
    site.engine.fails.clear()
    site.deploy("shop:3")
    assert site.engine.names() == {APP: "shop:3"}


@pytest.mark.parametrize("step", [("config_hash", "shop"), ("recreate", APP, NEXT)], ids=" ".join)
def test_what_a_crash_leaves_of_a_first_release_is_known_as_ours(tmp_path: Path, step: tuple[str, ...]) -> None:
    site = Site(tmp_path)

    def look() -> None:
        seen.append(site.engine.containers.copy())

    seen: list[dict[str, Any]] = []
    site.engine.on[step] = look
    site.deploy("shop:1")
    (there,) = seen[0].values()
    assert there["Config"]["Labels"]["com.docker.compose.project.config_files"] == str(site.home / "compose.yml")


def test_a_first_release_that_fails_gives_the_data_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    counted = site.counted()
    error = failed(site, Version(answers=99, healthy=1e9, migrates=migrate))
    assert f"{APP} was stopped, and is kept for inspection. The data is as it was before." in error.message
    assert site.counted() == counted
    assert site.engine.names() == {}
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]


def test_a_first_release_that_fails_when_it_has_its_name(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.volumes.clear()
    error = failed(site, Version(healthy=1e9, unhealthy=3.0))
    assert "is unhealthy" in error.message
    assert [name_of(there) for there in site.engine.containers.values()] == [APP]


def test_a_first_release_of_which_nothing_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.fails["create", "shop"] = EngineError("Compose could not do it: no space")
    assert "Compose could not do it: no space. There is no earlier healthy version" in failed(site).message
    assert site.engine.containers == {}


def test_what_did_not_run_before_does_not_afterwards(site: Site) -> None:
    site.engine.stop(APP)
    before = site.state()
    error = failed(site)
    assert "What was there before did not run either, and is as it was." in error.message
    assert site.state() == before


def test_the_version_before_that_does_not_come_back_either(site: Site) -> None:
    site.engine.versions["shop:1"] = Version(exits=3.0, answers=9, healthy=9.0, lines=[f"I need {SECRET}"])
    site.engine.started = dict.fromkeys(site.engine.started, site.engine.second)
    site.engine.add_image("shop:2", Version(exits=0.1, answers=9))
    site.write_env("first")
    with pytest.raises(DockerVpsError) as caught:
        site.run(site.params("shop:2"))
    assert "The version before could not be put back either: Container shop-app exited" in caught.value.message
    assert "I need <PAYLOAD_SECRET>" in caught.value.message
    assert SECRET not in caught.value.message


# What stands in the way of going back


def test_an_engine_that_restarts_in_the_middle(site: Site) -> None:
    def restart() -> None:
        site.engine.away = site.engine.second + 90
        raise EngineUnreachable("the fake engine is away")

    before = site.state()
    site.engine.on["start", NEXT] = restart
    error = failed(site)
    assert "the fake engine is away" in error.message
    assert site.state() == before
    assert (site.newest().result, site.engine.names()) == (FAILED, {APP: "shop:1"})


@pytest.mark.parametrize("step", [("remove", NEXT), ("rename", OLD, APP), ("start", APP)], ids=" ".join)
def test_an_engine_that_restarts_on_the_way_back(site: Site, step: tuple[str, ...]) -> None:
    before = site.state()

    def arm() -> None:
        site.engine.on[step] = restart

    def restart() -> None:
        site.engine.on.pop(step)
        site.engine.away = site.engine.second + 30
        raise EngineUnreachable("the fake engine is away")

    site.engine.on["start", NEXT] = arm
    failed(site, Version(exits=0.1, answers=9, migrates=migrate))
    assert site.state() == before
    assert (site.newest().result, site.engine.names()) == (FAILED, {APP: "shop:1"})


def test_an_engine_that_does_not_come_back(site: Site) -> None:
    def leave() -> None:
        site.engine.away = site.engine.second + 300
        raise EngineUnreachable("the fake engine is away")

    site.engine.on["start", NEXT] = leave
    error = failed(site)
    assert "failed, and what was before is not back yet." in error.message
    assert "⟦again⟧ when it answers" in error.message
    site.engine.on.clear()
    site.clock.passed += 300
    assert site.deploy("shop:3")["changed"] is True
    assert site.engine.names() == {APP: "shop:3"}
    assert [one.result for one in site.releases.listing()] == [HEALTHY, FAILED, HEALTHY]


def test_an_engine_that_leaves_again_and_again(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    site.engine.fails["remove", NEXT] = EngineUnreachable("away")
    with pytest.raises(EngineUnreachable):
        recover(site.world, one, "It was killed.")
    assert site.releases.unfinished() == [one]
    site.engine.fails.clear()
    recover(site.world, one, "It was killed.")
    assert site.engine.names() == {APP: "shop:1"}


def test_files_that_are_gone_do_not_keep_the_old_container_from_running(site: Site) -> None:
    one = killed_at(site, f"start {NEXT}")
    os.unlink(site.releases.path(site.releases.current(), "compose.yml"))
    recovered = recover(site.world, one, "It was killed.")
    assert recovered
    assert site.engine.names() == {APP: "shop:1"}
    assert "compose.yml is gone, so the release" in recovered.release.message


def test_an_env_file_in_which_secrets_cannot_be_told_hides_all(site: Site) -> None:
    one = killed_at(site, f"rename {NEXT} {APP}")
    site.engine.versions["shop:2"].lines = [f"I have {SECRET}"]
    Path(site.releases.path(one, ".env.production")).write_text("garbage")
    recovered = recover(site.world, one, f"It was killed with {SECRET}.")
    assert recovered
    assert SECRET not in recovered.release.message + recovered.evidence + Path(site.releases.path(one, LOG)).read_text()
    assert "not shown, since its secrets are not known" in recovered.evidence
    assert site.engine.names() == {APP: "shop:1"}


def test_the_evidence_has_as_many_lines_as_were_asked_for(site: Site) -> None:
    lines = [f"line {number}" for number in range(9)]
    error = failed(site, version(lines=lines), log_lines=2)
    assert error.message.endswith("\nIts last 2 log lines:\nline 7\nline 8")
    assert Path(site.releases.path(site.newest().id, LOG)).read_text().splitlines() == lines
    error = failed(site, version(lines=lines), log_lines=0)
    assert "line 8" not in error.message


def test_a_log_that_cannot_be_kept(site: Site) -> None:
    one = killed_at(site, f"rename {NEXT} {APP}")
    site.engine.versions["shop:2"].lines = ["hello"]
    Path(site.releases.path(one, LOG)).mkdir()
    recovered = recover(site.world, one, "It was killed.")
    assert recovered
    assert "The log of the failed version is lost: " in recovered.release.message
    assert recovered.evidence.endswith("hello")
