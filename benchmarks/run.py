# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure, side by side, and write the report to the terminal and to benchmarks/results.md.

    python benchmarks/run.py                 within 20 minutes
    python benchmarks/run.py --all           builds, updates, transfers and load too, within an hour
    python benchmarks/run.py rebuild         only this
    python benchmarks/run.py --demo          the demo too, which removes the data of the demo that runs
    python benchmarks/run.py --demo-cold     the same, after removing all of the engine's build cache

The report says whether each bar was reached. The exit status is 1 only when something broke.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import shutil
import sys
import time
import traceback
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable, Iterator
from uuid import uuid4

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests/support"), str(HERE.parent / ".ansible/collections")]

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import HealthRules, WantedHealth
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import sdk
from ansible_collections.ptnextjs.docker_vps.plugins.modules import container_health
from backup import backup, backup_memory, backup_restore, backup_sizes, backup_small_files
from fleet import fleet, pages
from hardening import hardening
from jinja2 import Environment
from lab import CA_BUNDLE, ROOT, STANDIN, copied, docker, image_of, run
from lists import backup_lists
from play_times import applications, plays
from report import TITLE, Row, Section, environment, judged, ratio, rows, save
from series import backup_series
from transfer import transfer, transfer_memory
from update import update

NO_DEMO = Section("`make demo` twice: not run; use `--demo`, which removes the data of the demo that runs.")
BEFORE, PAIRS = "ae88e02", 2
# What `next build` says when it begins with one.
PHASES = {
    "compiling": "Creating an optimized",
    "types": "Linting and checking",
    "pages": "Collecting page data",
    "tracing": "Collecting build traces",
}
PAYLOAD = ROOT / "examples/payload-app"
ROLE = ROOT / "roles/image"
POLLING = "until docker inspect --format '{{.State.Health.Status}}' \"$0\" | grep -qx healthy; do sleep 2; done"
CHOWN = 'chown -R 1000:1000 /data /app/public/media /app/.next/cache && exec "$@"'
SINGLE_STAGE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
WORKDIR /app
COPY . .
RUN --mount=type=secret,id=build_ca,target=/run/secrets/build_ca \\
    export npm_config_cafile=/run/secrets/build_ca NODE_EXTRA_CA_CERTS=/run/secrets/build_ca; npm ci && npm run build
CMD ["npx", "next", "start"]
"""


def unique() -> str:
    """Return a name for something on the engine."""
    return f"bench-{uuid4().hex[:12]}"


def seconds(action: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def health_wait(scratch: Path) -> Section:
    """Compare the module's wait with the polling loop of shell scripts."""
    image = image_of("base_image.sh")
    engine = sdk.Engine.connect(sdk.Address(os.environ.get("DOCKER_HOST", sdk.DEFAULT_ADDRESS)))

    def library(name: str) -> None:
        params = container_health.Params((name,), HealthRules(WantedHealth.HEALTHY), timeout=30, log_lines=0)
        container_health.run(params, engine, sdk.SystemClock(), check_mode=False)

    def process(name: str) -> None:
        given = json.dumps({"ANSIBLE_MODULE_ARGS": {"containers": [name], "timeout": 30}})
        search = {"PYTHONPATH": str(ROOT / ".ansible/collections")}
        run(sys.executable, "-m", container_health.__name__, given, env={**os.environ, **search})

    def polling(name: str) -> None:
        run("sh", "-c", POLLING, name, timeout=30)

    rounds = [[milliseconds_late(image, wait) for wait in (library, process, polling)] for _turn in range(10)]
    found = rows(("`run()`", "the module's process", "loop with `sleep 2`"), rounds, "ms")
    return Section(
        "From the engine's change of a container to healthy until a wait for it returns: `container_health`, in this "
        "process and in one of its own, against the usual shell loop around `docker inspect`. The container becomes "
        "healthy after random 0.3 to 2.3 s. The engine's moment is `timeNano` of its event `health_status: healthy`, "
        "published with the change, under the container's lock; `End` in the health log is earlier, the probe's end.",
        [*found, ratio("loop / `run()`", found[2], found[0])],
        judged("the median of `run()` is at most 100 ms", f"{found[0].median:.0f} ms", found[0].median <= 100),
    )


