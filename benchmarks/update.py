# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what visitors and editors meet during updates, against the specification's `down` and `up`."""

from __future__ import annotations

import json
import time
from functools import partial
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from lab import STANDIN, App, copied, docker, request, run, until
from report import Row, Section, judged, ratio
from traffic import Report, Traffic, proxy

ROUNDS = 1
NAME, PORT, RATE = "bench-update", 8097, 50
QUIET = 15.0  # seconds
HEALTH_WAIT = 5  # seconds that a version has that never becomes healthy
PLAIN = ":80\nreverse_proxy {name}:3000\n"


class Met(NamedTuple):
    """What traffic met while something was done, and what was measured beside it."""

    report: Report
    cutover: Report  # of the requests from the start of the new container until the old one is gone
    answered: float = 0.0  # seconds from the verdict until the old version answered


class Event(NamedTuple):
    """What the engine did with a container, and when by the monotonic clock."""

    at: float
    container: str
    action: str


class Site:
    """The stand-in application behind the proxy, under traffic when something is done to it."""

    def __init__(self, app: App, url: str, sources: Path) -> None:
        self.app, self.url, self.sources = app, url, sources
        self.versions = count(1)

    def during(self, action: Callable[[], object]) -> Met:
        """Do something under traffic; the requests that count are those that were due from its start to the end."""
        with Traffic(self.url, RATE) as traffic:
            time.sleep(1)
            began, clock = time.monotonic(), time.time() - time.monotonic()
            action()
            time.sleep(2)
        names = [row["name"] for row in self.app.get("/api/vendors").json["docs"]]
        return self.met(traffic, names, began, events(began, clock))

    def met(self, traffic: Traffic, names: Sequence[str], began: float, done: Sequence[Event]) -> Met:
        """Say what the traffic met."""
        new, old = f"{self.app.container}-next", f"{self.app.container}-old"
        start = first(done, new, ["start"])
        verdict = first(done, new, ["kill", "stop", "die", "destroy"], after=start)
        ends = [one.end for one in traffic.sent if one.end > verdict and not one.error]
        cutover = traffic.report(names, start, first(done, old, ["destroy"]))
        return Met(traffic.report(names, since=began), cutover, min(ends, default=0) - verdict)

    def new_version(self) -> None:
        """Change the sources, so that an image has to be built."""
        (self.sources / "version.js").write_text(f"// {next(self.versions)}\n")

    def update(self, **variables: Any) -> Met:
        """Update to a new version."""
        self.new_version()
        return self.during(lambda: self.app.playbook("update", **variables).succeeded())

    def unchanged(self) -> Met:
        """Run an update that has nothing to do."""
        return self.during(lambda: self.app.playbook("update").succeeded())

    def down_up(self) -> Met:
        """Do what the specification's script does with the containers, and wait until the application answers."""
        compose = ("docker", "compose", "--file", str(self.app.directory / "compose.yml"))

        def replace() -> None:
            run(*compose, "down")
            run(*compose, "up", "--detach")
            until(self.answers, 60, "an answer")

        return self.during(replace)

    def fail(self) -> Met:
        """Update to a version that never becomes healthy."""
        self.new_version()
        variables = {"docker_vps_env": {"STANDIN_UNHEALTHY": "1"}, "docker_vps_health_wait": HEALTH_WAIT}
        return self.during(lambda: self.app.playbook("update", **variables).failed())

    def answers(self) -> bool:
        """Whether the application itself answers."""
        try:
            return request(self.app.url("/api/health")).status == 200
        except (OSError, KeyError, AssertionError):
            return False

    def stop_and_start(self) -> tuple[float, float]:
        """Return how many seconds the application itself needs to stop, and to start until it answers."""
        began = time.perf_counter()
        docker("stop", self.app.container)
        stopped = time.perf_counter()
        docker("start", self.app.container)
        until(self.answers, 60, "an answer")
        return stopped - began, time.perf_counter() - stopped


def events(since: float, clock: float) -> list[Event]:
    """Return what the engine has done since a monotonic time; ``clock`` is what its own clock is ahead of that."""
    period = ("--since", f"{since + clock:.9f}", "--until", f"{time.time():.9f}")
    printed = docker("events", *period, "--filter", "type=container", "--format", "{{json .}}").splitlines()
    every = (json.loads(line) for line in printed)
    return [Event(one["timeNano"] / 1e9 - clock, one["Actor"]["Attributes"]["name"], one["Action"]) for one in every]


def first(done: Sequence[Event], container: str, actions: Sequence[str], after: float = 0) -> float:
    """Return when the engine first did one of these things with a container, infinity when it never did."""
    at = (one.at for one in done if one.container == container and one.action in actions and one.at > after)
    return next(at, inf)


