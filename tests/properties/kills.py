# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill backups, restores and updates at any time while users write, and see that no row and no set is lost.

    kills.py [backups|restores|updates …] [--rounds N] [--seed N]

One deployed stand-in application serves all rounds. In two of three rounds only the process at work is killed, and its
watcher has to put things right; in the third the watcher is killed too, as by a power failure, and the next run has to.
What a writer was told is written is remembered here and looked for afterwards.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / ".ansible/collections")]

import look
import results
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from lab import STANDIN, App, containers, docker, inspect, run, until
from processes import Family, alive, kill
from releases import URL, Versions, current, healthy, release, root, tidy, vendors

NAME = "it-kills"
ROUNDS = {"backups": 30, "restores": 30, "updates": 20}
WAYS = ("online", "pause", "stop")
STORES = ("files", "shared")
PATIENCE = 60.0  # seconds within which everything has to be right again
ALL = 3  # in every so manieth round the watcher is killed as well


def volumes() -> dict[str, str]:
    """Return the volumes of the application by the names of their archives."""
    return {"db": f"{NAME}-db", "media": f"{NAME}-media"}


# The process that is killed


def at_work(app: App, asked: Mapping[str, Any]) -> None:
    """Do what is asked for; this process may be killed at any time."""
    connect, sets, clock = functools.partial(Engine.connect, Address(URL)), Sets(str(app.backups), NAME), SystemClock()
    versions = Versions(app)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if asked["do"] == "backups":
        params = backup.Params(NAME, volumes(), consistency=asked["consistency"], store=asked.get("store", STORES[0]))
        backup.run(params, sets, connect, clock, False)
    elif asked["do"] == "restores":
        restore.run(restore.Params(NAME, set=asked["set"], stop_app=True), sets, connect, clock, False)
    else:
        versions.put(asked["env"], volumes=volumes(), retain_releases=3)


