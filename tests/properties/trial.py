# SPDX-License-Identifier: GPL-3.0-or-later
"""One trial: make two volumes of random kinds, back them up, restore them elsewhere, and say what is not right."""

from __future__ import annotations

import os
import random
import re
import shutil
import stat
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Protocol, Sequence

import kinds
import look
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock
from kinds import KINDS, STOPPING, Volume

VOLUMES = {"db": "shop-db", "media": "shop-media"}
BACK = {"db": "back-db", "media": "back-media"}
LONG_AFTER = datetime(2040, 1, 1, tzinfo=timezone.utc)
"""When sets are made: what was changed just before is read again each time."""
ALWAYS = (("sound", "db"), ("files", "media"))
"""What all volumes have: a volume without a file is another matter."""
STOPS = 0.3
"""Share of the trials whose database volume has something that may stop a backup."""


class Witness(Protocol):
    """Another library that reads databases."""

    def content(self, path: Path) -> str:
        """Return what it says is in a database that nobody else has open."""
        raise NotImplementedError


@dataclass(frozen=True)
class Ingredient:
    """A kind in one of the volumes, with the seed of what is random in it."""

    kind: str
    where: str
    seed: int


@dataclass(frozen=True)
class Recipe:
    """How to make the volumes of one trial, and how they are backed up."""

    seed: int
    consistency: str
    compression: str
    ingredients: Sequence[Ingredient]
    store: str = "files"
    early: int = 0
    """How many of the ingredients are in a set that is made before the others come."""

    def __str__(self) -> str:
        parts = ", ".join(f"{one.where}:{one.kind}:{one.seed}" for one in self.ingredients)
        ways = f"{self.consistency}, {self.compression}, {self.store}, {self.early} before"
        return f"seed {self.seed}, {ways}: {parts}"


def recipe(seed: int) -> Recipe:
    """Return the recipe of a seed."""
    chance = random.Random(seed)
    own = [kind.__name__ for kind in kinds.DATABASES]
    calm = [kind for kind in own if kind not in STOPPING]
    wanted = [*ALWAYS]
    wanted += [(chance.choice(calm), "db") for _turn in range(chance.randrange(4))]
    if chance.random() < STOPS:
        wanted.append((chance.choice(sorted(STOPPING)), "db"))
    wanted += [(chance.choice(kinds.FILES).__name__, "db") for _turn in range(chance.randrange(2))]
    uploads = [*own, *(kind.__name__ for kind in (*kinds.FILES, *kinds.UPLOADS * 3))]
    wanted += [(chance.choice(uploads), "media") for _turn in range(chance.randrange(1, 6))]
    made = tuple(Ingredient(kind, where, chance.randrange(2**32)) for kind, where in wanted)
    consistency, compression = chance.choice(("online", "online", "stop")), chance.choice(("gzip", "zstd", "none"))
    store, early = chance.choice(("files", "shared")), chance.randrange(len(ALWAYS) - 1, len(made) + 1)
    return Recipe(seed, consistency, compression, made, store, early)


@dataclass
class Outcome:
    """What came of a trial: what is wrong with it, and figures for a table."""

    problems: list[str] = field(default_factory=list)
    refused: bool = False
    databases: int = 0
    files: int = 0


def trial(made: Recipe, place: Path, witnesses: Mapping[str, Witness]) -> Outcome:
    """Make the volumes of a recipe in an empty directory, and return what came of them."""
    with _scene(made, place) as scene:
        scene.run(witnesses)
        return scene.outcome


def smallest(made: Recipe, place: Path, witnesses: Mapping[str, Witness]) -> Recipe:
    """Return a recipe without the ingredients that have no part in a problem."""
    for one in made.ingredients[len(ALWAYS) :]:
        less = replace(made, ingredients=tuple(other for other in made.ingredients if other != one))
        if judged(less, place, witnesses).problems:
            made = less
    return made


@contextmanager
def _scene(made: Recipe, place: Path) -> Iterator[_Scene]:
    scene = _Scene(made, place)
    try:
        yield scene
    finally:
        for volume in scene.volumes.values():
            volume.close()


