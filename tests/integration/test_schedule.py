# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule: what it installs on this machine, and what that does by itself, without Ansible."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from lab import ROOT, SUPPORT, App, MakeApp, Played, docker, inspect, run
from zoneinfo import ZoneInfo, available_timezones

WITHOUT_SYSTEMD = pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="the timers are systemd's here")
PASSWORD = "restic-sesame-4711"


class Listener:
    """A server that keeps what it was asked."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.heard.append((self.path, json.loads(body) if body else None))
                self.send_response(204)
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.server.shutdown()
    one.server.server_close()


class Scheduled:
    """An application with the role's variables, and the command that the role installs."""

    def __init__(self, app: App, listener: Listener) -> None:
        self.app = app
        self.kept = app.scratch / "kept.json"
        self.program = app.directory / "bin/docker-vps"
        self.config = app.directory / "backup.json"
        self.cron = Path(f"/etc/cron.d/{app.name}-backup")
        self.variables: dict[str, Any] = {
            "docker_vps_app": app.name,
            "docker_vps_directory": str(app.directory),
            "docker_vps_schedule_python": sys.executable,
            "docker_vps_backup_directory": str(app.backups),
            "docker_vps_backup_volumes": {"db": f"{app.name}-db", "media": f"{app.name}-media"},
            "docker_vps_backup_uploads_query": "",
            "docker_vps_env_file": str(app.directory / ".env.production"),
            "docker_vps_health_wait": 30,
            "docker_vps_notify_webhook": f"{listener.url}/hook-radish",
            "docker_vps_notify_pings": {"backup": f"{listener.url}/ping-radish"},
            "docker_vps_notify_command": ["tee", str(self.kept)],
        }

    def role(self, *arguments: str, entry: str = "main", **variables: Any) -> Played:
        role = {"name": "ptnextjs.docker_vps.schedule", "tasks_from": entry}
        task = {"ansible.builtin.include_role": role, "vars": {**self.variables, **variables}}
        return self.app.play(yaml.safe_dump([task]), *arguments)

    def play(self, *arguments: str, **variables: Any) -> Played:
        return self.app.playbook("schedule", *arguments, **self.variables, **variables)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(str(self.program), *arguments, check=False, cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def names(self) -> list[str]:
        return [row["name"] for row in self.app.get("/api/vendors").json["docs"]]


@pytest.fixture(scope="module")
def scheduled(make_app: MakeApp, listener: Listener) -> Iterator[Scheduled]:
    """A deployed application with one vendor; nothing is installed yet."""
    app = make_app("it-schedule")
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "before"}).status == 201
    one = Scheduled(app, listener)
    yield one
    one.cron.unlink(missing_ok=True)


@WITHOUT_SYSTEMD
def test_check_mode_tells_what_would_come_and_writes_nothing(scheduled: Scheduled) -> None:
    played = scheduled.play("--check", "--diff").succeeded()
    assert played.recap["changed"] == 4
    assert f"Would be changed: docker-vps, its configuration, {scheduled.cron}." in played.text
    assert "Off-site: nothing is copied, so the sets are lost with this host." in played.text
    assert "Next: the same without --check does it." in played.text
    assert not scheduled.program.exists()
    assert not scheduled.cron.exists()


@WITHOUT_SYSTEMD
def test_it_installs_the_command_its_configuration_and_a_cron_file(scheduled: Scheduled) -> None:
    offsite = {
        "docker_vps_backup_offsite_repository": "rest:http://us:radish@nowhere/srv",
        "docker_vps_backup_offsite_password": PASSWORD,
    }
    played = scheduled.play("--diff", "-vvv", **offsite).succeeded()
    for line in (
        f"Changed: docker-vps, its configuration, {scheduled.cron}.",
        "cron runs backup at 0 2 * * *.",
        "cron runs recover when the host starts.",
        "Retention: the newest set of each of 7 days, 4 weeks, 3 months.",
        "Off-site: copies go to rest:http://us:***@nowhere/srv.",
        f"Next: {scheduled.program} status on the host shows how jobs ended.",
    ):
        assert line in played.text
    assert re.search(r"Seconds: schedule \d", played.text)
    assert PASSWORD not in played.output.split("TASK", 1)[1]
    assert "radish" not in played.output.split("TASK", 1)[1]
    assert json.loads(scheduled.config.read_text())["offsite"]["password"] == PASSWORD
    assert scheduled.config.stat().st_mode & 0o777 == 0o600
    lines = [line for line in scheduled.cron.read_text().splitlines() if "root" in line]
    assert [line.split()[:6] for line in lines] == [
        [*"02***", "root"],
        [*"04**0", "root"],
        [*"051**", "root"],
        ["@reboot", "root", "nice", "-n", "10", str(scheduled.program)],
        [*["*/5", "*", "*", "*", "*"], "root"],
        ["30", "6", "1", "*", "*", "root"],
    ]
    assert [line.split()[-2] for line in lines] == ["backup", "verify", "drill", "recover", "watch", "maintenance"]
    assert scheduled.cron.stat().st_mode & 0o777 == 0o644


