# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the real application needs of what its container is limited to, with its root read-only."""

from __future__ import annotations

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

import yaml
from lab import ROOT, App, copied, docker, inspect, run
from payload import ACTIONS_KEY, Site, png
from report import Row, Section, judged
from traffic import proxy

NAME, PORT = "bench-hardening", 8095
UPLOADS, PICTURES, WIDE_PICTURES, CHECKS = 30, 2000, 300, 100
VISITORS, CHECKERS = 16, 4  # at once; all uploads are
SIZE = 128  # pixels of an uploaded picture's side
CACHE = "512K"
MARGIN = 10  # the limit is at least so many times the peak, since others start more processes than this application
# What Next.js makes pictures of when its configuration does not say.
WIDTHS = (16, 32, 48, 64, 96, 128, 256, 384)
QUALITIES = 10
# The most threads of libvips for a picture: 1 on glibc; elsewhere the processors, of which Next.js takes half.
WIDE = 16
THREADS = """\
import sharp from 'sharp'

export async function GET(request: Request) {
  return Response.json({ now: sharp.concurrency(Number(new URL(request.url).searchParams.get('wanted'))) })
}
"""
REFUSED = re.compile(r"\b(?:EROFS|ENOSPC|EACCES|EAGAIN|ENOENT)(?=:)")


class Met(NamedTuple):
    """What became of requests, and what the container was at its peak since its start.

    Attributes:
        failed: what became of those that were not answered with 200, and of health checks that failed.
        memory: MiB, with what is in its tmpfs.
        lines: of the log, by the refusal of the system that they tell of; "other" tell of none.
    """

    failed: Sequence[str]
    processes: int
    memory: float
    zombies: int
    lines: Mapping[str, int]


def hardening(scratch: Path) -> Section:
    """Measure processes, memory and the log of the real application under pictures, uploads and health checks."""
    limit = yaml.safe_load((ROOT / "roles/common/defaults/main.yml").read_text())["docker_vps_pids_limit"]
    files = {"app/api/threads/route.ts": THREADS}
    app = App(
        NAME,
        scratch,
        docker_vps_source_path=str(copied(ROOT / "examples/payload-app", scratch / "app", **files)),
        docker_vps_server_actions_key=ACTIONS_KEY,
        docker_vps_health_wait=120,
        docker_vps_read_only=True,
        docker_vps_tmpfs={"/tmp": "64M", "/app/.next/cache": CACHE},
    )
    app.remove()
    try:
        app.deploy().succeeded()
        with proxy(NAME + "-proxy", app, PORT) as url:
            return measured(Site(app, url), limit)
    finally:
        app.remove()


def measured(site: Site, limit: int) -> Section:
    """Measure all on a site that has just been deployed."""
    site.fill()
    quiet = met(site.app, [])
    paths = uploaded(site)
    loaded = met(site.app, pictures(site, paths, PICTURES, 60))
    assert site.ask(f"/api/threads?wanted={WIDE}").json["now"] == WIDE
    wide = met(site.app, pictures(site, paths, WIDE_PICTURES, 80))
    every = {"quiet": quiet, "under load": loaded, f"and with up to {WIDE} threads for each picture": wide}
    peak = wide.processes
    failed = [one for met in every.values() for one in met.failed]
    others = sum(wide.lines.values()) - wide.lines["ENOSPC"] - wide.lines["other"]
    return Section(
        f"The example application with a read-only root and the default limits: {UPLOADS} uploads at once ({SIZE} by "
        f"{SIZE} pixels), of which Payload makes thumbnails, then {PICTURES} distinct pictures of `/_next/image`, "
        f"{VISITORS} at once, and meanwhile {CHECKS} health checks besides the engine's, {CHECKERS} at once. The cache "
        f"of pictures has {CACHE}, and is full after the first of them. In the end {WIDE_PICTURES} pictures with "
        f"up to {WIDE} threads of libvips for each, as on a host with {2 * WIDE} processors and musl; with glibc sharp "
        "takes one. The peaks are the kernel's, since the start. The container was not started again, no process was "
        f"killed for want of memory, and {wide.zombies} were left that had ended. A picture that does not fit into the "
        f"cache is answered all the same, and told in 5 lines of the log: {wide.lines['ENOSPC']} of "
        f"{PICTURES + WIDE_PICTURES} were; {others} other lines tell of a refusal of the system.",
        [
            *(Row(f"processes and threads, {when}", [met.processes], "") for when, met in every.items()),
            *(Row(f"memory, {when}", [met.memory], "MiB") for when, met in every.items()),
            Row("pictures that were not answered with 200, and health checks that failed", [len(failed)], ""),
        ],
        judged(
            f"the default of docker_vps_pids_limit is at least {MARGIN} times the peak",
            f"{limit} of {peak}",
            limit >= MARGIN * peak,
        ),
    )


