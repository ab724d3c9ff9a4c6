# SPDX-License-Identifier: GPL-3.0-or-later
"""The command docker-vps, which does on the host, by a timer or by hand, what the modules do through Ansible."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, TextIO, Tuple, TypeVar

from .._backup import (
    backup,
    database_upkeep,
    drill,
    export,
    job_history,
    offsite,
    prune,
    restore,
    restore_source,
    verify,
)
from .._backup.uploads import UploadsQuery
from .._core.alerts import AlertRules
from .._core.clock import WallClock
from .._core.data_loss import LossLimits
from .._core.deploy_lock import Held
from .._core.errors import DockerVpsError
from .._core.heal import HealRules
from .._core.health import Start
from .._core.maintenance import DueAfter
from .._core.retention import Policy
from .._core.watch import Thresholds
from .._engine.compose import Compose
from .._engine.sdk import ANSWER_WITHIN, Address, Engine, SystemClock
from .._engine.systemd import engine_start
from .._engine.visitor import visit
from .._engine.watched_host import WatchedHost
from .._release import cutover, cutover_state, engine_restart, maintenance
from .._release.public_check import Visitor
from .._release.watch import Host, WatchWorld
from .._release.watch import Params as WatchParams
from .._store import files
from .._store.lock import Locked
from .._store.releases import Releases
from .._store.restic import Restic
from .._store.sets import Sets
from . import watch
from .notify import notify_of, tell
from .wording import worded

SCHEDULED = (
    "backup",
    "verify",
    "drill",
    "maintenance",
)  # their runs are recorded, and reported to whom the configuration names
LOOK_AGAIN = 5.0  # seconds, for a lock that somebody holds
WATCHED_WITHIN = 10  # seconds for an answer of the engine to a watch, which must not wait long

T = TypeVar("T")
Steps = Iterator[Tuple[str, Mapping[str, Any]]]


def connected(address: str, within: int = ANSWER_WITHIN) -> Engine:
    """Connect to an engine.

    Raises:
        DockerVpsError: the Docker SDK is missing, or no engine answers.
    """
    return Engine.connect(Address(address), within)


@dataclass(frozen=True)
class CommandWorld:
    """What the command meets: where it writes, the time, and the engine at an address, for a watch an impatient one."""

    out: TextIO
    err: TextIO
    clock: WallClock
    connect: Callable[[str], Any]
    engine_start: Callable[[], Start] = engine_start
    watched: Callable[[str], Any] = partial(connected, within=WATCHED_WITHIN)
    host: Host = field(default_factory=WatchedHost)
    visit: Visitor = visit


def run_as_command() -> None:
    """Run as the program of a host; ends the process."""
    # A timer's run that is stopped cleans up as one that a person interrupts.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    world = CommandWorld(sys.stdout, sys.stderr, SystemClock(), connected)
    home = os.path.dirname(os.path.dirname(os.path.realpath(sys.argv[0])))
    raise SystemExit(main(sys.argv[1:], os.path.join(home, "backup.json"), world))


def main(argv: Sequence[str], config: str, world: CommandWorld) -> int:
    """Do what the arguments ask and return the exit code: 0, or 1 when it failed.

    Args:
        argv: the arguments, without the program's name.
        config: the configuration to use when the arguments name none.
    """
    asked = _parser(config).parse_args(argv)
    began, at = world.clock.now(), world.clock.utc().strftime("%Y-%m-%dT%H:%M:%SZ")
    report = _Report(asked.json, world)
    try:
        app = _App(asked, world)
    except DockerVpsError as error:
        return report.end(asked.job, 0.0, error.message, {})

    def ended(problem: str, evidence: Mapping[str, Any]) -> int:
        seconds = round(world.clock.now() - began, 1)
        if app.recorded:
            message = problem.split("\n")[0] or " ".join(report.lines)  # without the log lines of a drill
            app.note(asked.job, job_history.Run(at, not problem, seconds, message, tuple(report.cautions)))
        return report.end(asked.job, seconds, problem, evidence)

    with app.begun():
        try:
            for name, result in _JOBS[asked.job].steps(app):
                report.step(name, result)
        except DockerVpsError as error:
            return ended(error.message, error.evidence)
        except OSError as error:
            return ended(files.unforeseen(asked.job, error).message, {})
        except KeyboardInterrupt:
            return ended(f"{asked.job} was interrupted; what it had begun is undone.", {})
        except Exception as error:
            ended(f"{asked.job} failed in a way that was not foreseen: {type(error).__name__}: {error}.", {})
            raise
        return ended("", {})


class _Report:
    """What is written: the summary of each step as it ends, or everything as JSON at the end."""

    def __init__(self, as_json: bool, world: CommandWorld) -> None:
        self.as_json, self.world = as_json, world
        self.lines: list[str] = []
        self.cautions: list[str] = []
        self.results: dict[str, Mapping[str, Any]] = {}

    def step(self, name: str, result: Mapping[str, Any]) -> None:
        self.results[name] = result
        summary = result["summary"]
        lines = [summary] if isinstance(summary, str) else summary
        self.lines += lines
        self.cautions += result.get("cautions", ())
        if not self.as_json:
            _say(self.world.out, lines)

    def end(self, job: str, seconds: float, problem: str, evidence: Mapping[str, Any]) -> int:
        if self.as_json:
            report = {"job": job, "success": not problem, "seconds": seconds, "problem": problem, "evidence": evidence}
            report["results"] = self.results
            json.dump(worded(report), self.world.out, indent=2, default=str)
            self.world.out.write("\n")
        if problem:
            _say(self.world.err, [problem])
        return 1 if problem else 0


def _say(stream: TextIO, lines: Iterable[str]) -> None:
    stream.writelines(f"{worded(line)}\n" for line in lines)
    stream.flush()


class _App:
    """The application of a configuration, and what was asked for it."""

    def __init__(self, asked: argparse.Namespace, world: CommandWorld) -> None:
        self.asked, self.world, self.clock = asked, world, world.clock
        self.config = _read(asked.config)
        self.sets = self.of(lambda given: Sets(given["directory"], given["app"]))
        self.channels = self.of(lambda given: notify_of(given["notify"]))

    def of(self, build: Callable[[Mapping[str, Any]], T]) -> T:
        """Return something built from the configuration.

        Raises:
            DockerVpsError: a part of it is missing or unknown.
        """
        try:
            return build(self.config)
        except (KeyError, TypeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise DockerVpsError(f"{self.asked.config} is invalid: {what}. Run the role schedule again.") from error

    def connect(self) -> Any:
        """Connect to the engine of the application."""
        return self.world.connect(self.of(lambda given: str(given["docker_host"])))

    def patiently(self, step: Callable[[], T]) -> T:
        """Do a step, after waiting as long as asked for any other job that is running.

        Raises:
            Locked, Held: they are still running.
        """
        until = self.clock.now() + self.asked.wait
        shown = ""
        while True:
            try:
                return step()
            except (Locked, Held) as error:
                if self.clock.now() >= until:
                    raise
                busy = error.message
            # Not before the exception is gone, with all that its frames held: an interrupt that comes while such things
            # are finalized is lost.
            if not shown:
                _say(self.world.err, [busy])
            shown = busy
            self.clock.sleep(LOOK_AGAIN)

    @property
    def recorded(self) -> bool:
        """Whether the run is kept and reported."""
        return self.asked.job in SCHEDULED and not self.asked.check

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Let it be known that a job is running whose runs are kept; see runs.begun."""
        if not self.recorded:
            yield
            return
        with contextlib.suppress(DockerVpsError):  # the job itself will say so
            self.sets.prepare()
        with job_history.begun(self.sets.directory, self.asked.job):
            yield

    def note(self, job: str, run: job_history.Run) -> None:
        """Keep a run and send notifications; what fails in that is printed in addition."""
        problems = []
        try:
            self.sets.prepare()
            job_history.record(self.sets.directory, job, run)
        except DockerVpsError as error:
            problems.append(error.message)
        news = {"app": self.sets.app, "host": socket.gethostname(), "job": job, **asdict(run)}
        _say(self.world.err, [*problems, *tell(self.channels, worded(news))])


