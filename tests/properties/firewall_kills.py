# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the play that sets the firewall up, and see that a new SSH connection is let in each time.

    firewall_kills.py [--rounds N] [--seed N]

Each round changes the rules. What is killed is the controller with its SSH connection, or all that has come over SSH on
the host. When is random within a stage that the host itself sees begin: a third falls before the rules are loaded, and
a third before they are confirmed. Those that wait then have to be taken back by the host.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Sequence

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / ".ansible/collections")]

import results
from lab import docker, run, until
from processes import Family, command_of, kill, parents

NAME = "it-firewall-kills"
WATCH = HERE / "firewall_watch.py"
THIRDS = (["waiting"], ["looking", "arming"], ["before", "keeping", "kept"])
"""The stages in which plays are killed, each third as often as the others."""
STAGES = (
    ("before it came to the host", ["before"]),
    ("while it looked", ["looking"]),
    ("while it armed the way back and loaded", ["arming"]),
    ("before it was confirmed", ["waiting"]),
    ("after that", ["keeping", "kept"]),
)
AT_WORK = """
systemctl is-active docker-vps-firewall-rollback.timer docker-vps-firewall-rollback.service | grep -x active
pgrep -f '[A]nsiballZ_firewall'
"""
TIMEOUT = 30  # seconds within which rules have to be confirmed
PLAY = "- hosts: vps\n  gather_facts: false\n  roles: [ptnextjs.docker_vps.firewall]\n"
PREPARE = """
timeout 60 sh -c 'until [ -S /run/dbus/system_bus_socket ]; do sleep 0.1; done'
systemctl is-system-running --wait
apt-get update -q && apt-get install -q -y --no-install-recommends nftables
ssh-keygen -A && systemctl start ssh && mkdir -p /root/.ssh && cat >/root/.ssh/authorized_keys
"""


@dataclass
class Host:
    """An instance that is reached over SSH, and the directory of what that takes."""

    scratch: Path
    address: str = ""
    problems: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start it with an SSH server and without a firewall."""
        image = run(str(HERE.parent / "support/instance_image.sh")).stdout.strip()
        options = ["--privileged", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/tmp"]
        docker("run", "--detach", f"--name={NAME}", *options, image)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.scratch / "key"))
        key = (self.scratch / "key.pub").read_text()
        run("docker", "exec", "--interactive", NAME, "sh", "-ec", PREPARE, input=key)
        self.address = docker("inspect", "--format={{.NetworkSettings.Networks.bridge.IPAddress}}", NAME)
        (self.scratch / "play.yml").write_text(PLAY)
        facts = {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_pipelining": False,  # so that the command line of a module has its name
            "ansible_ssh_common_args": " ".join(self.options()),
            "ansible_control_path_dir": str(self.scratch / "control"),
            "docker_vps_firewall_confirm_timeout": TIMEOUT,
        }
        (self.scratch / "hosts.json").write_text(json.dumps({"all": {"hosts": {"vps": facts}}}))

    def options(self) -> list[str]:
        """Return the options of ssh."""
        key = [f"-i{self.scratch / 'key'}", "-oIdentitiesOnly=yes", "-oStrictHostKeyChecking=no"]
        return [*key, f"-oUserKnownHostsFile={self.scratch / 'known_hosts'}", "-oConnectTimeout=10", "-oLogLevel=ERROR"]

    def answers(self) -> bool:
        """Return whether a connection of its own is let in."""
        done = run("ssh", *self.options(), "-oControlPath=none", f"root@{self.address}", "true", check=False)
        return done.returncode == 0

    def watch(self, port: int, stage: str, delay: float, spare: bool = True) -> subprocess.Popen[str]:
        """Start what watches a play on the host, and wait until it does; see firewall_watch.py."""
        options = [str(port), stage, str(delay), *["spare"] * spare]
        command = ["docker", "exec", "--interactive", NAME, "python3", "-", *options]
        watch = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert watch.stdin
        assert watch.stdout
        watch.stdin.write(WATCH.read_text())
        watch.stdin.close()
        if watch.stdout.readline() != "ready\n":
            raise AssertionError("the host is not watched")
        return watch

    def stage(self, port: int) -> str:
        """Return how far the rules of a play have come when nothing of it runs or waits to run any more."""
        until(lambda: not run("docker", "exec", NAME, "sh", "-c", AT_WORK, check=False).stdout, TIMEOUT + 30, "rest")
        return str(told(self.watch(port, "before", 0))["stage"])

    def play(self, port: int) -> subprocess.Popen[str]:
        """Start a play that opens a port of its own."""
        more = json.dumps({"docker_vps_firewall_tcp_ports": [port]})
        command = [
            "ansible-playbook",
            "-i",
            str(self.scratch / "hosts.json"),
            str(self.scratch / "play.yml"),
            "-e",
            more,
        ]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def whole(self, port: int) -> dict[str, float]:
        """Have a play run to its end, and return how many seconds each of its stages took."""
        watch, play = self.watch(port, "kept", 0), self.play(port)
        output, _unused = play.communicate(timeout=600)
        if play.returncode:
            self.problems.append(output)
        return lengths(told(watch))

    def kill_controller(self, play: subprocess.Popen[str]) -> None:
        """End the play, its workers in sessions of their own, and the connection that it would have left behind."""
        masters = [one for one in parents() if str(self.scratch / "control").encode() in command_of(one)]
        kill({*Family(play.pid).all, *masters})


def told(watch: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what was seen."""
    assert watch.stdout
    found: dict[str, Any] = json.loads(watch.stdout.read())
    watch.wait(60)
    return found