def uploaded(site: Site) -> list[str]:
    """Upload pictures at once, which Payload makes a thumbnail of each, and return their paths."""
    with ThreadPoolExecutor(UPLOADS) as editors:
        return list(editors.map(lambda number: site.upload(f"{number}.png", photo(number)), range(UPLOADS)))


def photo(seed: int) -> bytes:
    """Return a picture that costs as much to read as one of a camera, since no two of its rows are alike."""
    return png(SIZE, random.Random(seed).randbytes)


def pictures(site: Site, paths: Sequence[str], number: int, quality: int) -> list[str]:
    """Ask for distinct pictures while its health is checked as the engine does, and return what failed."""
    wanted = product(range(quality, quality + QUALITIES), WIDTHS, paths)
    urls = [f"/_next/image?url={path}&w={width}&q={q}" for q, width, path in islice(wanted, number)]
    with ThreadPoolExecutor(VISITORS) as visitors, ThreadPoolExecutor(CHECKERS) as checkers:
        checks = [checkers.submit(check, site.app) for _turn in range(CHECKS)]
        answers = list(visitors.map(site.ask, urls))
        codes = [one.result() for one in checks]
    return [f"status {one.status}" for one in answers if one.status != 200] + [f"code {one}" for one in codes if one]


def check(app: App) -> int:
    """Run the health check of a container once more, and return how it ended."""
    test = inspect(app.container)["Config"]["Healthcheck"]["Test"]
    command = ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
    return run("docker", "exec", app.container, *command, check=False).returncode


def met(app: App, failed: Sequence[str]) -> Met:
    """Return what the kernel says of a container since its start, on either version of cgroups."""
    found = inspect(app.container)
    assert (found["RestartCount"], found["State"]["OOMKilled"]) == (0, False)
    states = docker("top", app.container, "-eo", "pid,stat").splitlines()[1:]
    return Met(
        failed,
        int(kernel(found, "pids", "pids.peak", "pids.peak")),
        int(kernel(found, "memory", "memory.max_usage_in_bytes", "memory.peak")) / 2**20,
        sum(1 for state in states if state.split()[1].startswith("Z")),
        Counter(match[0] if match else "other" for match in map(REFUSED.search, log(app))),
    )


def kernel(container: Mapping[str, Any], controller: str, name: str, unified: str) -> str:
    """Return what a file of a container's control group says; see cgroups(7)."""
    rows = Path(f"/proc/{container['State']['Pid']}/cgroup").read_text().splitlines()
    groups = {one: group for _id, names, group in (row.split(":", 2) for row in rows) for one in names.split(",")}
    root = Path("/sys/fs/cgroup")
    if controller in groups:
        return (root / controller / groups[controller][1:] / name).read_text()
    return (root / groups[""][1:] / unified).read_text()


def log(app: App) -> list[str]:
    """Return what a container has written since its start."""
    done = run("docker", "logs", "--since", inspect(app.container)["State"]["StartedAt"], app.container)
    return (done.stdout + done.stderr).splitlines()