@WITHOUT_SYSTEMD
def test_a_second_run_changes_nothing_and_a_changed_variable_one_file(scheduled: Scheduled) -> None:
    scheduled.role().succeeded()
    again = scheduled.play().succeeded()
    assert again.recap["changed"] == 0
    assert "Nothing had to be changed." in again.text
    assert scheduled.role("--check", "--diff").succeeded().recap["changed"] == 0
    assert scheduled.role("--check", docker_vps_backup_keep_daily=9).succeeded().recap["changed"] == 1
    played = scheduled.role("--check", "--diff", docker_vps_schedule_backup_cron="15 3 * * *").succeeded()
    assert played.recap["changed"] == 1
    assert "+15 3 * * * root nice" in played.output


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"docker_vps_schedule_backup_delay": "soon"}, "docker_vps_schedule_backup_delay must be a duration"),
        ({"docker_vps_schedule_python": "/usr/bin/env"}, "/usr/bin/env on local cannot run docker-vps"),
        ({"docker_vps_schedule_python": "/no/python"}, "/no/python on local cannot run docker-vps"),
        ({"docker_vps_notify_webhook": "radish"}, "docker_vps_notify_webhook must be an http:// or https:// address"),
        (
            {"docker_vps_notify_pings": {"prune": "http://radish"}},
            "one or more of the jobs backup, verify, drill, recover, watch, maintenance",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(scheduled: Scheduled, variables: dict[str, Any], problem: str) -> None:
    played = scheduled.role(**variables).failed()
    assert problem in played.text
    assert "radish" not in played.text


@WITHOUT_SYSTEMD
def test_a_wrong_cron_time_is_refused(scheduled: Scheduled) -> None:
    played = scheduled.role(docker_vps_schedule_verify_cron="hourly").failed()
    assert "docker_vps_schedule_verify_cron must be the five fields of crontab(5)" in played.text


def test_the_installed_command_backs_up(scheduled: Scheduled, listener: Listener) -> None:
    scheduled.role().succeeded()
    done = scheduled.command("backup")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Set ")
    assert len(list(scheduled.app.backups.glob("manifest-*.json"))) == 1
    assert listener.heard == [("/ping-radish", None)]
    assert not scheduled.kept.exists()
    assert scheduled.command("status").stdout.splitlines()[0].startswith("backup: ok, ")
    assert scheduled.command("verify").returncode == 0


def test_the_installed_command_watches_and_a_play_looks_likewise(scheduled: Scheduled) -> None:
    done = scheduled.command("watch", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout)["results"]["watch"]
    assert [row["id"] for row in seen["findings"] if row["severity"] == "critical"] == []
    assert {"app", "disk", "database", "backup"} & set(seen["not_looked_at"]) == set()
    played = scheduled.app.playbook("health", **{**scheduled.variables, "docker_vps_watch_fail": "critical"})
    assert played.succeeded().recap["changed"] == 0
    assert " findings, " in played.text or "1 finding, " in played.text
    docker("stop", scheduled.app.container)
    played = scheduled.app.playbook("health", **{**scheduled.variables, "docker_vps_watch_fail": "warning"}).failed()
    assert "of severity warning or higher: app-state" in played.text
    assert "somebody stopped it" in played.text
    docker("start", scheduled.app.container)


def test_the_installed_command_drills(scheduled: Scheduled) -> None:
    done = scheduled.command("drill", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["success"] is True
    listed = scheduled.command("list")
    assert "Last verified by a drill: " in listed.stdout
    assert inspect(scheduled.app.container)["State"]["Running"]


def test_the_installed_command_restores(scheduled: Scheduled) -> None:
    assert scheduled.app.post("/api/vendors", {"name": "after"}).status == 201
    refused = scheduled.command("restore")
    assert refused.returncode == 1
    assert scheduled.names() == ["before", "after"]
    done = scheduled.command("restore", "latest", "--stop-app")
    assert done.returncode == 0, done.stderr
    scheduled.app.deploy().succeeded()
    assert scheduled.names() == ["before"]


def test_the_installed_command_copies_off_site(scheduled: Scheduled, tmp_path: Path) -> None:
    run(str(SUPPORT / "packages.sh"), "restic")
    repository = str(tmp_path / "restic")
    scheduled.role(
        docker_vps_backup_offsite_repository=repository, docker_vps_backup_offsite_password=PASSWORD
    ).succeeded()
    done = scheduled.command("backup")
    assert done.returncode == 0, done.stderr
    assert [repository in line for line in done.stdout.splitlines()] == [False, False, True, True]
    assert (tmp_path / "restic/config").exists()
    assert PASSWORD not in done.stdout + done.stderr
    scheduled.role().succeeded()


def test_a_timer_that_is_stopped_ends_as_it_should(scheduled: Scheduled) -> None:
    with (scheduled.app.backups / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [str(scheduled.program), "--wait", "60", "backup"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as begun:
            assert begun.stderr
            assert begun.stderr.readline().startswith("Cannot begin a backup of it-schedule: another process")
            begun.terminate()
            assert begun.stderr.read() == "backup was interrupted; what it had begun is undone.\n"
        assert begun.returncode == 1


def test_a_failure_is_told_to_everyone(scheduled: Scheduled, listener: Listener) -> None:
    listener.heard.clear()
    scheduled.role(docker_vps_backup_volumes={"db": "it-schedule-gone"}).succeeded()
    done = scheduled.command("backup")
    assert done.returncode == 1
    assert done.stderr.startswith("The volume it-schedule-gone does not exist")
    assert done.stderr.count("\n") == 1
    assert [path for path, _unused in listener.heard] == ["/hook-radish", "/ping-radish/fail"]
    news = listener.heard[0][1]
    assert (news["app"], news["job"], news["success"]) == ("it-schedule", "backup", False)
    assert news["message"] == done.stderr.strip()
    assert json.loads(scheduled.kept.read_text()) == news
    status = scheduled.command("status")
    assert status.returncode == 1
    assert "FAILED" in status.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_the_units_are_what_systemd_understands(scheduled: Scheduled, tmp_path: Path) -> None:
    home, news = tmp_path / "50%s ü", tmp_path / "news"
    shutil.copytree(scheduled.program.parent, home / "bin")
    # There is no systemd at work here to which the timers could be given.
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\necho $1 >>'{news}'\n")
    (tmp_path / "systemctl").chmod(0o755)
    role = {"name": "ptnextjs.docker_vps.schedule", "tasks_from": "_systemd"}
    odd = {**scheduled.variables, "docker_vps_directory": str(home), "__schedule_place": str(tmp_path)}
    task = {"ansible.builtin.include_role": role, "vars": odd}
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    scheduled.app.play(yaml.safe_dump([{"block": [task], "environment": path}])).succeeded()
    assert news.read_text().split() == ["daemon-reload", "reenable", "start", "list-timers"]
    units = sorted(path.name for path in tmp_path.glob("it-schedule-*"))
    assert units == [
        f"it-schedule-{job}.{kind}"
        for job in ("backup", "drill", "maintenance", "recover", "verify", "watch")
        for kind in ("service", "timer")
    ]
    for unit in units:
        done = run("systemd-analyze", "verify", "--man=no", str(tmp_path / unit), check=False)
        assert "it-schedule" not in done.stderr, done.stderr
        assert done.returncode == 0, done.stderr


def zones() -> list[str]:
    """Return a time zone for each way in which clocks go forward and back within two years, of all that there are."""
    today = datetime.now(timezone.utc)
    days = [today + timedelta(days=number) for number in range(731)]
    ways = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        ways.setdefault(tuple(day.astimezone(zone).utcoffset() for day in days), name)
    return list(ways.values())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_every_calendar_comes_once_in_all_time_zones() -> None:
    defaults = yaml.safe_load((ROOT / "roles/common/defaults/main.yml").read_text())
    steps = {"backup": {1}, "verify": {7}, "drill": {28, 29, 30, 31}, "maintenance": {28, 29, 30, 31}}
    everywhere = zones()
    assert len(everywhere) > 40
    for job, days in steps.items():
        calendar = defaults[f"docker_vps_schedule_{job}_calendar"]
        number = 731 // min(days)
        for zone in everywhere:
            command = ("systemd-analyze", "calendar", f"--iterations={number}", calendar)
            output = run(*command, env={**os.environ, "TZ": zone, "LC_ALL": "C"}).stdout
            # A zone that is UTC under another name has no lines of its own for it.
            found = [re.findall(rf"([-\d]{{10}} [:\d]{{8}}) {name}", output) for name in ("UTC", "GMT")]
            times = [datetime.fromisoformat(one) for one in found[0] or found[1]]
            assert len(times) == number, zone
            assert {(later - time).days for time, later in zip(times, times[1:])} <= days, zone
            assert len({time.time() for time in times}) == 1, zone


@WITHOUT_SYSTEMD
def test_absent_removes_all_but_the_sets(scheduled: Scheduled) -> None:
    scheduled.role().succeeded()
    sets = sorted(scheduled.app.backups.iterdir())
    assert scheduled.role("--check", docker_vps_schedule_state="absent").succeeded().recap["changed"] == 2
    assert scheduled.role(docker_vps_schedule_state="absent").succeeded().recap["changed"] == 2
    assert not scheduled.cron.exists()
    assert not scheduled.program.exists()
    assert not scheduled.config.exists()
    assert sorted(scheduled.app.backups.iterdir()) == sets
    assert scheduled.role(docker_vps_schedule_state="absent").succeeded().recap["changed"] == 0
    assert docker("ps", "-q", "--filter", f"name={scheduled.app.container}")
