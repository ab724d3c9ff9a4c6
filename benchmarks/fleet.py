# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long status.yml takes: 20 hosts with systemd and an engine of their own, and 200 that are simulated."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Mapping

import yaml
from lab import ROOT, docker, image_of, play, run, until
from report import Row, Section, judged

HOSTS, SIMULATED = 20, 200
FORKS = (5, 10, 20)
LARGEST = 1 << 20  # bytes of the page
NAME = "bench-fleet"
# A container of nothing that is not there already: the programs are those of the host.
START = """
mkdir --parents /root/nothing
for name in bin lib lib64; do ln -sf "usr/$name" "/root/nothing/$name"; done
tar -C /root/nothing -c . | docker import - nothing >/dev/null
docker run --quiet --detach --name ptnextjs-app --volume /usr:/usr:ro nothing python3 -m http.server 3000 >/dev/null
"""


def started(number: int) -> str:
    """Start a host with an application, and return its name."""
    name = f"{NAME}-{number:02}"
    how = ("--detach", "--privileged", "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp")
    docker("rm", "--force", "--volumes", name, check=False)
    docker("run", *how, "--hostname", name, "--name", name, image_of("instance_image.sh"))
    up = ("docker", "exec", name, "systemctl", "is-system-running")
    until(lambda: run(*up, check=False).stdout.strip() in ("running", "degraded"), 300, f"the start of {name}")
    run("docker", "exec", name, "bash", "-euc", START)
    return name


def inventory(path: Path, hosts: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write an inventory."""
    path.write_text(yaml.safe_dump({"docker_vps": {"hosts": {name: dict(host) for name, host in hosts.items()}}}))
    return path


def asked(hosts: Path, count: int, forks: int, *arguments: str) -> tuple[float, str]:
    """Ask all hosts how they are; return the seconds, and what was printed."""
    began = time.perf_counter()
    played = play(ROOT / "playbooks/status.yml", hosts, "--forks", str(forks), *arguments)
    took = time.perf_counter() - began
    assert f"{count} hosts:" in played.output, played.output
    return took, played.output


def fleet(scratch: Path) -> Section:
    """Measure status.yml by the number of forks, with a host that is down, and for 200 hosts with the page."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    simulated = {f"vps{number:03}": {**here, "docker_vps_app": f"app{number:03}"} for number in range(SIMULATED)}
    try:
        with ThreadPoolExecutor(4) as starting:
            names = list(starting.map(started, range(HOSTS)))
        real = {
            name: {
                "ansible_connection": "community.docker.docker",
                "ansible_host": name,
                "ansible_python_interpreter": "/usr/bin/python3",
            }
            for name in names
        }
        hosts = inventory(scratch / "real.yml", real)
        asked(hosts, HOSTS, HOSTS)  # to warm up
        rounds = [[asked(hosts, HOSTS, forks)[0] for forks in FORKS] for _turn in range(3)]
        docker("stop", names[0])
        _took, output = asked(hosts, HOSTS, HOSTS)
        assert re.search(r"1 without an answer", output), output
    finally:
        for number in range(HOSTS):
            docker("rm", "--force", "--volumes", f"{NAME}-{number:02}", check=False)
    page = scratch / "status.html"
    many, output = asked(
        inventory(scratch / "many.yml", simulated), SIMULATED, HOSTS, "--extra-vars", f"docker_vps_status_page={page}"
    )
    tasks = len(re.findall(r"^TASK \[.*Look how the application is", output, re.MULTILINE))
    size = os.stat(page).st_size
    found = [Row(f"{HOSTS} hosts, {forks} forks", took, "s") for forks, took in zip(FORKS, zip(*rounds))]
    return Section(
        f"`status.yml` for {HOSTS} hosts, each with systemd and a Docker engine of its own in a container of this "
        "machine, by the number of forks; in one more run a host was down, and the others' answers stayed. Then for "
        f"{SIMULATED} hosts that all are this machine, with the page. All share the processors of this machine, which "
        "limits what forks can gain.",
        [
            *found,
            Row(f"{SIMULATED} simulated hosts, {HOSTS} forks", [many], "s"),
            Row("the page", [size / 1024], "KiB"),
        ],
        judged(
            "one task for all hosts, and a page of at most 1 MiB",
            f"{tasks} task, {size / 1024:.0f} KiB",
            tasks == 1 and size <= LARGEST,
        ),
    )