def _read(path: str) -> Mapping[str, Any]:
    kept = files.read(path)
    if kept is None:
        raise DockerVpsError(f"There is no configuration {path}; name one with --config, or run the role schedule.")
    try:
        given = json.loads(kept.text)
    except ValueError as error:
        raise DockerVpsError(f"{path} is not JSON: {error}. Run the role schedule again.") from error
    if not isinstance(given, dict):
        raise DockerVpsError(f"{path} is not a JSON object. Run the role schedule again.")
    return given


def _backup(app: _App) -> Steps:
    params = replace(app.of(_backup_params), accept_loss=app.asked.accept_loss)
    yield "backup", app.patiently(lambda: backup.run(params, app.sets, app.connect, app.clock, False))
    yield from _prune(app)  # first, since a repository that is out of reach must not fill the disk
    yield from _offsite(app)


def _backup_params(given: Mapping[str, Any]) -> backup.Params:
    wanted = given["backup"]
    uploads = backup.Query(**wanted["uploads"]) if wanted["uploads"] else None
    limits = LossLimits(**{**wanted["limits"], "ignore": tuple(wanted["limits"]["ignore"])})
    return backup.Params(app=given["app"], **{**wanted, "uploads": uploads, "limits": limits})


def _offsite(app: _App) -> Steps:
    given = app.of(lambda config: config["offsite"])
    if not given:
        return
    repository = app.of(lambda _: Restic(given["repository"], given["password"], given["environment"], options={}))
    host = app.of(lambda _: str(given["host"]))
    states = ["copied", *(["pruned"] if app.of(lambda _: given["prune"]) else [])]
    for state in states:
        # All sets, so that days on which the repository was out of reach are made up.
        params = offsite.Params(state, "all", _policy(app), host=host, only_kept="pruned" in states)
        step = partial(offsite.run, params, app.sets, repository, app.clock, False)
        yield f"offsite, {state}", app.patiently(step)