class _Scene:
    """Two volumes, a place for sets, and volumes to restore into."""

    def __init__(self, made: Recipe, place: Path) -> None:
        self.made, self.place, self.outcome = made, place, Outcome()
        self.clock = FakeWallClock(LONG_AFTER)
        self.engine = FakeVolumeEngine(place / "docker", self.clock)
        self.sets = Sets(str(place / "backups"), "shop")
        self.scratch = place / "scratch"
        stops = made.consistency == "stop"
        self.volumes = {
            name: Volume(self.engine.add_volume(volume), name == "db", stops) for name, volume in VOLUMES.items()
        }
        for volume in BACK.values():
            self.engine.add_volume(volume)
        self.engine.add_container("app", *VOLUMES.values())
        # What is stopped closes its databases, and SQLite then moves the log into them.
        self.engine.on[("stop", "APP")] = lambda: [volume.close() for volume in self.volumes.values()]
        self.add(made.ingredients[: made.early])
        self.before: list[BackupSet] = []
        with suppress(DockerVpsError):
            self.before.append(self.back_up())
        self.add(made.ingredients[made.early :])

    def add(self, ingredients: Sequence[Ingredient]) -> None:
        for one in ingredients:
            path = KINDS[one.kind](self.volumes[one.where], random.Random(one.seed))
            assert one.kind != "damaged" or not look.is_sound(str(path), self.scratch)

    def wrong(self, problem: str) -> None:
        self.outcome.problems.append(problem)

    def run(self, witnesses: Mapping[str, Witness]) -> None:
        before = self.trees(VOLUMES)
        contents = {
            (name, path): look.content(self.at(VOLUMES, name, of), self.scratch)
            for name, volume in self.volumes.items()
            for path, of in volume.content.items()
        }
        refused = {path: reason for volume in self.volumes.values() for path, reason in volume.refused.items()}
        try:
            one = self.back_up()
        except DockerVpsError as error:
            self.outcome.refused = True
            self.refusal(error, refused)
            self.unchanged(before)
            return
        if refused:
            self.wrong(f"it should be refused because of {refused}, and was made: {one.manifest.warnings}")
            return
        self.unchanged(before)
        now = before if self.made.consistency == "online" else self.trees(VOLUMES)
        self.check_verdicts(one)
        self.again(one)
        restore.run(
            restore.Params("shop", set=one.manifest.id, volumes=BACK, allow_outside_links=True),
            self.sets, lambda: self.engine, self.clock, False,
        )  # fmt: skip
        back = self.trees(BACK)
        for name, volume in self.volumes.items():
            self.same(name, volume, now[name], back[name])
        self.opens_with_tar(one, back)
        for (name, path), wanted in contents.items():
            self.content(name, path, wanted, witnesses)

    def back_up(self) -> BackupSet:
        params = backup.Params(
            "shop", VOLUMES, compression=self.made.compression, store=self.made.store,
            consistency=self.made.consistency, accept_loss=True,
        )  # fmt: skip
        backup.run(params, self.sets, lambda: self.engine, self.clock, False)
        self.clock.passed += 60
        return self.sets.listing().sets[0]

    def trees(self, volumes: Mapping[str, str]) -> dict[str, dict[str, look.Entry]]:
        return {name: look.entries(self.engine.volumes[volume]["Mountpoint"]) for name, volume in volumes.items()}

    def at(self, volumes: Mapping[str, str], name: str, path: str) -> str:
        return os.path.join(self.engine.volumes[volumes[name]]["Mountpoint"], path)

    def refusal(self, error: DockerVpsError, refused: Mapping[str, str]) -> None:
        """A refusal is right for a reason, names it, and leaves nothing behind."""
        text = error.message
        if not any(reason in text and shown(path) in text for path, reason in refused.items()):
            self.wrong(f"refused with {text!r}, expected {dict(refused) or 'a set'}")
        left = {*os.listdir(self.sets.directory)} ^ self.files_of(self.before)
        if left:
            self.wrong(f"a refused backup leaves {sorted(left)}")

    def unchanged(self, before: Mapping[str, Mapping[str, look.Entry]]) -> None:
        """A backup changes nothing in the volumes, and the application runs."""
        if self.engine.running() != ["APP"]:
            self.wrong("the application does not run afterwards")
        now = self.trees(VOLUMES)
        for name, volume in self.volumes.items():
            for path in sorted({*before[name], *now[name]} - volume.moving):
                was, new = before[name].get(path), now[name].get(path)
                if was is None or new is None:
                    self.wrong(f"{name}/{shown(path)} {'came' if was is None else 'went'} during the backup")
                    continue
                # What a file takes on disk may grow when the kernel writes it out: its map of extents comes late.
                same = was._replace(space=new.space) == new
                if was.kind != stat.S_IFDIR and not same and not path.endswith("-shm"):
                    self.wrong(f"{name}/{shown(path)} changed during the backup: {was} {new}")

    def check_verdicts(self, one: BackupSet) -> None:
        """A set warns of what was expected, by name, and calls nothing checked that nobody could check."""
        for archive in one.manifest.archives:
            volume, name = self.volumes[archive.name], archive.name
            warned = " ".join(text for text in one.manifest.warnings if text.startswith(f"{name}: "))
            self.outcome.files += archive.files
            for path in volume.named:
                if shown(path)[:100] not in warned:  # long names are shortened
                    self.wrong(f"no warning names {name}/{shown(path)}: {one.manifest.warnings}")
            checks = {database.path: database.check for database in archive.databases}
            for used in sorted(set(volume.content.values())):  # of several names, one is told
                names = [shown(path) for path, of in volume.content.items() if of == used]
                checked = {checks[path] for path in names if path in checks}
                wanted = "not checked" if used in volume.unchecked else "sound"
                if checked != {wanted} and not (used in volume.unclear and checked == {"not checked"}):
                    self.wrong(f"{name}/{shown(used)} is {checked}, not {wanted!r}")

    def again(self, one: BackupSet) -> None:
        """An unchanged tree gives the same archives, and nothing but whole sets is visible."""
        second = self.back_up()
        for was, new in zip(one.manifest.archives, second.manifest.archives):
            shared = self.made.store == "shared"
            if (look.chunks(one.path(was)) != look.chunks(second.path(new))) if shared else was.sha256 != new.sha256:
                self.wrong(f"the archive {was.name} of the unchanged volume is another")
        if self.made.store == "files":
            inodes = [
                {os.stat(each.path(archive)).st_ino for archive in each.manifest.archives} for each in (one, second)
            ]
            if inodes[0] != inodes[1]:
                self.wrong("the archives of the unchanged volumes take space again")
        wanted = self.files_of([*self.before, one, second])
        there = set(os.listdir(self.sets.directory))
        if there != wanted:
            self.wrong(f"beside two sets there is {sorted(there ^ wanted)}")

    def files_of(self, sets: Sequence[BackupSet]) -> set[str]:
        """Return the names of all that belongs to some sets."""
        wanted = {".lock", *(["chunks"] if sets and self.made.store == "shared" else [])}
        for each in sets:
            wanted |= {f"manifest-{each.manifest.id}.json", *(found.file for found in each.manifest.archives)}
            wanted |= {f"{found.name}-{each.manifest.id}.index" for found in each.manifest.archives}
        return wanted

    def same(self, name: str, volume: Volume, live: Mapping[str, look.Entry], back: Mapping[str, look.Entry]) -> None:
        """What came back is what was there, apart from what no archive holds."""
        expected = {path: entry for path, entry in live.items() if path not in volume.dropped}
        for path in sorted({*expected, *back}):
            was, new = expected.get(path), back.get(path)
            if was is None or new is None:
                self.wrong(f"{name}/{shown(path)} {'came from nowhere' if was is None else 'did not come back'}")
                continue
            facts = ("kind", "mode", "owner", "modified", "notes", *(() if path in volume.content else ("inside",)))
            for fact in facts:
                if getattr(was, fact) != getattr(new, fact):
                    self.wrong(f"{name}/{shown(path)}: {fact} was {getattr(was, fact)}, is {getattr(new, fact)}")
            if new.space > was.space + 2**18 and path not in volume.content:
                self.wrong(f"{name}/{shown(path)} took {was.space} bytes on disk, and takes {new.space}")
        names, now = look.links(expected), look.links(back)
        for path, one in names.items():
            if path not in volume.content and now.get(path) != one:
                self.wrong(f"{name}/{shown(path)}: the names of this file were {one}, are {now.get(path)}")

    def opens_with_tar(self, one: BackupSet, back: Mapping[str, Mapping[str, look.Entry]]) -> None:
        """Any tar opens the archives, and finds the same files."""
        for archive in one.manifest.archives:
            place = self.place / f"tar-{archive.name}"
            place.mkdir()
            whole = self.place / archive.name
            whole.write_bytes(look.archive(one.path(archive)))
            command = ["tar", "--extract", f"--file={whole}", f"--directory={place}"]
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode:
                self.wrong(f"tar cannot open {archive.file}: {done.stderr.decode(errors='replace')}")
            found = look.entries(str(place))
            for path, entry in back[archive.name].items():
                if path not in found or (found[path].kind, found[path].inside) != (entry.kind, entry.inside):
                    self.wrong(f"tar finds another {archive.name}/{shown(path)}")

    def content(self, name: str, path: str, wanted: Mapping[str, Any], witnesses: Mapping[str, Witness]) -> None:
        """An own database has the content that it had, for Python's SQLite and for the application's library."""
        self.outcome.databases += 1
        volume = self.volumes[name]
        back, live = self.at(BACK, name, path), self.at(VOLUMES, name, volume.content[path])
        found = look.content(back, self.scratch)
        for what in sorted({*wanted, *found}):
            if wanted.get(what) != found.get(what):
                self.wrong(f"{name}/{shown(path)}: {what} was {wanted.get(what)}, is {found.get(what)}")
        for library, witness in witnesses.items():
            first = witness.content(look.copy_of(live, self.scratch))
            second = witness.content(look.copy_of(back, self.scratch))
            if first != second:
                self.wrong(f"{name}/{shown(path)}: {library} read {first[:200]}, and reads {second[:200]}")


def shown(path: str) -> str:
    """Return a path as messages hold it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(problem: str) -> str:
    """Return a problem without what differs from run to run."""
    return re.sub(r"\s+", " ", problem)[:400]


def judged(made: Recipe, place: Path, witnesses: Optional[Mapping[str, Witness]] = None) -> Outcome:
    """Run a trial in a directory that is gone afterwards; a trace is a problem as well."""
    place.mkdir(parents=True)
    try:
        return trial(made, place, witnesses or {})
    except Exception as error:  # whatever the product or a kind raises
        return Outcome([f"{type(error).__name__}: {error}"])
    finally:
        shutil.rmtree(place, ignore_errors=True)