class Work:
    """A process at work, which can be killed with its watcher or without."""

    def __init__(self, **asked: Any) -> None:
        command = [sys.executable, __file__, "--at-work", json.dumps(asked)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout
        answer = self.process.stdout.readline()
        assert answer == "ready\n", answer + self.process.stdout.read()
        self.began = time.monotonic()

    def lasts(self) -> float:
        """Let it end, and return how long it took."""
        answer, _unused = self.process.communicate(timeout=PATIENCE * 2)
        assert self.process.returncode == 0, answer
        return time.monotonic() - self.began

    def killed(self, after: float, everyone: bool) -> bool:
        """Kill it after so many seconds, wait for all its processes, and return whether it was still running."""
        time.sleep(after)
        family = Family(self.process.pid)
        there = alive(self.process.pid)
        kill(family.all if everyone else family.work)
        self.process.communicate()
        until(lambda: not any(map(alive, family.all)), PATIENCE, "the end of the watcher")
        return there


# Those who write meanwhile


class Writer(threading.Thread):
    """Posts a row after the other, and remembers those that the application said are written."""

    def __init__(self, app: App) -> None:
        super().__init__(daemon=True)
        self.app, self.acknowledged = app, list[str]()
        self.may, self.idle, self.over = threading.Event(), threading.Event(), threading.Event()
        self.may.set()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            if not self.may.is_set():
                self.idle.set()
                self.may.wait(1)
                continue
            self.idle.clear()
            number += 1
            try:
                if self.app.post("/api/vendors", {"name": f"row-{number}"}).status == 201:
                    self.acknowledged.append(f"row-{number}")
            except (OSError, AssertionError, KeyError, ValueError):
                pass  # the application is away for a moment
            time.sleep(0.02)

    def more(self, rows: int) -> None:
        """Wait for so many more rows."""
        wanted = len(self.acknowledged) + rows
        until(lambda: len(self.acknowledged) >= wanted, PATIENCE, f"{rows} more rows")

    def quiet(self) -> None:
        """Let nothing be under way."""
        self.idle.clear()
        self.may.clear()
        until(self.idle.is_set, PATIENCE, "the end of a request")


# Rounds


@dataclass
class Tally:
    """What became of the rounds of one kind."""

    rounds: int = 0
    at_work: int = 0
    watchers: int = 0
    finished: int = 0
    lost: int = 0
    half: int = 0
    stopped: int = 0
    problems: list[str] = field(default_factory=list)

    def check(self, right: bool, what: str, counter: str = "") -> None:
        """Note what is not right."""
        if not right:
            self.problems.append(what)
            if counter:
                setattr(self, counter, getattr(self, counter) + 1)


class Rounds:
    """The application, who writes to it, and its rounds."""

    def __init__(self, app: App, seed: int) -> None:
        self.app, self.seed, self.chance = app, seed, random.Random(seed)
        self.writer, self.sets, self.versions = Writer(app), Sets(str(app.backups), NAME), Versions(app)
        self.known: set[str] = set()  # rows that have to be live
        self.seen = 0  # acknowledged rows that are accounted for

    def times(self, rounds: int, lasts: float) -> Iterator[tuple[int, float]]:
        """Yield times that are spread over the whole work, in a random order."""
        order = list(range(rounds))
        self.chance.shuffle(order)
        for number, slot in enumerate(order):
            yield number, lasts * 1.05 * (slot + self.chance.random()) / rounds

    def live(self) -> set[str]:
        """Return the rows that the application answers with, once it does; nobody writes meanwhile."""
        self.writer.quiet()
        until(self.answers, PATIENCE, "an answer of the application")
        rows = vendors(self.app)
        assert len(rows) == len(set(rows)), "rows are there twice"
        return set(rows)

    def answers(self) -> bool:
        """Return whether the application runs and answers."""
        try:
            return self.app.get("/api/health").status == 200
        except (OSError, AssertionError, KeyError, ValueError):
            return False

    def new(self) -> set[str]:
        """Return the rows that were acknowledged since the last call."""
        rows = set(self.writer.acknowledged[self.seen :])
        self.seen += len(rows)
        return rows

    def whole(self, tally: Tally, what: str) -> Sequence[BackupSet]:
        """See that nothing but whole sets is visible, and return them."""
        here = self.sets.listing()
        for one in here.sets:
            try:
                tally.check(one.absent() == [], f"{what}: {one.absent()}", "half")
                for found in one.manifest.archives:
                    archive.examine(one.path(found), found.compression, sha256=found.sha256)
            except DockerVpsError as error:
                tally.check(False, f"{what}: {error.message}", "half")
        tally.check(not here.unreadable and not here.orphaned, f"{what}: {here.unreadable} {here.orphaned}", "half")
        return here.sets

    def runs(self, tally: Tally, what: str) -> None:
        """See that the application runs."""
        try:
            until(self.answers, PATIENCE, "an answer of the application")
        except AssertionError:
            tally.check(False, f"{what}: the application does not run", "stopped")
            docker("start", self.app.container, check=False)

    # Backups

    def backups(self, tally: Tally, rounds: int) -> None:
        lasts = {way: Work(do="backups", consistency=way).lasts() for way in WAYS}
        for number, share in self.times(rounds, 1.0):
            way, everyone = WAYS[number % len(WAYS)], number // len(WAYS) % ALL == 0
            store = STORES[number % len(STORES)]
            what = f"backup {number} of seed {self.seed}, {way}, {store}"
            there = {one.manifest.id for one in self.sets.listing().sets}
            self.known |= self.new()
            before = set(self.known)
            killed = Work(do="backups", consistency=way, store=store).killed(lasts[way] * share, everyone)
            tally.rounds, tally.at_work = tally.rounds + 1, tally.at_work + killed
            tally.watchers += everyone
            for one in self.whole(tally, what):
                if one.manifest.id not in there:
                    tally.finished += 1
                    missing = before - rows_in(one)
                    tally.check(not missing, f"{what}: the set lacks {len(missing)} rows", "lost")
            if everyone:  # as a power failure: the next run puts right what was stopped
                Work(do="backups", consistency="online").lasts()
                self.whole(tally, what)
            tally.check(self.sets.leftovers() == [] or not everyone, f"{what}: {self.sets.leftovers()} stays")
            self.runs(tally, what)
            self.writer.more(2)
            self.compare(tally, what)
            self.prune()
        Work(do="backups", consistency="stop").lasts()
        tally.check(self.sets.leftovers() == [], f"after all: {self.sets.leftovers()} stays")

    def compare(self, tally: Tally, what: str) -> None:
        """See that every acknowledged row is live."""
        live = self.live()
        self.known |= self.new()
        missing = self.known - live
        tally.check(not missing, f"{what}: {len(missing)} acknowledged rows are lost", "lost")
        tally.lost += max(0, len(missing) - 1)
        self.known = live
        self.writer.may.set()

    def prune(self) -> None:
        """Keep the disk small."""
        assert [*self.sets.remove(self.sets.listing().sets[4:]), *self.sets.sweep(self.sets.unused())] == []

    # Restores

    def restores(self, tally: Tally, rounds: int) -> None:
        lasts = 0.0
        for number, share in self.times(rounds + 1, 1.0):  # the first one is not killed: it tells how long they last
            what, everyone = f"restore {number} of seed {self.seed}", number % ALL == 0
            marker = f"old-{number}"
            self.app.post("/media/marker", marker)
            self.known |= self.new()
            Work(do="backups", consistency="online").lasts()
            one = self.sets.listing().sets[0]
            base = rows_in(one)
            tally.check(self.known <= base, f"{what}: the set lacks {len(self.known - base)} rows", "lost")
            self.app.post("/media/marker", f"new-{number}")
            self.writer.more(3)
            after = self.new()  # in the live data, not in the set, and perhaps a few in both
            work = Work(do="restores", set=one.manifest.id)
            if number == 0:
                lasts = work.lasts()
            else:
                tally.rounds, tally.watchers = tally.rounds + 1, tally.watchers + everyone
                tally.at_work += work.killed(lasts * share, everyone)
                if everyone:  # as a power failure: the next run puts it right
                    Work(do="backups", consistency="online").lasts()
            self.runs(tally, what)
            meanwhile = self.new()
            self.writer.more(3)
            self.restored(tally, what, number, base, after - base, meanwhile)
            self.prune()

    def restored(
        self, tally: Tally, what: str, number: int, base: set[str], after: set[str], meanwhile: set[str]
    ) -> None:
        """See that the data is of one age, and that what is not live is in the safety copies."""
        live = self.live()
        latest = self.new()
        marker = json.loads(self.app.get("/media/marker").body)
        old = marker == f"old-{number}"
        tally.finished += old and number > 0
        kept = after & live
        tally.check(base <= live, f"{what}: {len(base - live)} rows of the set are lost", "lost")
        tally.check(latest <= live, f"{what}: {len(latest - live)} rows of afterwards are lost", "lost")
        tally.check(
            kept == (set() if old else after), f"{what}: {marker}, with {len(kept)} of {len(after)} new", "half"
        )
        aside = set[str]()
        for copy in root(self.app).parent.glob("_data.before-*/payload.db"):
            aside |= names(copy)
        missing = (after | meanwhile) - live - aside
        tally.check(not missing, f"{what}: {len(missing)} rows are neither live nor kept aside", "lost")
        beside = [path.name for path in root(self.app).parent.iterdir() if ".restoring-" in path.name]
        tally.check(not beside, f"{what}: {beside} stays", "half")
        self.whole(tally, what)
        self.known = live
        self.writer.may.set()

    # Updates

    def updates(self, tally: Tally, rounds: int) -> None:
        for copy in root(self.app).parent.glob("_data.before-*"):  # of restores; an update must leave none
            shutil.rmtree(copy)
        lasts = Work(do="updates", env={"ROUND": "none"}).lasts()
        for number, share in self.times(rounds, 1.0):
            what, everyone = f"update {number} of seed {self.seed}", number % ALL == 0
            env = {"ROUND": str(number)}
            if number % 4 == 1:
                env["STANDIN_MIGRATE"] = f"column{number}"
            self.known |= self.new()
            tally.rounds, tally.watchers = tally.rounds + 1, tally.watchers + everyone
            tally.at_work += Work(do="updates", env=env).killed(lasts * share, everyone)
            if not everyone:
                self.settled(tally, what)
                self.writer.more(2)
                self.compare(tally, what)
            # Without a watcher, the name may be nobody's until the next run.
            named = self.app.container in containers()
            tally.finished += named and self.app.env_keys().get("ROUND") == str(number)
            Work(do="updates", env={**env, "AGAIN": "1"}).lasts()  # the next one works
            try:
                tidy(self.app)
            except AssertionError as error:
                tally.check(False, f"{what}: {str(error) or traceback.format_exc(limit=-1)}", "half")
            self.whole(tally, what)
            self.writer.more(2)
            self.compare(tally, what)
            self.prune()

    def settled(self, tally: Tally, what: str) -> None:
        """See that one version is live, as it is written down."""
        self.runs(tally, what)
        try:
            until(lambda: healthy(self.app), PATIENCE, "one healthy version")
        except AssertionError as error:
            tally.check(False, f"{what}: {error}", "stopped")
        image = inspect(self.app.container)["Config"]["Image"]
        tally.check(image == release(self.app, current(self.app))["image"], f"{what}: {image} is live", "half")
        left = [str(path) for path in (self.app.directory / "releases").glob("*/journal.json")]
        tally.check(not left, f"{what}: {left}", "half")


def rows_in(one: BackupSet) -> set[str]:
    """Return the rows in the database of a set, read from its archive."""
    found = next(found for found in one.manifest.archives if found.name == "db")
    with TemporaryDirectory() as scratch, tarfile.open(fileobj=io.BytesIO(look.archive(one.path(found)))) as opened:
        member = opened.extractfile("./payload.db")
        assert member
        (Path(scratch) / "payload.db").write_bytes(member.read())
        return names(Path(scratch) / "payload.db")


def names(database: Path) -> set[str]:
    """Return the rows in a database that nobody has open; a log beside it counts."""
    with TemporaryDirectory() as scratch:
        for path in (database, Path(f"{database}-wal")):
            if path.exists():
                shutil.copy(path, scratch)
        with closing(sqlite3.connect(Path(scratch) / database.name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return {name for (name,) in connection.execute("SELECT name FROM vendors")}


def report(kind: str, tally: Tally, seed: int, written: int) -> None:
    """Write down what came of the rounds of a kind."""
    head = ("", "rounds", "killed at work", "watcher killed too", "done all the same",
            "rows lost", "half sets or mixtures", "application stopped")  # fmt: skip
    line = (kind, tally.rounds, tally.at_work, tally.watchers, tally.finished,
            results.bad(tally.lost), results.bad(tally.half), results.bad(tally.stopped))  # fmt: skip
    engine = run("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
    about = f"Seed {seed}; {written} rows were acknowledged meanwhile. "
    about += "After each round the application ran, and the next run worked."
    if tally.problems:
        about = f"Seed {seed}. Not right: {'; '.join(tally.problems[:5])}."
    results.record(kind, results.table(head, [line]), about, results.environment(f"engine {engine}"))


def main() -> int:
    """Run the rounds of the kinds that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", choices=[[], *ROUNDS])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--at-work", type=json.loads)
    given = parser.parse_args()
    if given.at_work:  # killed before it could remove a directory of its own, and it needs none
        at_work(App(NAME, HERE), given.at_work)
        return 0
    with TemporaryDirectory(prefix=f"{NAME}-") as scratch:
        app = App(NAME, Path(scratch), docker_vps_source_path=str(STANDIN))
        app.remove()
        try:
            app.deploy().succeeded()
            noise = root(app).parents[1] / f"{NAME}-media/_data/noise"
            noise.write_bytes(random.Random(given.seed).randbytes(8 * 2**20))
            return ran(app, given.kinds or list(ROUNDS), given.rounds, given.seed)
        finally:
            app.remove()


def ran(app: App, kinds: Sequence[str], rounds: Optional[int], seed: int) -> int:
    """Run the rounds, and return the code to end with."""
    all_of_them = Rounds(app, seed)
    all_of_them.writer.start()
    all_of_them.writer.more(5)
    wrong = Counter[str]()
    for kind in kinds:
        tally, before = Tally(), len(all_of_them.writer.acknowledged)
        do: Callable[[Tally, int], None] = getattr(all_of_them, kind)
        do(tally, rounds or ROUNDS[kind])
        report(kind, tally, seed, len(all_of_them.writer.acknowledged) - before)
        wrong[kind] = len(tally.problems)
        sys.stdout.write(f"{kind}: {tally}\n")
        sys.stdout.flush()
    all_of_them.writer.over.set()
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