def _prune(app: _App) -> Steps:
    params = prune.Params(_policy(app))
    yield "prune", app.patiently(lambda: prune.run(params, app.sets, app.connect, app.clock, False))


def _policy(app: _App) -> Policy:
    return app.of(lambda given: Policy(**given["prune"]))


def _releases(app: _App) -> Releases:
    environment = app.of(lambda given: str(given["drill"]["env_file"]))
    return Releases(os.path.dirname(os.path.realpath(app.asked.config)), environment)


def _recover(app: _App) -> Steps:
    """What a cutover that was interrupted, by a power failure for example, has left, or a crash of the engine."""
    releases = _releases(app)
    world = cutover_state.CutoverWorld(
        releases, app.connect, Compose(app.of(lambda given: str(given["docker_host"]))), app.clock
    )

    def recovered() -> list[str]:
        with releases.lock("recovering what was interrupted", 0.0):
            sentences = [recovery.summary for recovery in cutover.recover_all(world)] if releases.unfinished() else []
            back = engine_restart.bring_back(app.connect(), app.sets.app, app.world.engine_start())
            return [*sentences, *back]

    summary = app.patiently(recovered) if os.path.isdir(releases.directory) else []
    yield "recover", {"summary": summary or "No cutover was interrupted."}


def _verify(app: _App) -> Steps:
    result = verify.run(verify.Params(level="full", fail_on_problems=True), app.sets, app.clock)
    if not result["sets"]:
        raise DockerVpsError(
            f"There is no backup set of {app.sets.app} in {app.sets.directory}: run docker-vps backup."
        )
    if not result["newest_good"]:
        app.sets.find("latest", app.clock.utc())  # which says that all are dated later than now
    whole = f"Sets of {app.sets.app} that are whole: {len(result['sets'])}."
    yield "verify", {**result, "summary": [whole, *result["cautions"]]}


def _list(app: _App) -> Steps:
    yield "list", verify.run(verify.Params(), app.sets, app.clock)


def _drill(app: _App) -> Steps:
    params = app.of(lambda given: drill.Params(app=given["app"], set=app.asked.set, **given["drill"]))
    yield "drill", app.patiently(lambda: drill.run(params, app.sets, app.connect, app.clock, False))


def _export(app: _App) -> Steps:
    params = export.Params(app.asked.set, os.path.abspath(app.asked.to))
    yield "export", app.patiently(lambda: export.run(params, app.sets, app.clock, app.asked.check))


def _restore(app: _App) -> Steps:
    asked = app.asked
    params = restore_source.Params(
        app=app.sets.app,
        set=asked.set,
        stop_app=asked.stop_app,
        allow_outside_links=asked.allow_outside_links,
        undo=asked.undo,
        uploads=app.of(_uploads_of),
    )
    if _releases(app).unfinished():
        yield from _recover(app)  # or recovering it later would take the restored data away again
    yield "restore", app.patiently(lambda: restore.run(params, app.sets, app.connect, app.clock, False))


def _uploads_of(given: Mapping[str, Any]) -> Optional[UploadsQuery]:
    wanted = given["backup"]["uploads"]
    return UploadsQuery(wanted["query"], given["backup"]["volumes"][wanted["archive"]]) if wanted else None


def _watch(app: _App) -> Steps:
    wanted = app.of(lambda given: _watch_of(app, given))
    if app.asked.test:
        yield "test", watch.test(wanted, app.clock.utc())
        return
    address = app.of(lambda given: str(given["docker_host"]))
    world = app.world
    place = WatchWorld(lambda: world.watched(address), world.host, app.clock, world.visit, app.sets, _releases(app))
    result = app.patiently(lambda: watch.look_and_tell(wanted, place))
    yield "watch", result
    if result["problems"]:
        raise DockerVpsError(" ".join(result["problems"]))


