# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a version live: the old one ends, the new one takes its name, and what fails is undone.

The new container is made and started under a name that no proxy asks for. Only when it is healthy does it get the
name by which it is reached, so nobody meets a version that may have to go again. With ``stop-first`` the old
version has ended before the new one starts, because two processes on one SQLite database lose data; a proxy that
holds requests meanwhile makes a short pause of it. With ``start-first`` the old one serves until the new one does.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from typing import Any, ContextManager, Iterator, List, Mapping, Optional, Sequence, Tuple, Type

from .._backup.databases import schemas, why_unused
from .._backup.journal import NotRunning, go_on
from .._backup.volumes import Volume, running, volume_of
from .._core import dotenv, environment, images, passwd, releases
from .._core.errors import DockerVpsError, EngineError
from .._core.hardening import LOOKED_AT, refused_writes
from .._core.health import HealthRules, Reason, WantedHealth, explain, judge
from .._core.health_check import command_of
from .._core.health_wait import asked
from .._core.host import FILES_LABEL, HASH_LABEL, PROJECT_LABEL
from .._core.manifest import new_id
from .._core.releases import HEALTHY, NextStep, Release
from .._core.remedies import play, setting
from .._core.text import listed, short
from .._engine.port import EnginePort
from .._store import files, tree
from .._store.lock import Locked
from .._store.place import few
from .._store.progress_file import begin_step
from .._store.releases import DEFINITION, ENVIRONMENT, Releases
from .._store.sets import Sets
from .._store.watchdog import guarded
from . import public_check, secret_change, start
from .cutover_state import COPY, NEXT, OLD, CutoverWorld, UnderWay, boot
from .health_probe import Probed, refuse_unfit
from .migration import UNLIMITED, Comparison
from .preconditions import (
    FAIL,
    SERVICE,
    START_FIRST,
    STOP_FIRST,
    Params,
    Ready,
    data_of,
    discard,
    dry_run,
    empty,
    old_of,
    prepare,
    refuse_others,
)
from .recovery import Recovered, finish, last_lines, left_beside, masked, recover, rename, wait_until_healthy
from .start import hash_now

RECOVERED_WITHIN = 120.0  # seconds that a run waits for the watcher of a killed one
WATCH_EVERY = 0.5  # seconds
HEARD_OUT_WITHIN = 3.0  # seconds
COMMAND_ENDS_WITHIN = 60.0  # seconds
_KILLED = 128 + 9  # the exit code after SIGKILL


def run(params: Params, sets: Sets, world: CutoverWorld, check_mode: bool) -> dict[str, Any]:
    """Put a version live unless it is, and return what was done, with the difference of the definitions.

    Raises:
        DockerVpsError: it is not live; what was before is, unless the message says otherwise.
    """
    diff = world.releases.definition_diff(params.definition)
    return {**put_live(params, sets, world, check_mode), "diff": diff}


def put_live(params: Params, sets: Sets, world: CutoverWorld, check_mode: bool) -> dict[str, Any]:
    """Put a version live unless it is, and return what was done.

    Raises:
        DockerVpsError: it is not live; what was before is, unless the message says otherwise.
    """
    engine = world.connect()
    if check_mode:
        params = _settled(params, world.releases)
        wanted, plan = _looked_at(params, world, engine, params.env_pending)
        summary = _WOULD[plan].format(release=wanted, how=params.strategy)
        result = _result(plan is not NextStep.NOTHING, wanted, world, summary)
        if plan not in (NextStep.FIRST, NextStep.CUTOVER):
            return result
        return {**result, "release": vars(wanted), "cautions": list(dry_run(params, sets, world, engine))}
    cautions: List[str] = []
    with contextlib.ExitStack() as held:
        with _put_back(world.releases, unless=(Locked,)):  # then they are the business of the job that is running
            world.releases.prepare()
            held.enter_context(world.releases.lock(f"a release of {params.app}", RECOVERED_WITHIN))
        held.callback(lambda: cautions.extend(_hold(sets, world.releases)))  # whatever is live then
        with _put_back(world.releases):
            recovered = recover_all(world)
        # Which is compared with what is live from now on; an env file that cannot be understood stays, to be fixed.
        params = _settled(params, world.releases)
        with _put_back(world.releases):
            wanted, plan = _looked_at(params, world, engine)
            if plan is NextStep.NOTHING:
                result = _result(bool(recovered), wanted, world, f"Release {world.releases.current()} is live already.")
            elif plan is NextStep.START:
                result = _started(params, wanted, world, engine)
            else:
                result = _Cutover.prepared(params, sets, world, engine, wanted).run()
    cautions = [*(recovery.summary for recovery in recovered), *result["cautions"], *cautions]
    return {**result, "cautions": cautions}