def update(scratch: Path) -> Section:
    """Compare updates with both strategies, the specification's way, and a rollback."""
    sources = copied(STANDIN, scratch / "app")
    server = sources / "server.js"
    server.write_text("require('./version.js')\n" + server.read_text())
    build = sources / "build.js"
    build.write_text(build.read_text() + "fs.copyFileSync('version.js', '.next/standalone/version.js')\n")
    (sources / "version.js").write_text("// 0\n")
    app = App(NAME, scratch, docker_vps_source_path=str(sources), docker_vps_server_url=f"http://localhost:{PORT}")
    overlap = {"docker_vps_cutover": "start-first", "docker_vps_start_first_force": True}
    app.remove()
    try:
        app.deploy().succeeded()
        with proxy(f"{NAME}-proxy", app, PORT) as url:
            site = Site(app, url, sources)
            ways: Mapping[str, Callable[[], Met]] = {
                "quiet": partial(site.during, partial(time.sleep, QUIET)),
                "stop-first": site.update,
                "start-first": partial(site.update, **overlap),
                "nothing to update": site.unchanged,
                "`down`, `up`": site.down_up,
                "rollback": site.fail,
            }
            met: dict[str, list[Met]] = {name: [] for name in ways}
            own = []
            for _turn in range(ROUNDS):
                for name, way in ways.items():
                    met[name].append(way())
                own.append(site.stop_and_start())
        with proxy(f"{NAME}-proxy", app, PORT, caddyfile=PLAIN.format(name=app.container)) as url:
            plain = [Site(app, url, sources).down_up() for _turn in range(ROUNDS)]
    finally:
        app.remove()
    return section({**met, "`down`, `up`, plain proxy": plain}, own)


def section(met: Mapping[str, Sequence[Met]], own: Sequence[tuple[float, float]]) -> Section:
    """Say what was met."""
    stop = Row("the application's own stop", [one[0] for one in own], "s")
    start = Row("its own start until it answers", [one[1] for one in own], "s")
    p99 = {name: Row(f"p99, {name}", [1e3 * one.report.p99 for one in of], "ms") for name, of in met.items()}
    longest = {
        name: Row(f"longest request, {name}", [one.report.longest for one in of], "s") for name, of in met.items()
    }
    failed = {
        name: Row(f"failed requests, {name}", [len(one.report.failed) for one in of], "") for name, of in met.items()
    }
    answered = Row(
        "rollback, from the verdict until the old version answers", [one.answered for one in met["rollback"]], "s"
    )
    late = max(one.report.late for of in met.values() for one in of)
    cutover = Row(
        "p99, overlap, the cutover and its watch alone", [1e3 * one.cutover.p99 for one in met["start-first"]], "ms"
    )
    slower = [
        ratio("p99, overlap / quiet", p99["start-first"], p99["quiet"]),
        ratio("p99, overlap, the cutover and its watch alone / quiet", cutover, p99["quiet"]),
        ratio("p99, overlap / nothing to update", p99["start-first"], p99["nothing to update"]),
        ratio("longest, `down`, `up` / stop-first", longest["`down`, `up`"], longest["stop-first"]),
    ]
    allowed = [sum(one) + 1 for one in own]
    return Section(
        f"{RATE} requests/s, every second one a write with a name of its own, each on a connection of its own, through "
        "the documented Caddy to the stand-in application, whatever becomes of them; from the start of `update.yml` "
        "(a new image is built, and the release is watched for 10 s) until 2 s after its end. The time of a request "
        f"counts from when it was due; the latest was sent {1e3 * late:.0f} ms after that. The controller, the builds "
        "and the load are on the same 2 cores. What was written is compared with the database in the end. The "
        "specification's way is `docker compose down && docker compose up -d` with the image built already, through "
        "the same Caddy, and through a Caddy with nothing but `reverse_proxy`. The rollback is from a version that is "
        f"never healthy, after {HEALTH_WAIT} s.",
        [*p99.values(), cutover, *longest.values(), *failed.values(), stop, start, answered, *slower],
        "\n\n".join(
            [
                *(nothing_lost(name, met[name]) for name in ("stop-first", "start-first", "rollback")),
                at_most(
                    "the longest request with stop-first takes at most the application's own stop and start and 1 s",
                    longest["stop-first"].values,
                    allowed,
                ),
                judged(
                    "the p99 with overlap is under 2 times the quiet one",
                    f"{slower[0].median:.2f}",
                    slower[0].median < 2,
                ),
                at_most(
                    "a rollback takes at most the application's own start and 2 s",
                    answered.values,
                    [one[1] + 2 for one in own],
                ),
            ]
        ),
    )


def nothing_lost(name: str, met: Sequence[Met]) -> str:
    """Say whether all requests were answered, and all writes are there once."""
    reports = [one.report for one in met]
    numbers = [sum(len(getattr(one, what)) for one in reports) for what in ("failed", "lost", "doubled")]
    failed, lost, doubled = numbers
    found = f"{failed} failed, {lost} lost, {doubled} doubled of {sum(one.requests for one in reports)}"
    return judged(f"{name}: 0 failed requests and 0 lost writes", found, not any(numbers))


def at_most(wanted: str, found: Sequence[float], limits: Sequence[float]) -> str:
    """Say whether each round kept to its limit."""
    figures = ", ".join(f"{one:.2f} s of {limit:.2f} s" for one, limit in zip(found, limits))
    return judged(wanted, figures, all(one <= limit for one, limit in zip(found, limits)))
