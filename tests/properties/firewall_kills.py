# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the play that sets the firewall up at random times, and see that a new SSH connection is let in each time.

    firewall_kills.py [--rounds N] [--seed N]

Each round changes the rules. What is killed is the controller with its SSH connection, or all that has come over SSH on
the host. Rules that wait to be confirmed then have to be taken back by the host itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / ".ansible/collections")]

import results
from lab import docker, run, until
from processes import command_of, kill, parents

NAME = "it-firewall-kills"
TIMEOUT = 15  # seconds within which rules have to be confirmed
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

    def waits(self) -> bool:
        """Return whether there are rules that nobody has confirmed yet."""
        return bool(docker("exec", NAME, "sh", "-c", "ls /run/docker-vps-firewall/pending 2>/dev/null || true"))

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

    def whole(self, port: int) -> float:
        """Have a play run to its end, and return how many seconds that took."""
        began, play = time.monotonic(), self.play(port)
        output, _unused = play.communicate(timeout=600)
        if play.returncode:
            self.problems.append(output)
        return time.monotonic() - began

    def kill_controller(self, play: subprocess.Popen[str]) -> None:
        """End the play and the connection that it would have left behind."""
        with suppress(ProcessLookupError):
            os.killpg(play.pid, signal.SIGKILL)
        kill([one for one in parents() if str(self.scratch / "control").encode() in command_of(one)])

    def kill_sessions(self, play: subprocess.Popen[str]) -> None:
        """End all that has come over SSH, on the host."""
        docker("exec", NAME, "pkill", "-KILL", "-f", "^sshd-session|^sshd: .*@|AnsiballZ", check=False)
        play.communicate(timeout=600)


@dataclass
class Tally:
    """What became of the rounds."""

    at_work: int = 0
    unconfirmed: int = 0
    shut: int = 0
    not_taken_back: int = 0


def rounds(host: Host, count: int, seed: int) -> Tally:
    """Kill so many plays, and write down after each what became of all of them."""
    tally, chance, port = Tally(), random.Random(seed), 9000
    lasts = host.whole(port)
    while tally.at_work < count:
        port += 1
        began, play = time.monotonic(), host.play(port)
        try:
            play.wait(chance.uniform(0.1, 1) * lasts)
        except subprocess.TimeoutExpired:
            (host.kill_controller if port % 2 else host.kill_sessions)(play)
        else:  # faster than before
            lasts = time.monotonic() - began
            continue
        tally.at_work += 1
        look(host, tally)
        report(tally, seed, len(host.problems))
        sys.stdout.write(f"{tally}\n")
        sys.stdout.flush()
    host.whole(9999)
    return tally


def look(host: Host, tally: Tally) -> None:
    """Ask by a new connection, at once and again when the host has taken back what nobody confirmed."""
    shut = not host.answers()
    if host.waits():
        tally.unconfirmed += 1
        try:
            until(lambda: not host.waits(), TIMEOUT + 10, "the way back")
        except AssertionError:
            tally.not_taken_back += 1
        shut = shut or not host.answers()
    tally.shut += shut


def report(tally: Tally, seed: int, problems: int) -> None:
    """Write the figures down."""
    head = ["", "killed at work", "before it was confirmed", "not taken back", "SSH did not answer"]
    bad = map(results.bad, (tally.not_taken_back, tally.shut))
    results.record(
        "firewall",
        results.table(head, [["plays", tally.at_work, tally.unconfirmed, *bad]]),
        f"Seed {seed}; each round asked by a new connection at once, and again when rules had been taken back. Plays "
        f"that ran to their end before and afterwards and failed: {results.bad(problems)}.",
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