def _watch_of(app: _App, given: Mapping[str, Any]) -> watch.Watch:
    wanted = dict(given["watch"])
    rules, place = AlertRules(**wanted.pop("alerts")), wanted.pop("metrics")
    params = WatchParams(
        app=given["app"],
        volumes=given["backup"]["volumes"],
        database=given["backup"].get("database", ""),
        thresholds=Thresholds(**watch.numbers(Thresholds, wanted.pop("thresholds"))),
        heal_rules=HealRules(**watch.numbers(HealRules, wanted.pop("heal_rules"))),
        **wanted,
    )
    return watch.Watch(params, rules, app.channels, place, socket.gethostname())


def _maintenance(app: _App) -> Steps:
    params = app.of(_maintenance_params)
    world = maintenance.MaintenanceWorld(app.connect, app.clock, app.sets, _releases(app))
    if app.asked.check:
        yield "maintenance", maintenance.run(params, world, check_mode=True)
        return
    yield "maintenance", app.patiently(lambda: maintenance.run_alone(params, world))


def _maintenance_params(given: Mapping[str, Any]) -> maintenance.Params:
    wanted = dict(given["maintenance"])
    tending = database_upkeep.Params(
        given["backup"]["volumes"], given["backup"].get("database", ""), **wanted.pop("databases")
    )
    after = DueAfter(**wanted.pop("after"))
    return maintenance.Params(app=given["app"], databases=tending, after=after, **wanted)


def _status(app: _App) -> Steps:
    last = job_history.read(app.sets.directory)
    lines = [f"{job}: {last[job].summary() if job in last else 'never ran.'}" for job in SCHEDULED]
    yield "status", {"runs": {job: asdict(run) for job, run in last.items()}, "summary": lines}
    failed = [job for job in SCHEDULED if job in last and not last[job].success]
    if failed:
        raise DockerVpsError(f"The last run of {', '.join(failed)} failed.")
    app.sets.refuse_read_only()  # where no job could say that it failed


@dataclass(frozen=True)
class _Job:
    """What the command can do, and what it says about that."""

    steps: Callable[[_App], Steps]
    help: str


_JOBS: Mapping[str, _Job] = {
    "backup": _Job(_backup, "make a set, prune, and copy it off-site if that is configured"),
    "verify": _Job(_verify, "read all sets in full and compare them with their manifests"),
    "drill": _Job(_drill, "prove a set by restoring and starting it beside the application"),
    "prune": _Job(_prune, "remove the sets that no rule keeps"),
    "list": _Job(_list, "show the sets"),
    "watch": _Job(_watch, "look at the application and its host once, and tell of what has changed"),
    "maintenance": _Job(_maintenance, "remove what nobody needs any more, tend the databases, and say what is due"),
    "status": _Job(_status, "show how the last backup, verify and drill ended; fails when one failed"),
    "recover": _Job(
        _recover, "finish or undo what was interrupted; a timer does it when the host or the engine starts"
    ),
    "export": _Job(_export, "write a set into another directory as plain archives"),
    "restore": _Job(_restore, "put the data of a set instead of what is there"),
}


def _parser(config: str) -> argparse.ArgumentParser:
    # The same options before and after the job, since nobody remembers the order at night.
    parser = argparse.ArgumentParser(prog="docker-vps", description=__doc__)
    _add_common(parser, config=config, json=False, wait=0.0, check=False)
    after = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    _add_common(after)
    jobs = parser.add_subparsers(dest="job", metavar="JOB", required=True)
    for name, job in _JOBS.items():
        subparser = jobs.add_parser(name, parents=[after], help=job.help, description=job.help)
        if name == "backup":
            subparser.add_argument(
                "--accept-loss", action="store_true", help="what is gone since earlier sets is gone for good"
            )
        if name in ("maintenance", "export"):
            subparser.add_argument("--check", action="store_true", help="only tell what would be done")
        if name == "watch":
            subparser.add_argument("--test", action="store_true", help="only send a test through every channel")
        if name in ("drill", "restore"):
            subparser.add_argument("set", nargs="?", default="latest", help="latest, a timestamp or a path")
        if name == "export":
            subparser.add_argument("set", help="latest, a timestamp or a path")
            subparser.add_argument("to", metavar="directory", help="where to; it is made when it is missing")
        if name == "restore":
            subparser.add_argument(
                "--stop-app", action="store_true", help="stop a running application for the exchange"
            )
            subparser.add_argument(
                "--undo", action="store_true", help="put back what was there before the last restore"
            )
            subparser.add_argument(
                "--allow-outside-links", action="store_true", help="let links lead out of the volume"
            )
    return parser


def _add_common(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration (backup.json)")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--wait", metavar="SECONDS", type=float, help="wait for another job that is running")
    parser.set_defaults(**defaults)
