# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers wait for their time, their services leave sets, and the journal says how it went."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

JOBS = ("backup", "verify", "drill", "maintenance")
BACKUPS = "/var/backups/ptnextjs"


def journal(host: Host, job: str) -> str:
    """What the journal has of a job."""
    return host.check_output("journalctl --unit %s --output cat", f"ptnextjs-{job}.service")


def show(host: Host, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit."""
    lines = host.check_output("systemctl show %s --property %s", unit, ",".join(names)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def set_ids(host: Host) -> list[str]:
    """The names of the sets."""
    names = sorted(host.file(BACKUPS).listdir())
    return [name[len("manifest-") : -len(".json")] for name in names if name.startswith("manifest-")]


@pytest.mark.parametrize("job", JOBS)
def test_a_timer_waits_and_makes_up_for_what_was_missed(host: Host, job: str) -> None:
    timer = f"ptnextjs-{job}.timer"
    assert (host.service(timer).is_running, host.service(timer).is_enabled) == (True, True)
    assert show(host, timer, "Persistent", "SubState") == {"Persistent": "yes", "SubState": "waiting"}
    assert timer in host.check_output("systemctl list-timers --no-pager")


@pytest.mark.parametrize(("job", "seconds"), [("backup", "1d 1h"), ("recover", "1d 1h"), ("watch", "4min 45s")])
def test_no_job_can_hang_for_ever(host: Host, job: str, seconds: str) -> None:
    assert show(host, f"ptnextjs-{job}.service", "TimeoutStartUSec") == {"TimeoutStartUSec": seconds}


def test_a_watch_looks_at_the_host(host: Host) -> None:
    shown = show(host, "ptnextjs-watch.timer", "FixedRandomDelay")
    assert shown == {"FixedRandomDelay": "yes"}
    done = host.run("/opt/ptnextjs/bin/docker-vps --json watch")
    assert "backup" not in json.loads(done.stdout)["results"]["watch"]["not_looked_at"]


def test_maintenance_does_and_tells_and_has_nothing_to_do_a_second_time(host: Host) -> None:
    command = "/opt/ptnextjs/bin/docker-vps --json maintenance"
    told = json.loads(host.check_output(f"{command} --check"))["results"]["maintenance"]
    done = json.loads(host.check_output(command))["results"]["maintenance"]
    assert {**told, "seconds": 0, "summary": []} == {**done, "seconds": 0, "summary": []}
    assert (done["changed"], done["cautions"]) == (False, [])
    assert " freed in " in journal(host, "maintenance")


def test_what_was_interrupted_is_recovered_when_the_host_starts(host: Host) -> None:
    assert host.service("ptnextjs-recover.timer").is_enabled
    assert "OnActiveUSec=10s" in host.check_output("systemctl show ptnextjs-recover.timer --property TimersMonotonic")
    assert "No cutover was interrupted." in journal(host, "recover")


def test_what_a_crash_of_the_engine_ended_runs_again_and_what_a_person_stopped_does_not(host: Host) -> None:
    assert "ptnextjs-app was ended by the engine when that came back, and was started again." in journal(
        host, "recover"
    )
    names = host.check_output("docker ps --all --format '{{.Names}} {{.State}}'").splitlines()
    assert sorted(names) == ["ptnextjs-app running", "stopped exited"]


@pytest.mark.parametrize("job", [*JOBS, "recover", "watch"])
def test_systemd_finds_nothing_to_complain_about(host: Host, job: str) -> None:
    assert host.check_output("systemd-analyze verify %s 2>&1", f"/etc/systemd/system/ptnextjs-{job}.timer") == ""


def test_one_set_was_asked_for_and_one_was_missed(host: Host) -> None:
    assert len(set_ids(host)) == 2
    assert show(host, "ptnextjs-backup.service", "Result", "ExecMainStatus") == {
        "Result": "success",
        "ExecMainStatus": "0",
    }
    for set_id in set_ids(host):
        assert set_id in journal(host, "backup")
        manifest = json.loads(host.file(f"{BACKUPS}/manifest-{set_id}.json").content_string)
        assert [archive["name"] for archive in manifest["archives"]] == ["db", "media"]
        assert (manifest["uploads"]["named"], manifest["uploads"]["missing"]) == (1, [])


def test_the_journal_and_the_status_say_why_a_job_failed(host: Host) -> None:
    why = "There is no env file /opt/ptnextjs/.env.production"
    assert why in journal(host, "drill")
    status = host.run("/opt/ptnextjs/bin/docker-vps status")
    assert [line.split(",")[0] for line in status.stdout.splitlines()] == [
        "backup: ok",
        "verify: ok",
        "drill: FAILED",
        "maintenance: ok",
    ]
    assert (status.rc, why in status.stdout) == (1, True)


def test_only_root_reads_what_is_secret(host: Host) -> None:
    config = host.file("/opt/ptnextjs/backup.json")
    assert (config.user, config.mode) == ("root", 0o600)
    assert (host.file(BACKUPS).user, host.file(BACKUPS).mode) == ("root", 0o700)
    for name in host.file(BACKUPS).listdir():
        assert (name, host.file(f"{BACKUPS}/{name}").mode) == (name, 0o600)