def _hold(sets: Sets, known: Releases, *under_way: Release) -> Sequence[str]:
    """Keep retention from the sets that a rollback of the live release restores, or of those under way.

    Return what keeps it from that, in a sentence.
    """
    try:
        kept, current = known.listing(), known.current()
        live = [release for release in kept if release.id == current]
        needed = [releases.sets_to_return(kept, release) for release in (*live, *under_way)]
        sets.hold({set_id: why for reasons in needed for set_id, why in reasons.items()})
    except DockerVpsError as error:
        return [f"Retention may remove the set that a rollback restores: {error.message}"]
    return []


def _settled(params: Params, releases_: Releases) -> Params:
    """Return how it is done: nobody may write while data is exchanged, or with a secret that the new version lacks."""
    pending = secret_change.is_due(params, releases_)
    strategy = STOP_FIRST if pending or params.restore else params.strategy
    return replace(params, secret_pending=pending, strategy=strategy)


@contextlib.contextmanager
def _put_back(releases_: Releases, unless: Tuple[Type[Exception], ...] = ()) -> Iterator[None]:
    """Put the live release's files back when there is no new one; the env file may be the new one's already."""
    try:
        yield
    except unless:
        raise
    except BaseException:
        with contextlib.suppress(DockerVpsError):  # there is something worse to tell
            current = releases_.current()
            if current:
                releases_.put_live(current)
        raise


def recover_left(app: str, world: CutoverWorld) -> list[Recovered]:
    """Take the lock, and finish or undo what killed runs have left."""
    world.releases.prepare()
    with world.releases.lock(f"a release of {app}", RECOVERED_WITHIN):
        return recover_all(world)


def recover_all(world: CutoverWorld) -> list[Recovered]:
    """Finish or undo what killed runs have left; under the lock."""
    left = [
        recover(world, release_id, "The run that was at it was killed.") for release_id in world.releases.unfinished()
    ]
    return [recovery for recovery in left if recovery]


_WOULD = {
    NextStep.NOTHING: "This version is live already.",
    NextStep.START: "This version would be started; it is the live one, and does not run as it should.",
    NextStep.FIRST: "{release.image} would be started as the first release.",
    NextStep.CUTOVER: "{release.image} would take the place of the live version ({how}).",
}


def _looked_at(
    params: Params, world: CutoverWorld, engine: EnginePort, env_pending: bool = False
) -> tuple[Release, NextStep]:
    environment = params.environment or files.read(world.releases.live[ENVIRONMENT])
    now = world.clock.utc()
    known, image = world.releases.listing(), engine.image(params.image)
    wanted = Release(
        id=new_id(now, world.releases.taken()),
        at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        image=params.image,
        image_id=images.identity(image),
        environment="" if env_pending else releases.fingerprint(environment.text if environment else ""),
        definition=releases.fingerprint(params.definition),
        revision=params.revision,
        pulled=params.pulled,
        base=images.base(image),
        secrets=params.secrets,
        deployed_by=params.deployed_by,
        strategy=params.strategy,
        message="It was interrupted before anything had changed.",
        rolled_back_to=params.rolled_back_to,
    )
    live = next((release for release in known if release.id == world.releases.current()), None)
    container = engine.container(params.container)
    unchanged = live is not None and releases.as_released(
        live,
        container,
        engine.image(container["Image"]) if container else None,
        lambda: hash_now(params.project, world),
    )
    plan = releases.plan(live, wanted, bool(old_of(params, world, engine)), unchanged)
    return wanted, NextStep.CUTOVER if params.restore and plan is not NextStep.FIRST else plan


