# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure plays: with nothing to do, in check mode, by task; on this machine, and over a real sshd."""

from __future__ import annotations

import re
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

import yaml
from lab import ROOT, STANDIN, App, clean_environment, play
from report import Row, Section, grown, judged, ratio, rows
from servers import Machine

ROUNDS, PAIRS, PROFILES = 7, 3, 2
PING = [{"hosts": "docker_vps", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]}]
APPS = (1, 2, 5, 10)
PROFILED = ("deploy", "backup", "logs", "status")


class Ran(NamedTuple):
    """A play: the seconds of all, and of each task; what it printed."""

    seconds: float
    tasks: Sequence[tuple[str, float]]
    output: str


class Plays:
    """An application on this machine, and plays that reach it on the spot or over SSH."""

    def __init__(self, app: App, machine: Machine, scratch: Path) -> None:
        self.app, self.machine, self.scratch = app, machine, scratch
        self.ping = scratch / "ping.yml"
        self.ping.write_text(yaml.safe_dump(PING))

    def run(self, playbook: Path, *arguments: str, ssh: bool = True, **variables: Any) -> Ran:
        """Run a playbook and time its tasks, whose headings Ansible prints when they begin.

        Over SSH, it opens a connection of its own.
        """
        host = {**self.app.host(**variables), **(self.machine.variables if ssh else {})}
        inventory = self.scratch / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"docker_vps": {"hosts": {"vps": host}}}))
        environment = {**clean_environment(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        sockets = self.scratch / f"sockets-{time.monotonic_ns()}"
        sockets.mkdir(mode=0o700)
        environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(sockets)
        command = ("ansible-playbook", "-i", str(inventory), str(playbook), *arguments)
        began, output, marks = time.perf_counter(), [], []
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as play:
            for line in play.stdout or ():
                heading = re.match(r"TASK \[(.*)\]|PLAY RECAP", line)
                if heading:
                    marks.append((heading[1] or "", time.perf_counter()))
                output.append(line)
        seconds = time.perf_counter() - began
        assert play.returncode == 0, "".join(output)
        tasks = [(name, until - at) for (name, at), (_next, until) in zip(marks, marks[1:])]
        return Ran(seconds, tasks, "".join(output))

    def playbook(self, name: str, *arguments: str, **how: Any) -> Ran:
        """Run one of our playbooks."""
        return self.run(ROOT / f"playbooks/{name}.yml", *arguments, **how)

    def unchanged(self, ssh: bool) -> float:
        """Return the seconds of a deploy that has nothing to do."""
        ran = self.playbook("deploy", ssh=ssh)
        assert "changed=0 " in ran.output, ran.output
        return ran.seconds


def plays(scratch: Path) -> Section:
    """Compare plays with a single ping, and dry runs with what they foresee."""
    # An address of its own gives the image an id of its own, so that its removal takes no other application's along.
    variables = {"docker_vps_source_path": str(STANDIN), "docker_vps_server_url": "https://bench-plays.example.com"}
    app = App("bench-plays", scratch, **variables)
    app.remove()
    machine = Machine(scratch / "ssh")
    there = Plays(app, machine, scratch)
    try:
        there.playbook("deploy")
        local = rows(("deploy", "ping"), pairs(there, ssh=False), "s")
        remote = rows(("deploy, over SSH", "ping, over SSH"), pairs(there, ssh=True), "s")
        dry = rows(("`--check --diff` of another environment, over SSH", "the deploy of it"), foreseen(there), "s")
        tasks = [row for name in PROFILED for row in by_task(there, name)]
    finally:
        app.remove()
        machine.close()
    found = [ratio("deploy / ping", *local), ratio("deploy / ping, over SSH", *remote)]
    found.append(ratio("`--check --diff` / deploy, over SSH", *dry))
    return Section(
        "A deploy of the stand-in application with nothing to do (`changed=0` each time) against a playbook whose only "
        "task is `ansible.builtin.ping`; same inventory, no facts; with the local connection, and over a real sshd on "
        "loopback, to which each play opens a connection of its own. Then `--check --diff` of a deploy with another "
        "value in the environment, against that deploy, in which nothing is built. Then the tasks of plays over SSH, "
        "each from its heading to the next one.",
        [*local, found[0], *remote, found[1], *dry, found[2], *tasks],
        "\n\n".join(
            judged(f"{what}, the median ratio is at most {most:g}", f"{row.median:.2f}", row.median <= most)
            for what, row, most in zip(("local", "over SSH", "of a dry run"), found, (2.5, 3, 0.5))
        ),
    )


def applications(scratch: Path) -> Section:
    """Measure a deploy with nothing to do by the number of applications on a host."""
    apps = []
    for number in range(max(APPS)):
        url = f"https://bench-{number}.example.com"
        apps.append(App(f"bench-app-{number}", scratch, docker_vps_source_path=str(STANDIN), docker_vps_server_url=url))
    hosts = scratch / "applications.yml"
    hosts.write_text(yaml.safe_dump({"docker_vps": {"hosts": {app.name: app.host() for app in apps}}}))

    def deploy(count: int) -> float:
        began = time.perf_counter()
        limit = ("--forks", str(count), "--limit", f"docker_vps[0:{count - 1}]")
        played = play(ROOT / "playbooks/deploy.yml", hosts, *limit).succeeded()
        took = time.perf_counter() - began
        assert not re.search(r"changed=[1-9]", played.output), played.output
        return took

    try:
        for app in apps:
            app.remove()
        play(ROOT / "playbooks/deploy.yml", hosts, "--forks", "3").succeeded()
        found = rows(
            [f"{count} applications" for count in APPS], [[deploy(n) for n in APPS] for _turn in range(2)], "s"
        )
    finally:
        for app in apps:
            app.remove()
    return Section(
        "One play that deploys to some of ten stand-in applications on this machine, all with nothing to do, with as "
        "many forks.",
        found,
        growths=[
            grown("applications", "A deploy with nothing to do", "applications", "seconds", dict(zip(APPS, found)))
        ],
    )


def pairs(there: Plays, ssh: bool) -> list[list[float]]:
    """Return the seconds of deploy and ping, in turn, after one of each to warm up."""
    ways: tuple[Callable[[], float], ...] = (
        partial(there.unchanged, ssh),
        lambda: there.run(there.ping, ssh=ssh).seconds,
    )
    _warm_up, *found = [[way() for way in ways] for _turn in range(1 + ROUNDS)]
    return found


def foreseen(there: Plays) -> list[list[float]]:
    """Return the seconds of dry runs, and of the deploys that they foresee."""
    found = []
    for turn in range(PAIRS):
        ran = [
            there.playbook("deploy", *arguments, docker_vps_env={"BENCH": f"{turn}"})
            for arguments in (("--check", "--diff"), ())
        ]
        assert all("changed=0 " not in one.output for one in ran), ran[0].output
        found.append([one.seconds for one in ran])
    there.playbook("deploy")
    return found


def by_task(there: Plays, name: str) -> list[Row]:
    """Return the seconds of each task of a play over SSH in the order in which they run, and of all the rest."""
    there.playbook(name)
    ran = [there.playbook(name) for _turn in range(PROFILES)]
    rest = [one.seconds - sum(seconds for _task, seconds in one.tasks) for one in ran]
    found = [Row(f"{name}.yml: start and end of Ansible", rest, "s")]
    for place, (task, _seconds) in enumerate(ran[0].tasks):
        what = task.rpartition(" : ")[2].replace(" | ", ": ")
        found.append(Row(f"{name}.yml: {what}", [one.tasks[place][1] for one in ran], "s"))
    return found