def milliseconds_late(image: str, wait: Callable[[str], None]) -> float:
    """Return how long after the engine's own moment a wait for a new container ends."""
    name, began = unique(), time.time()
    probe = ("--health-cmd", "test -e /healthy", "--health-interval", "100ms", "--health-retries", "1000")
    script = f"sleep {random.uniform(0.3, 2.3):.3f}; touch /healthy; sleep 60"
    try:
        docker("run", "--detach", "--name", name, *probe, image, "sh", "-c", script)
        wait(name)
        returned = time.time_ns()
        period = ("--since", f"{began:.9f}", "--until", f"{time.time():.9f}")
        kind = ("--filter", f"container={name}", "--filter", "event=health_status: healthy")
        return (returned - int(docker("events", *period, *kind, "--format", "{{.TimeNano}}"))) / 1e6
    finally:
        docker("rm", "--force", name, check=False)


@contextmanager
def builder(scratch: Path) -> Iterator[Callable[..., tuple[str, str]]]:
    """Give a function that builds as the role does; its images are removed in the end, the build cache stays."""
    made: list[str] = []
    (scratch / "Dockerfile").write_text(dockerfile_of("bench", lambda name: (ROLE / name).read_text()))
    (scratch / "Single").write_text(SINGLE_STAGE)
    (scratch / "key").write_text(base64.b64encode(os.urandom(32)).decode())
    for name in ("Dockerfile", "Single", "Before"):
        shutil.copy(ROLE / "files/dockerignore", scratch / f"{name}.dockerignore")
    secrets = {"build_ca": CA_BUNDLE, "server_actions_key": scratch / "key"}
    given = [f"--build-arg=BASE_IMAGE={image_of('base_image.sh')}"]
    given += [f"--secret=id={name},src={path}" for name, path in secrets.items()]

    def build(sources: Path, *options: str, dockerfile: str = "Dockerfile") -> tuple[str, str]:
        """Return the image's name and the build's log."""
        made.append(unique())
        command = ("docker", "buildx", "build", "--load", "--progress=plain", "--tag", made[-1], *given, *options)
        return made[-1], run(*command, "--file", str(scratch / dockerfile), str(sources)).stderr

    try:
        yield build
    finally:
        docker("rmi", "--force", *made, check=False)


def dockerfile_of(container: str, text: Callable[[str], str]) -> str:
    """Return the Dockerfile of a role whose files a function reads, with caches of a container's own."""
    values = {
        "__docker_vps_build_args": {},
        "docker_vps_container": container,
        "docker_vps_app_path": "",
        "__image_manager": {"name": "npm"},
        "__image_workdir": "/app",
        "__image_server": "server.js",
    }
    files = {"lookup": lambda _, name: text(f"files/{name}").rstrip()}
    return Environment(trim_blocks=True).from_string(text("templates/Dockerfile.j2")).render(**values, **files)


def committed(name: str) -> str:
    """Return a file of the role as it was before, which a shallow clone does not have."""
    shown = run("git", "-C", str(ROOT), "show", f"{BEFORE}:roles/image/{name}", check=False)
    if shown.returncode:
        raise SystemExit(f"The Dockerfile before is that of the commit {BEFORE}: git fetch --unshallow. {shown.stderr}")
    return shown.stdout