def _started(params: Params, wanted: Release, world: CutoverWorld, engine: EnginePort) -> dict[str, Any]:
    """Bring up what is live already."""
    current = world.releases.current()
    old = old_of(params, world, engine)
    refuse_others(params, engine, old["Id"] if old else "")
    world.releases.put_live(current)
    start.bring_up(start.Params(params.project, params.container), world, engine)
    try:
        seconds = wait_until_healthy(engine, world.clock, params.container, params.health_timeout)
    except DockerVpsError as error:
        evidence = last_lines(engine, params.container, params.log_lines)
        message = (
            f"{error.message} Definition and environment are the ones that were healthy last, so there is nothing to "
            f"put back.{evidence}"
        )
        raise DockerVpsError(masked(world.releases, message, current)) from error
    summary = f"Release {current}, {wanted.image}, is live; it was started and is healthy after {seconds:.1f} s."
    return _result(True, wanted, world, summary)


def _result(changed: bool, wanted: Release, world: CutoverWorld, summary: str, **more: Any) -> dict[str, Any]:
    current = world.releases.current()
    live = world.releases.read(current) if current else None
    result: dict[str, Any] = {"changed": changed, "summary": summary, "cautions": [], "pruned": []}
    result["release"] = vars(live or wanted)
    return {**result, **more}