def lengths(seen: dict[str, Any]) -> dict[str, float]:
    """Return how many seconds the stages took that came to their end."""
    began = seen["began"]
    return {stage: began[after] - began[stage] for stage, after in pairwise(sorted(began, key=began.__getitem__))}


@dataclass
class Tally:
    """What became of the rounds; ``stages`` are those in which plays were killed."""

    stages: Counter[str] = field(default_factory=Counter)
    taken_back: int = 0
    shut: int = 0
    not_taken_back: int = 0

    def killed(self, stages: Sequence[str]) -> int:
        """Return how many plays were killed in any of these stages."""
        return sum(map(self.stages.__getitem__, stages))


def rounds(host: Host, count: int, seed: int) -> Tally:
    """Kill so many plays, and write down after each what became of all of them."""
    tally, chance, port = Tally(), random.Random(seed), 9000
    lasts = host.whole(port)
    while tally.stages.total() < count:
        # One that was too late has fallen into another third.
        port, stage = port + 1, chance.choice(min(THIRDS, key=tally.killed))
        controller = chance.random() < 0.5
        watch = host.watch(port, stage, chance.uniform(0, lasts.get(stage, 0)), spare=controller)
        play = host.play(port)
        watched = told(watch)
        seen = watched["stage"]
        lasts.update(lengths(watched))  # the machine may have become faster
        over = play.poll() is not None
        if controller:
            host.kill_controller(play)
        play.communicate(timeout=600)
        if over or not play.returncode or seen == "undone":  # there was nothing to kill any more, or nothing yet
            continue
        tally.stages[seen] += 1
        look(host, tally, port, seen)
        report(tally, seed, len(host.problems))
        sys.stdout.write(f"{'controller' if controller else 'host'} at {stage}, was {seen}: {tally}\n")
        sys.stdout.flush()
    host.whole(9999)
    return tally


def look(host: Host, tally: Tally, port: int, killed_at: str) -> None:
    """Ask by a new connection, at once and again when the host has taken back what nobody confirmed."""
    shut = not host.answers()
    after = host.stage(port)
    tally.not_taken_back += after == "waiting"
    tally.taken_back += killed_at == "waiting" and after == "before"
    tally.shut += shut or not host.answers()


def report(tally: Tally, seed: int, problems: int) -> None:
    """Write the figures down."""
    head = ["", *(name for name, _stages in STAGES), "not taken back", "SSH did not answer"]
    killed = [tally.killed(stages) for _name, stages in STAGES]
    bad = map(results.bad, (tally.not_taken_back, tally.shut))
    results.record(
        "firewall",
        results.table(head, [["plays killed", *killed, *bad]]),
        f"Seed {seed}; {tally.stages.total()} plays, killed at random within a stage. Each round asked by a new "
        "connection at once, and again when nothing was left that waited to run. Of those that were loaded and not yet "
        f"confirmed, the host took {tally.taken_back} back; others had a confirmation on its way. Plays that ran to "
        f"their end before and afterwards and failed: {results.bad(problems)}.",
        results.environment(f"engine {docker('version', '--format={{.Server.Version}}')}"),
    )


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    docker("rm", "--force", "--volumes", NAME, check=False)
    with TemporaryDirectory(prefix="it-fw-") as scratch:
        host = Host(Path(scratch))
        try:
            host.start()
            tally = rounds(host, given.rounds, given.seed)
        finally:
            docker("rm", "--force", "--volumes", NAME, check=False)
    report(tally, given.seed, len(host.problems))
    sys.stdout.write("\n".join(host.problems))
    return int(bool(tally.shut or tally.not_taken_back or host.problems))


if __name__ == "__main__":
    sys.exit(main())