def rebuild(scratch: Path) -> Section:
    """Compare builds of the real application: of everything, after a change of code, and after none."""
    sources = copied(PAYLOAD, scratch / "app")
    page = sources / "app/(frontend)/page.tsx"
    (scratch / "Before").write_text(dockerfile_of("bench-before", committed))
    logs: dict[str, str] = {}

    def built(*, cached: dict[str, bool], dockerfile: str = "Dockerfile") -> None:
        log = logs[dockerfile] = build(sources, dockerfile=dockerfile)[1]
        for command, wanted in cached.items():
            (step,) = set(re.findall(rf"^(#\d+) \[.*{command}", log, flags=re.MULTILINE))
            assert (f"\n{step} CACHED\n" in log) is wanted, log

    code = partial(built, cached={"package-manager install": True, "package-manager run build": False})
    before = partial(built, cached={"npm ci": True, "npm run build": False}, dockerfile="Before")
    nothing = partial(built, cached={"package-manager install": True, "package-manager run build": True})
    rounds, steps = [], []
    with builder(scratch) as build:
        for way in (before, code):  # which fills the caches
            way(cached={})
        for turn in range(PAIRS):
            page.write_text(re.sub("<h1>.*</h1>", f"<h1>{uuid4()}</h1>", page.read_text()))
            took = {way: seconds(way) for way in ((before, code), (code, before))[turn % 2]}
            steps.append([*phases(logs["Before"]), *phases(logs["Dockerfile"])])
            rounds.append([took[before], took[code], seconds(nothing)])
    ways = (f"one line of a page changed, as in {BEFORE}", "one line of a page changed", "nothing changed")
    old, new, same = rows(ways, rounds, "s")
    parts = rows([f"{part}, {when}" for when in (f"as in {BEFORE}", "now") for part in PHASES], steps, "s")
    share = ratio(f"now / as in {BEFORE}", new, old)
    return Section(
        "`docker buildx build` of the example application with the role's Dockerfile, and with that of commit "
        f"{BEFORE}, in turn, each with a cache of Next.js of its own that the build before has filled. The log of each "
        "build is checked: the step that installs is `CACHED` when only code changed. Now, each build has the same key "
        "of Server Actions, which is a part of the version of webpack's cache. Before, Next.js made a new one, and so "
        "compiled everything anew, in each build in which the name of its cgroup has docker in it, as here (cgroup "
        "v1); otherwise it keeps one for 14 days in its cache, and both take the same time. The parts are as "
        "`next build` tells them.",
        [old, new, same, share, *parts],
        judged("now takes at most 0.6 times as long", f"{share.median:.2f}", share.median <= 0.6),
    )


def phases(log: str) -> list[float]:
    """Return how many seconds each phase of `next build` took in the log of a build."""
    marks = [re.search(rf"^#\d+ (\d+\.\d+) +{sign}", log, flags=re.MULTILINE) for sign in PHASES.values()]
    end = re.search(r"^#\d+ (\d+\.\d+) Route \(app\)", log, flags=re.MULTILINE)
    times = [float(mark[1]) for mark in [*marks, end] if mark]
    assert len(times) == len(PHASES) + 1, log
    return [after - before for before, after in zip(times, times[1:])]


def image_size(scratch: Path) -> Section:
    """Compare the role's image with a single stage of the same sources on the same base."""
    sources = copied(PAYLOAD, scratch / "app")
    with builder(scratch) as build:
        images = [image_of("base_image.sh"), *(build(sources, dockerfile=one)[0] for one in ("Dockerfile", "Single"))]
        base, ours, single = (int(size) / 1e6 for size in docker("inspect", "--format", "{{.Size}}", *images).split())
        used = docker("run", "--rm", "--entrypoint=du", images[2], "-skc", "/root/.npm", "/app/.next/cache").split()
    names = ("the role's image", "single stage", "single stage, less the caches of npm and Next.js in it")
    found = rows(names, [[ours - base, single - base, single - base - int(used[-2]) * 1024 / 1e6]], "MB")
    share = ratio("role / single stage", found[0], found[1])
    return Section(
        f"What the image of the example application adds to its base image ({base:.0f} MB, not counted).",
        [*found, share, ratio("role / single stage, less caches", found[0], found[2])],
        judged("at most 35 % of a single stage", f"{share.median:.0%}", share.median <= 0.35),
    )