class _Cutover:
    """One cutover, under the lock."""

    def __init__(
        self,
        params: Params,
        sets: Sets,
        world: CutoverWorld,
        engine: EnginePort,
        ready: Ready,
        release: Release,
        way: UnderWay,
        began: float,
    ) -> None:
        self.params, self.sets, self.world, self.engine = params, sets, world, engine
        self.clock, self.releases = world.clock, world.releases
        self.ready, self.release, self.way, self.began = ready, release, way, began
        self.previous = way.previous
        self.cautions = list(ready.cautions)
        self.comparison = Comparison(params.loss_ignore)
        self.lost = ""
        self.downtime_began: Optional[float] = None
        self.downtime = 0.0

    @classmethod
    def prepared(cls, params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort, wanted: Release) -> _Cutover:
        """Refuse what cannot go well, make the backup and stage the data, so that the cutover can run."""
        began = world.clock.now()
        current = world.releases.current()
        previous = current if current and world.releases.read(current) else ""
        ready = prepare(params, sets, world, engine, wanted)
        way = UnderWay(
            wanted.id,
            params.project,
            params.container,
            previous=previous,
            old=ready.old,
            called=ready.called,
            ran=ready.ran,
            health_timeout=params.health_timeout,
            log_lines=params.log_lines,
            proxy_reload_command=tuple(params.proxy_reload_command),
            data=params.data_on_failure,
            boot=boot(),
            reachable=bool(params.aliases),  # by those the new container is known from its start
        )
        return cls(params, sets, world, engine, ready, replace(wanted, backup=ready.backup), way, began)

    def run(self) -> dict[str, Any]:
        """Cut over, or fail and leave what was before."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self._alone())
                self._refuse_without_backup()
            except BaseException:
                discard(self.ready.staged)
                raise
            _hold(self.sets, self.releases, self.release)  # what keeps it from that is said in the end
            held.enter_context(guarded(self._unattended))
            try:
                self.releases.begin(self.release, self.params.definition, self.ready.environment)
                self._go()
            except BaseException as error:
                self._undo(error)
                raise
            finish(self.world, self.engine, self.way)
            if self.ready.data:
                self.cautions += left_beside(self.ready.data.root)
        pruned = self._pruned()
        return _result(True, self.release, self.world, self._summary(), cautions=self.cautions, pruned=pruned)

    def _alone(self) -> ContextManager[None]:
        """Keep backups and restores away meanwhile."""
        if os.path.isdir(self.sets.directory):
            return self.sets.lock("a release", RECOVERED_WITHIN)
        return contextlib.nullcontext()

    def _refuse_without_backup(self) -> None:
        """Refuse when others have removed the backup before it was held."""
        made = self.release.backup
        if made and made not in self.sets.taken():
            raise DockerVpsError(
                f"The backup set {made}, made before the release, is not in {self.sets.directory} any more: another "
                "run has removed it meanwhile. Nothing was changed. Run it again."
            )

    # The cutover

    def _go(self) -> None:
        data = self.ready.data
        where = {"volume": data.name, "live": data.root} if data else {}
        self.way = self.way.write(self.releases, **where)
        self._make()
        if self.ready.data and self.ready.staged:
            self.comparison.begin(self.ready.data.name, self.ready.staged, UNLIMITED)  # the old version serves
        if self.params.strategy == START_FIRST:
            self._start()
            self._take_name()
            self._retire()
        else:
            self._retire()
            self._secure_data()
            self._start()
            self._take_name()
        self._watch()
        self._visit()
        self._commit()

    def _make(self) -> None:
        """Have Compose make the new container, under a name that nobody asks for."""
        begin_step("the new container is made")
        params, home = self.params, self.releases.home
        fresh = empty(self.engine, params.database_volume)
        self.releases.put_live(self.release.id)
        waiting = params.container + NEXT
        definition = self.releases.live[DEFINITION]  # Compose writes its path on the container, as whose that is
        project, definitions, made = params.project, [definition], params.container
        self.engine.remove_container(waiting)
        override = self.releases.path(self.release.id, "next.yml")
        if self.way.old:
            self._make_volumes()
            # In the project itself Compose would put it instead of the old one.
            external = {key: {"external": True} for key in params.volumes}
            text = json.dumps({"services": {SERVICE: {"container_name": waiting}}, "volumes": external})
            files.replace(override, files.own(text))
            project, definitions, made = params.project + NEXT, [definition, override], waiting
        self.world.commands.create(project, home, definitions)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(override)
        config_hash = self.world.commands.config_hash(params.project, home, definition, SERVICE)
        self.release = replace(self.release, config_hash=config_hash)
        labels = {
            PROJECT_LABEL: params.project,
            FILES_LABEL: self.releases.live[DEFINITION],
            HASH_LABEL: config_hash,
        }
        new = self.engine.recreate(made, waiting, labels, self.params.aliases)
        self.way = self.way.write(self.releases, new=new)
        refuse_unfit(self.engine, new)
        self._give_volumes()
        if fresh:
            self._look_for_database_of_image()

    def _give_volumes(self) -> None:
        """Give volumes that nobody has used to the user of the image, or to PUID and PGID when it names none.

        The engine gives them the owner of the directory in the image, and root's when there is none.
        """
        env = dotenv.parse(self.ready.environment.text)
        user = images.user(self.engine.image(self.params.image)) or f"{env.get('PUID', '')}:{env.get('PGID', '')}"
        ids = passwd.ids_of(user, self.engine.text(self.way.new, "/etc/passwd")) if user else None
        if not ids or self.params.external:
            return
        for name in self.params.volumes.values():
            with contextlib.suppress(DockerVpsError, OSError):  # the application will say what it misses
                volume = volume_of(self.engine, name)
                if volume and not os.listdir(volume.root) and os.stat(volume.root).st_uid == 0:
                    os.chown(volume.root, *ids)

    def _look_for_database_of_image(self) -> None:
        """Tell of a database that the engine has copied from the image into the new volume, as it does only once."""
        with contextlib.suppress(DockerVpsError):  # what cannot be looked into
            volume = volume_of(self.engine, self.params.database_volume)
            brought = tree.survey(volume.root).databases if volume else ()
            if brought:
                self.cautions.append(
                    f"The volume {self.params.database_volume} was empty and begins with {few(brought)}, which is in "
                    f"the image {self.params.image}. What later images have there will not be seen: leave databases "
                    "out of the image, and have the application make its own."
                )

    def _make_volumes(self) -> None:
        """Make new volumes as Compose would in the project, since for the throw-away one they are external."""
        project = self.params.project
        for key, name in () if self.params.external else self.params.volumes.items():
            if self.engine.volume(name) is None:
                labels = {PROJECT_LABEL: project, "com.docker.compose.volume": key}
                self.engine.create_volume(name, "local", labels)

    def _retire(self) -> None:
        """Let the old version end; whoever asks for its name from now on has to wait for the new one."""
        if not self.way.old:
            return
        begin_step("the old version ends")
        self.way = self.way.write(self.releases, retired=True, retired_at=self.clock.utc().timestamp())
        self._let_go_of_name()
        if not self.way.ran:
            return
        if self.downtime_began is None and self.params.strategy == STOP_FIRST:
            self.downtime_began = self.clock.now()
        if self.params.drain_timeout > 0:
            self.clock.sleep(self.params.drain_timeout)
        self._hear_out()
        self.engine.stop(self.way.old)
        old = self.engine.container(self.way.old)
        if old and old["State"]["Running"]:
            name = self.params.container + OLD
            raise DockerVpsError(f"The old version in {name} does not end. See why with docker logs {name}.")
        if old and old["State"].get("ExitCode") == _KILLED:
            self.cautions.append(
                "The old version did not end at SIGTERM and was killed after its grace period, for which users waited. "
                'If a shell is its first process, start it without: CMD ["node", "server.js"] in its Dockerfile.'
            )

    def _hear_out(self) -> None:
        """Wait until the old version has accepted every connection that was opened before this question.

        One that still waits when a server stops listening is reset by the kernel, and a proxy cannot send a POST again.
        They are accepted in the order in which they came, so an answer to one more tells that all were.
        """
        old = self.engine.container(self.way.old) or {}
        command = command_of(old.get("Config") or {})
        until = self.clock.now() + HEARD_OUT_WITHIN
        with contextlib.suppress(EngineError):
            asked = self.engine.begin(self.way.old, command) if command else ""
            while asked and self.engine.ended(asked) is None and self.clock.now() < until:
                self.clock.sleep(HEARD_OUT_WITHIN / 100)

    def _let_go_of_name(self) -> None:
        old = self.engine.container(self.way.old)
        if old and old["Name"].lstrip("/") != self.params.container + OLD:
            left = self.engine.container(self.params.container + OLD)
            if left:
                self.engine.remove_container(left["Id"])
            rename(self.engine, self.way.old, self.params.container + OLD)

    def _secure_data(self) -> None:
        """Keep the database as it is now that nobody writes to it; to restore a set, put that in its place."""
        data = self.ready.data
        if not data:
            return
        begin_step("the data is kept as it is now")
        live, copy = data.root, data.root + COPY + self.release.id
        # A replica writes, too, and would stay with a directory that is renamed.
        others = tuple(container["Id"] for container in running(self.engine, [data.name]))
        self.way = self.way.write(self.releases, copy=copy, others=others)
        for container_id in others:
            self.engine.stop(container_id)
        if self.ready.staged:
            self.way = self.way.write(self.releases, copied=True, durable=True, exchanged=True)
            os.rename(live, copy)
            os.rename(self.ready.staged, live)
            files.sync_directory(os.path.dirname(live))
        else:
            files.copy_tree(live, copy)
            self.way = self.way.write(self.releases, copied=True)
        if self.params.aliases:
            self.way = self.way.write(self.releases, rows=self._rows())  # before anyone can reach it
        if others:
            try:
                go_on(self.engine, others)
            except NotRunning as error:  # the application does not need it
                self.cautions.append(error.message)
            self.way = self.way.write(self.releases, others=())

    def _start(self) -> None:
        """Start the new version and make sure that it is sound."""
        begin_step("the new version starts")
        waiting = self.params.container + NEXT
        self.engine.start(waiting)
        if self.way.copied and not self.way.exchanged:
            self.comparison.begin(self.way.volume, self.way.copy)  # now that nobody waits for it
        if self.way.copied and not self.way.durable:
            files.sync_tree(self.way.copy)
            self.way = self.way.write(self.releases, durable=True)
        wait_until_healthy(Probed(self.engine, self.clock), self.clock, waiting, self.params.health_timeout)
        self._look_for_losses()
        if self.params.smoke_test_command:
            try:
                self.world.commands.execute(waiting, self.params.smoke_test_command, COMMAND_ENDS_WITHIN)
            except DockerVpsError as error:
                raise DockerVpsError(f"The smoke test failed. {error.message}") from error

    def _look_for_losses(self) -> None:
        """Compare the rows with those from before the new version's migrations, while it can be undone for nothing."""
        if not self.way.copied:
            return
        lost, problem = self.comparison.end(self.way.live)
        if problem:
            self.cautions.append(f"Whether rows were lost since the new version started is not known: {problem}")
        if not lost:
            return
        self.lost = f"Since the new version started, the database has lost {listed(lost)}."
        if self.params.migration_loss == FAIL:
            self.way = self.way.write(self.releases, shrunk=True)
            raise DockerVpsError(f"{self.lost} If that is meant, allow it with {setting('migration_loss', 'warn')}.")
        backup = f" with the data of set {self.release.backup}" if self.release.backup else ""
        self.cautions.append(
            f"{self.lost} If that was not meant, go back at once{backup}: {play('rollback')} with "
            f"{setting('rollback_data', 'restore')}."
        )

    def _take_name(self) -> None:
        """Let the new version be reached."""
        self.way = self.way.write(
            self.releases, reachable=True, rows=self.way.rows if self.params.aliases else self._rows()
        )
        if self.params.strategy == START_FIRST and self.way.old:
            self._let_go_of_name()
        self.engine.rename(self.params.container + NEXT, self.params.container)
        if self.downtime_began is not None:
            self.downtime = self.clock.now() - self.downtime_began
        if self.params.proxy_reload_command:
            try:
                self.world.commands.here(self.params.proxy_reload_command, COMMAND_ENDS_WITHIN)
            except DockerVpsError as error:
                self.cautions.append(f"The proxy may look for the old address: {error.message}")

    def _rows(self) -> Mapping[str, Mapping[str, int]]:
        """Return what the new version has made of the data by itself, so that later ones are known as users'.

        Nothing is counted for it, since users wait; what is not known counts as users'.
        """
        way = self.way
        with contextlib.suppress(DockerVpsError):
            if way.copied and (way.exchanged or schemas(way.live) != schemas(way.copy)):
                return self.comparison.latest
        return {}

    def _watch(self) -> None:
        """See that the new version stays well, and for the engine, too, is healthy."""
        begin_step("the new version is watched")
        name, until = self.params.container, self.clock.now() + self.params.monitor
        restarts = self.engine.look(name).restart_count
        wait_until_healthy(self.engine, self.clock, name, self.params.health_timeout)
        if not self.way.old:
            return  # there is nothing to go back to
        while self.clock.now() < until:
            self.clock.sleep(min(WATCH_EVERY, max(until - self.clock.now(), 0)))
            seen = self.engine.look(name)
            reason = judge(seen, HealthRules(WantedHealth.HEALTHY), restarts)
            if reason not in (Reason.REACHED, Reason.WAITING):
                watched = self.params.monitor - (until - self.clock.now())
                explanation = explain(asked(self.engine, seen, reason), reason, WantedHealth.HEALTHY, watched)
                raise DockerVpsError(f"It was healthy at first, and then: {explanation}")
        wait_until_healthy(self.engine, self.clock, name, self.params.health_timeout)  # somebody may have restarted it

    def _visit(self) -> None:
        """See that visitors are served, too."""
        seen = public_check.run(self.params.public, self.world.visit)
        if seen["summary"]:
            self.cautions.append(seen["summary"])

    def _commit(self) -> None:
        """From here on the new version is the live one."""
        data = self.ready.data or data_of(self.params, self.sets, self.engine)[0]  # it may have been made only now
        known = schemas(data.root) if data else {}
        if data:
            self._look_for_tables(data, known)
        self._look_for_refused_writes()
        self.release = replace(
            self.release,
            result=HEALTHY,
            message=self.lost,
            schema=releases.schema_of(known),
            downtime=round(self.downtime, 3),
            seconds=round(self.clock.now() - self.began, 3),
        )
        self._learn_schema()
        self.releases.record(self.release)
        self.releases.make_current(self.release.id)

    def _look_for_tables(self, data: Volume, known: Mapping[str, str]) -> None:
        """Warn when the database that the application is told to use has no table, whatever is beside it."""
        path = environment.database_in(self.engine.container(self.params.container) or {}, data.name)
        why = why_unused(data.root, path, known) if path else ""
        if why:
            self.cautions.append(
                f"It is healthy, but DATABASE_URI names {short(path)} in the volume {data.name}, and {why}, so what it "
                "shows may be errors, and there is nothing to back up. Did its migrations run? No play runs them "
                "(docs/deploy.md)."
            )

    def _look_for_refused_writes(self) -> None:
        """Tell what the new version could not write, since it may seem well without it."""
        name = self.params.container
        host = (self.engine.container(name) or {}).get("HostConfig") or {}
        refused = refused_writes(self.engine.logs(name, LOOKED_AT)) if host.get("ReadonlyRootfs") else ""
        if refused:
            self.cautions.append(masked(self.releases, f"{name} is healthy. {refused}", self.release.id))

    def _learn_schema(self) -> None:
        """Write down what schema the old version had in the end, when that was not known at its beginning."""
        before = self.releases.read(self.previous) if self.previous else None
        if before and not before.schema and self.way.copied:
            self.releases.record(replace(before, schema=releases.schema_of(schemas(self.way.copy))))

    # When it fails

    def _undo(self, error: BaseException) -> None:
        """Undo everything and say so, unless there was nothing to undo.

        Raises:
            DockerVpsError: what went wrong, and what runs now.
        """
        begin_step("the version before is put back")
        why = error.message if isinstance(error, DockerVpsError) else f"It was interrupted ({error!r})."
        try:
            recovered = recover(self.world, self.release.id, why)
        except DockerVpsError as failed:
            why = masked(self.releases, why, self.release.id, self.previous)
            message = f"Release {self.release.id} failed, and what was before is not back yet. {why} {failed.message}"
            raise DockerVpsError(message) from error
        discard(self.ready.staged)
        if recovered is None:
            self.releases.forget(self.release.id)
            if isinstance(error, OSError):
                raise DockerVpsError(f"The release could not be recorded: {error}. Nothing was changed.") from error
        elif recovered.release.result != HEALTHY and isinstance(error, Exception):
            release = recovered.release
            cautions = "".join(f" {caution}" for caution in self.cautions)
            message = f"Release {release.id}, {release.image}, failed. {release.message}{cautions}{recovered.evidence}"
            raise DockerVpsError(message, release=vars(release)) from error

    def _unattended(self) -> None:
        """What the watcher does when this process was killed."""
        recover(self.world, self.release.id, "The run that was at it was killed.")
        discard(self.ready.staged)

    # Afterwards

    def _pruned(self) -> list[str]:
        try:
            return self._prune()
        except DockerVpsError as error:  # the release is live all the same
            self.cautions.append(f"Old releases could not be removed: {error.message}")
            return []

    def _prune(self) -> list[str]:
        """Forget old releases and remove the images that only they or failures need; return what was removed."""
        known = self.releases.listing()
        old = releases.superseded(known, self.release.id, self.params.retain_releases)
        for release in old:
            self.releases.forget(release.id)
        kept = {release.image_id for release in known if release not in old and release.result != releases.FAILED}
        removed = []
        unneeded = {release.image: release.pulled for release in known if release.image_id not in kept}
        for image, pulled in sorted(unneeded.items()):
            inspected = self.engine.image(image)
            if inspected is None or images.identity(inspected) in kept:  # the name may be another image's by now
                continue
            with contextlib.suppress(EngineError):  # something else uses it
                self.engine.remove_image(image)
                removed.append(image)
                if pulled:
                    self.engine.remove_image(images.by_digest(pulled))
        return removed

    def _summary(self) -> str:
        release = self.release
        what = f"Release {release.id}, {release.image}, is live and healthy after {release.seconds:.1f} s"
        pause = f"; for {release.downtime:.1f} s nothing served" if self.way.ran else ""
        kept = f", with backup {release.backup} made before" if release.backup else ""
        return f"{what}{pause}{kept}."
