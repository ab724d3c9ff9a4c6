# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure status.yml, and a deploy with nothing to do: for hosts with an engine of their own, and simulated ones."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Mapping

import yaml
from lab import ROOT, docker, image_of, play, run, until
from report import Row, Section, grown, judged, ratio, rows

HOSTS, SIMULATED = 20, 200
FORKS = (5, 10, 20)
COUNTS = (1, 5, 10, HOSTS)
LARGEST = 1 << 20  # bytes of the page
NAME = "bench-fleet"
# A container of nothing that is not there already: the programs are those of the host.
START = """
mkdir --parents /root/nothing
for name in bin lib lib64; do ln -sf "usr/$name" "/root/nothing/$name"; done
tar -C /root/nothing -c . | docker import - nothing >/dev/null
docker run --quiet --detach --name ptnextjs-app --volume /usr:/usr:ro nothing python3 -m http.server 3000 >/dev/null
docker volume create --opt type=none --opt o=bind --opt device=/usr usr >/dev/null
docker volume create shop-db >/dev/null
"""
# An application of these programs, deployed beside the one above.
DOCKERFILE = 'FROM nothing\nCMD ["python3", "-m", "http.server", "3000", "--directory", "/data"]\n'
ASK = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/')"
SHOP = {
    "docker_vps_app": "shop",
    "docker_vps_server_url": "https://shop.example.com",
    "docker_vps_dockerfile": "Dockerfile",
    "docker_vps_base_refresh": "never",
    "docker_vps_media_volume": "",
    "docker_vps_volumes": {"usr": "/usr"},
    "docker_vps_external_volumes": True,
    "docker_vps_release_backup": False,
    "docker_vps_health_command": ["python3", "-c", ASK],
    "docker_vps_health_wait": 300,
    "docker_vps_public_check": "off",
    "docker_vps_memory_min": "0",
    "docker_vps_disk_free_min": "0",
    "docker_vps_build_disk": "0",
    "docker_vps_serial": ["100%"],
}


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


def deployed(hosts: Path, limit: str) -> float:
    """Deploy to hosts on which that has nothing to do, and return the seconds."""
    began = time.perf_counter()
    played = play(ROOT / "playbooks/deploy.yml", hosts, "--forks", str(HOSTS), "--limit", limit).succeeded()
    took = time.perf_counter() - began
    assert not re.search(r"changed=[1-9]", played.output), played.output
    return took


def deploys(scratch: Path, real: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Measure deploys with nothing to do, to one host and to more of them."""
    sources = scratch / "shop"
    sources.mkdir()
    (sources / "Dockerfile").write_text(DOCKERFILE)
    shops = {name: {**host, **SHOP, "docker_vps_source_path": str(sources)} for name, host in real.items()}
    hosts = inventory(scratch / "shops.yml", shops)
    play(ROOT / "playbooks/deploy.yml", hosts, "--forks", "5").succeeded()
    rounds = [[deployed(hosts, f"docker_vps[0:{count - 1}]") for count in COUNTS] for _turn in range(2)]
    what = [f"deploy with nothing to do, {count} of the hosts, {HOSTS} forks" for count in COUNTS]
    return rows(what, rounds, "s")


def fleet(scratch: Path) -> Section:
    """Measure status.yml by the number of forks, and with a host that is down, and deploys with nothing to do."""
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
        found = [Row(f"{HOSTS} hosts, {forks} forks", [asked(hosts, HOSTS, forks)[0]], "s") for forks in FORKS]
        unchanged = deploys(scratch, real)
        docker("stop", names[0])
        _took, output = asked(hosts, HOSTS, HOSTS)
        assert re.search(r"1 without an answer", output), output
    finally:
        for number in range(HOSTS):
            docker("rm", "--force", "--volumes", f"{NAME}-{number:02}", check=False)
    all_to_one = ratio(f"{HOSTS} hosts / 1 host", unchanged[-1], unchanged[0])
    return Section(
        f"`status.yml` for {HOSTS} hosts, each with systemd and a Docker engine of its own in a container of this "
        "machine, by the number of forks; in one more run a host was down, and the others' answers stayed. Then "
        "deploys with nothing to do. All share the processors of this machine, which limits what forks can gain, and "
        "what a deploy to all hosts can reach against one to the first of them. All are deployed to at once "
        "(`docker_vps_serial: 100%`), which is not the default.",
        [*found, *unchanged, all_to_one],
        judged(
            "a deploy to all takes at most 3 times that to one",
            f"{all_to_one.median:.2f}",
            all_to_one.median <= 3,
        ),
        [grown("hosts", "A deploy with nothing to do", "hosts", "seconds", dict(zip(COUNTS, unchanged)))],
    )


def pages(scratch: Path) -> Section:
    """Measure status.yml with its page for very many hosts."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    simulated = {f"vps{number:03}": {**here, "docker_vps_app": f"app{number:03}"} for number in range(SIMULATED)}
    page = scratch / "status.html"
    hosts = inventory(scratch / "many.yml", simulated)
    took, output = asked(hosts, SIMULATED, HOSTS, "--extra-vars", f"docker_vps_status_page={page}")
    tasks = len(re.findall(r"^TASK \[.*Look how the application is", output, re.MULTILINE))
    size = os.stat(page).st_size
    return Section(
        f"`status.yml` with its page for {SIMULATED} hosts that all are this machine.",
        [
            Row(f"{SIMULATED} simulated hosts, {HOSTS} forks", [took], "s"),
            Row("the page", [size / 1024], "KiB"),
        ],
        judged(
            "one task for all hosts, and a page of at most 1 MiB",
            f"{tasks} task, {size / 1024:.0f} KiB",
            tasks == 1 and size <= LARGEST,
        ),
    )