def entrypoint(scratch: Path) -> Section:
    """Compare starts with many media files, with none, and with the naive way to own them."""
    full, empty = unique(), unique()

    def start(volume: str, *command: str) -> None:
        docker("run", "--rm", "--volume", f"{volume}:/app/public/media", *command)

    with builder(scratch) as build:
        image, _unused = build(STANDIN)
        shell = ("--entrypoint=sh", image, "-c")
        ways = {
            "entrypoint, 100,000 files": partial(start, full, image, "true"),
            "entrypoint, empty volume": partial(start, empty, image, "true"),
            "`chown -R`, 100,000 files": partial(start, full, *shell, CHOWN, "sh", "true"),
            "no entrypoint, empty volume": partial(start, empty, "--entrypoint=true", image),
        }
        try:
            start(full, *shell, "cd public/media && seq 100000 | xargs touch && chown -R 1000:1000 .")
            rounds = [[seconds(way) for way in ways.values()] for _turn in range(5)]
        finally:
            docker("volume", "rm", "--force", full, empty, check=False)
    found = rows(tuple(ways), rounds, "s")
    return Section(
        "`docker run --rm IMAGE true` with a media volume whose files all have the right owner and are in the page "
        "cache, with an empty one, and with what is often done instead at each start.",
        [*found, ratio("many files / none", found[0], found[1]), ratio("`chown -R` / entrypoint", found[2], found[0])],
    )


def demo(scratch: Path, cold: bool) -> Section:
    """Run the demo twice from nothing and compare."""

    def once() -> dict[str, float]:
        output = run("make", "-C", str(ROOT), "demo").stdout
        (line,) = re.findall("^Seconds: .*", output, flags=re.MULTILINE)
        phases = re.findall(r" ([a-z][a-z ]*) (\d+) s", line) + re.findall(r"()(\d+) s in all", line)
        return {name or "in all": float(took) for name, took in phases}

    run("make", "-C", str(ROOT), "demo-clean")
    if cold:
        docker("builder", "prune", "--all", "--force")
    first, second = once(), once()
    found = [
        Row(f"{phase}, {nth}", [of[phase]], "s") for phase in first for nth, of in (("1st", first), ("2nd", second))
    ]
    share = ratio("2nd / 1st", found[-1], found[-2])
    return Section(
        "`make demo` twice after `make demo-clean`, by the whole seconds that it reports itself. The build cache was "
        f"{'emptied' if cold else 'left as it was'}; the base images, `.venv` and the engine were there already.",
        [*found, share],
        judged("the 2nd takes under 30 % of the 1st", f"{share.median:.0%}", share.median < 0.3),
    )


def main() -> int:
    """Run what was asked for; a benchmark that breaks does not stop the others."""
    deploys = (plays, applications, health_wait, entrypoint, fleet)
    backups = (backup, backup_series, backup_small_files, backup_memory, backup_restore, backup_sizes, backup_lists)
    usual = (*deploys, *backups)
    benchmarks = {
        one.__name__: one
        for one in (*usual, rebuild, image_size, demo, transfer, transfer_memory, update, hardening, pages)
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(benchmarks))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--demo-cold", action="store_true")
    asked = parser.parse_args()
    if not set(asked.names) <= set(benchmarks):
        parser.error(f"the benchmarks are {', '.join(benchmarks)}")
    benchmarks["demo"] = partial(demo, cold=asked.demo_cold) if asked.demo or asked.demo_cold else lambda _: NO_DEMO

    done, broken = {}, []
    for name in asked.names or (benchmarks if asked.all else [one.__name__ for one in usual]):
        print(f"{name} ...", file=sys.stderr)
        where = environment()
        try:
            with TemporaryDirectory(prefix="bench-") as scratch:
                section = benchmarks[name](Path(scratch))
            done[name] = section.text(name, where)
            for growth in section.growths:
                growth.save()
        except Exception:
            traceback.print_exc()
            broken.append(name)
    print("\n".join([TITLE, *done.values()]))
    save(HERE / "results.md", list(benchmarks), done)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
