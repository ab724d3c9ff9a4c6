# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: the decisions and reasons are those of the real ``restic forget`` on the same snapshots.

Compared with 0.14.0 (Debian bookworm) and 0.18.0 (trixie). Versions before 0.16.0 do not keep the oldest snapshot for
a rule that has places left; for these, our reasons that begin with "oldest" are left out of the comparison.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Candidate, Policy, decide
from lab import SUPPORT, run

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SEED = 20261124
# Per history, which is a host to restic: the first day, so many days, and so many snapshots in them.
HISTORIES = {
    "iso-years": ("2020-12-25", 14, 16),  # 2021-01-03 is in week 53 of 2020
    "months": ("2019-11-01", 430, 16),
    "leap-day": ("2024-02-26", 6, 10),
    "one": ("2025-06-01", 1, 1),
}
RULES = ("last", "daily", "weekly", "monthly", "yearly")
POLICIES = [
    (0, 7, 4, 3, 0),  # the default
    (1, 0, 0, 0, 0),
    (100, 0, 0, 0, 0),
    (0, 3, 0, 0, 0),
    (0, 0, 2, 0, 0),
    (0, 0, 0, 2, 0),
    (0, 0, 0, 0, 1),
    (0, 0, 0, 0, 9),
    *(tuple(random.Random(SEED + number).choices(range(6), k=5)) for number in range(8)),
]


@dataclass(frozen=True)
class Restic:
    """A repository, and what of it is compared."""

    environment: dict[str, str]
    histories: dict[str, list[Candidate]]
    keeps_oldest: bool

    def forget(self, policy: Policy) -> dict[str, Any]:
        """Return what restic would keep and remove, by history."""
        keep = [f"--keep-{rule}={count}" for rule, count in asdict(policy).items() if count]
        answer = run(
            "restic", "forget", "--no-cache", "--no-lock", "--dry-run", "--json", *keep, env=self.environment
        ).stdout  # fmt: skip
        return {group["host"]: group for group in json.loads(answer)}


def times_of(name: str) -> list[datetime]:
    first, days, count = HISTORIES[name]
    seconds = random.Random(f"{SEED} {name}").sample(range(days * 86400), count)
    return [datetime.fromisoformat(first) + timedelta(seconds=second) for second in seconds]


@pytest.fixture(scope="session")
def restic(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    """A repository of random histories."""
    if not shutil.which("restic"):
        run(str(SUPPORT / "packages.sh"), "restic")
    place: Path = tmp_path_factory.mktemp("restic")
    (place / "file").write_text("tiny")
    environment = {
        **os.environ, "LC_ALL": "C", "TZ": "UTC", "RESTIC_REPOSITORY": str(place / "repository"), "RESTIC_PASSWORD": "x"
    }  # fmt: skip
    run("restic", "init", "--no-cache", env=environment)

    def backup(snapshot: tuple[str, datetime]) -> None:
        run(
            "restic", "backup", "--no-cache", "--host", snapshot[0], "--time", f"{snapshot[1]:%Y-%m-%d %H:%M:%S}",
            str(place / "file"), env=environment,
        )  # fmt: skip

    # restic spends half a second of one core on its key, each time.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(backup, [(name, time) for name in HISTORIES for time in times_of(name)]))
    histories: dict[str, list[Candidate]] = {name: [] for name in HISTORIES}
    for one in json.loads(run("restic", "snapshots", "--no-cache", "--json", env=environment).stdout):
        time = datetime.strptime(one["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        histories[one["hostname"]].append(Candidate(one["id"], time))
    version = re.match(r"restic (\d+)\.(\d+)", run("restic", "version", env=environment).stdout)
    assert version
    return Restic(environment, histories, keeps_oldest=(int(version[1]), int(version[2])) >= (0, 16))


def test_the_snapshots_are_those_that_were_made(restic: Restic) -> None:
    for name, history in restic.histories.items():
        assert sorted(one.time.replace(tzinfo=None) for one in history) == sorted(times_of(name))


@pytest.mark.parametrize("counts", POLICIES, ids=lambda counts: "-".join(map(str, counts)))
def test_the_decisions_are_those_of_restic(restic: Restic, counts: tuple[int, ...]) -> None:
    policy = Policy(**dict(zip(RULES, counts)))
    groups = restic.forget(policy)
    for name, history in restic.histories.items():
        theirs = {
            snapshot["id"]: [match.split()[-2] for match in reason["matches"]]  # "daily snapshot"
            for snapshot, reason in zip(groups[name]["keep"], groups[name]["reasons"])
        }
        ours = {
            decision.name: [
                why.split()[-2]  # "daily 2026-11-24"
                for why in decision.reasons
                if why != "newest good set" and (restic.keeps_oldest or not why.startswith("oldest"))
            ]
            for decision in decide(history, policy, NOW)
            if decision.keep
        }
        ours = {name: rules for name, rules in ours.items() if rules}
        assert ours == theirs
        assert {one["id"] for one in groups[name]["remove"] or []} == {one.name for one in history} - set(ours)


def test_a_history_of_these_is_kept_by_its_oldest_alone(restic: Restic) -> None:
    # So the comparison above sees the one thing in which versions of restic differ.
    (oldest,) = [one for one in decide(restic.histories["leap-day"], Policy(0, 0, 0, 0, 9), NOW) if one.keep][1:]
    assert oldest.reasons == ("oldest yearly 2024",)
