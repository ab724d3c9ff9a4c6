# SPDX-License-Identifier: GPL-3.0-or-later
"""How an application on a host is: what its parts come to, what is wrong, and the fleet's table for people.

The facts of a host are JSON (see the module app_status_info). What could not be checked is empty there, and
``not_looked_at`` says why; nowhere does it count as good.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Iterator, Mapping, Optional, Sequence

from .clock import instant
from .remedies import play
from .secrets import without_logins
from .text import counted, listed, short

Json = Mapping[str, Any]

DRILL, READ, FILES, BAD, NONE = "drill", "read", "files", "bad", "none"
PROOFS: Mapping[str, str] = {
    DRILL: "a drill restored it, started the application on it, and compared",
    READ: "every byte and every database was read since it was made",
    FILES: "its files are there in the recorded sizes",
    BAD: "something is wrong with it, or its drill failed",
    NONE: "there is no set",
}
"""What is known of a backup set, the strongest first, and what that means."""

WIDTH = 100
"""Characters of a line of the table."""
UNKNOWN = "?"
_UNWRAPPED = 72  # characters of a line with single spaces, at which the output of Ansible as YAML is wrapped
_LONGEST = 300  # characters of a sentence
_ISO = "%Y-%m-%dT%H:%M:%SZ"


def proof(row: Json, read_at: str) -> str:
    """Return what is known of a backup set.

    Args:
        row: the set as module backup_info returns it.
        read_at: when all sets were last read in full, without a problem (UTC, ISO 8601); empty for never.
    """
    drill = row["last_drill"]
    if row["problems"] or (drill and not drill["passed"]):
        return BAD
    if row["verified"]:
        return DRILL
    return READ if row["time"] <= read_at else FILES


def backup(listed_sets: Json) -> dict[str, Any]:
    """Return what the backups of an application come to.

    Args:
        listed_sets: what module backup_info returns.

    Returns:
        ``last`` (the newest set), ``rpo`` (seconds since the newest good one), ``good_at`` (when that was made),
        ``rto`` (seconds from the beginning of the restore until the application was healthy, in the last drill that
        passed), ``drill`` (that drill), ``sets``, ``runs`` and ``problems``. ``rpo`` and ``rto`` are None when there is
        no such set or measure.
    """
    runs = listed_sets["runs"]
    read = runs.get("verify") or {}
    read_at = str(read.get("at", "")) if read.get("success") else ""
    rows = listed_sets["sets"]
    sets = [
        {
            "id": row["id"],
            "at": row["time"],
            "bytes": row["bytes"],
            "proof": proof(row, read_at),
            "reason": row["reason"],
        }
        for row in rows
    ]
    drills = [{"set": row["id"], **row["last_drill"]} for row in rows if row["verified"]]
    drill = max(drills, key=lambda drill: str(drill["at"]), default={})
    problems = [f"{row['id']}: {short(problem, _LONGEST)}" for row in rows for problem in row["problems"]]
    return {
        "last": sets[0] if sets else {},
        "rpo": listed_sets["newest_good"].get("age"),
        "good_at": next((row["time"] for row in rows if row["id"] == listed_sets["newest_good"].get("id")), ""),
        "rto": drill.get("recovery") or None,
        "drill": drill,
        "sets": sets,
        "runs": {job: {**run, "message": short(run["message"], _LONGEST)} for job, run in runs.items()},
        "problems": [*problems, *listed_sets["unreadable"]],
    }


def history(releases: Sequence[Json], current: str, under_way: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Return the newest releases, with what became of each: live, under way, healthy, failed or degraded."""
    return [
        {
            **{key: release[key] for key in ("id", "at", "image", "revision", "deployed_by", "downtime", "backup")},
            "state": _became(release, current, under_way),
            "message": short(str(release["message"]).split("\n", 1)[0], _LONGEST),
        }
        for release in releases[:most]
    ]


def _became(release: Json, current: str, under_way: Sequence[str]) -> str:
    if release["id"] in under_way:
        return "under way"
    return "live" if release["id"] == current and release["result"] == "healthy" else str(release["result"])


def findings(facts: Json, most_disk: float) -> list[str]:
    """Return what is wrong, one sentence each, the most urgent first; of a disk so many percent may be used."""
    disks = _of_disks(facts, most_disk)
    return [*_of_container(facts), *_of_release(facts), *_of_backup(facts), *disks, *_of_watch(facts)]


def _of_container(facts: Json) -> Iterator[str]:
    container = facts["container"]
    if container and container["state"] == "absent":
        yield f"There is no container {container['name']}. Run {play('deploy')} or {play('start')}."
    elif container and container["health"] != "healthy":
        yield f"{container['name']} is {container['status']}."


def _of_release(facts: Json) -> Iterator[str]:
    yield from facts["drift"] or ()
    live = facts["release"]
    if live and live["state"] not in ("live", "under way"):
        yield f"The release {live['id']}, which is in place, is {live['state']}."
    for release in facts["releases"] or ():
        if release["state"] == "under way":
            yield f"The cutover to {release['id']} is under way or was interrupted; the next deploy recovers it."


def _of_backup(facts: Json) -> Iterator[str]:
    kept = facts["backup"]
    if not kept:
        return
    if kept["rpo"] is None:
        yield f"There is no good backup set. Run {play('backup')}."
    yield from kept["problems"]
    for job, run in kept["runs"].items():
        if not run["success"]:
            yield f"The last {job} at {run['at'] or 'an unknown time'} failed: {run['message']}"


def _of_disks(facts: Json, most: float) -> Iterator[str]:
    for disk in facts["disks"] or ():
        if used(disk) >= most:
            yield f"The disk of {disk['path']} is {used(disk)} % full."
        if disk["inodes"] and disk["inodes_free"] * 100 <= disk["inodes"] * (100 - most):
            yield f"The disk of {disk['path']} has {counted(disk['inodes_free'], 'inode')} left."


def _of_watch(facts: Json) -> Iterator[str]:
    for finding in facts["watch"] or ():
        yield str(finding)


def used(disk: Json) -> int:
    """Return how full a disk is in percent, as df says: of what people may use at all."""
    usable = disk["used"] + disk["free"]
    return -(-disk["used"] * 100 // usable) if usable else 100


def answer(result: Optional[Json]) -> dict[str, Any]:
    """Return the facts of a host, or ``{"down": why}``.

    Args:
        result: what Ansible keeps of the task that looked; None when it did not get there.
    """
    if not result:
        return {"down": "not asked: an earlier task of the play failed there"}
    if "not_looked_at" in result:
        return {key: result[key] for key in _FACTS}
    why = without_logins(" ".join(str(result.get("msg", "no answer")).split())).replace("Task failed: ", "", 1)
    return {"down": short(f"{'unreachable' if result.get('unreachable') else 'failed'}: {why}", _LONGEST)}


_FACTS = (
    *("app", "time", "findings", "not_looked_at", "release", "releases"),
    *("container", "drift", "backup", "timers", "disks", "watch"),
)


def total(answers: Mapping[str, Json]) -> dict[str, Any]:
    """Return the numbers of a fleet: hosts, how many of them are what, and the worst ages (seconds; None unknown)."""
    up = [facts for facts in answers.values() if "down" not in facts]
    ages = [facts["backup"]["rpo"] for facts in up if facts["backup"] and facts["backup"]["rpo"] is not None]
    times = [facts["backup"]["rto"] for facts in up if facts["backup"] and facts["backup"]["rto"] is not None]
    return {
        "hosts": len(answers),
        "down": len(answers) - len(up),
        "healthy": sum((facts["container"] or {}).get("health") == "healthy" for facts in up),
        "drifted": sum(bool(facts["drift"]) for facts in up),
        "proved": sum(newest_proof(facts) == DRILL for facts in up),
        "without_backup": sum(bool(facts["backup"]) and facts["backup"]["rpo"] is None for facts in up),
        "findings": sum(len(facts["findings"]) for facts in up),
        "not_looked_at": sum(len(facts["not_looked_at"]) for facts in up),
        "worst_rpo": max(ages, default=None),
        "worst_rto": max(times, default=None),
    }


def newest_proof(facts: Json) -> str:
    """Return what is known of the newest set of a host, ``?`` when nobody could look."""
    if not facts["backup"]:
        return UNKNOWN
    return str(facts["backup"]["last"].get("proof", NONE))


def exported(answers: Mapping[str, Json]) -> dict[str, Any]:
    """Return the fleet for machines: each host without its lists of sets and releases, and the numbers of all."""
    hosts = {
        host: {
            key: {part: item for part, item in value.items() if part != "sets"} if key == "backup" and value else value
            for key, value in facts.items()
            if key != "releases"
        }
        for host, facts in answers.items()
    }
    return {"hosts": hosts, "total": total(answers)}


def summary(answers: Mapping[str, Json]) -> list[str]:
    """Return the lines for people: what was found first, then the table, then what nobody could look at."""
    return [*_found(answers), *_numbers(answers), *table(answers), *_unknown(answers)]


def _found(answers: Mapping[str, Json]) -> Iterator[str]:
    for host, facts in answers.items():
        if "down" in facts:
            yield f"{host}: {facts['down']}"
    for host, facts in answers.items():
        yield from (f"{host}: {finding}" for finding in facts.get("findings", ()))


def _numbers(answers: Mapping[str, Json]) -> Iterator[str]:
    numbers = total(answers)
    yield (
        f"{counted(numbers['hosts'], 'host')}: {numbers['healthy']} healthy, {numbers['down']} without an answer, "
        f"{counted(numbers['findings'], 'finding')}."
    )


def _unknown(answers: Mapping[str, Json]) -> Iterator[str]:
    """Yield what was not checked and why, once for all hosts of which it is true."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for host, facts in answers.items():
        for part, why in facts.get("not_looked_at", {}).items():
            hosts.setdefault((part, why), []).append(host)
    for (part, why), names in hosts.items():
        where = "" if len(names) == len(answers) else f" on {listed(names, 5)}"
        yield f"Not checked: {part}{where}: {why}"


HEADINGS = ("HOST", "VERSION", "HEALTH", "UP", "DRIFT", "REL", "RPO", "PROOF", "RTO", "NEXT", "DISK", "!")
_MOST = (0, 12, 10, 4, 5, 4, 4, 5, 5, 4, 4, 4)
"""Characters of each column at most; the first has what the others leave."""


def table(answers: Mapping[str, Json]) -> list[str]:
    """Return the table of a fleet as aligned lines of at most WIDTH characters; what is longer is cut in its middle."""
    if not answers:
        return []
    rows = [list(HEADINGS), *(_cells(host, facts) for host, facts in answers.items())]
    full = [row for row in rows if len(row) > 2]
    widths = [min(max(len(row[place]) for row in full), most) for place, most in enumerate(_MOST)]
    rest = WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = min(max(len(row[0]) for row in rows), rest)
    return [_line(row, widths) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    if len(row) == 2:
        host, why = row
        return f"{cut(host, widths[0]):<{widths[0]}}  {cut(why, _UNWRAPPED - widths[0] - 2)}"
    return "  ".join(f"{cut(cell, width):<{width}}" for cell, width in zip(row, widths)).rstrip()


def _cells(host: str, facts: Json) -> list[str]:
    if "down" in facts:
        return [host, f"DOWN {facts['down']}"]
    kept, live, container = facts["backup"], facts["release"], facts["container"]
    now = str(facts["time"])
    return [
        host,
        version(facts),
        (container["health"] or container["state"]) if container else UNKNOWN,
        span(container["uptime"]) if container else UNKNOWN,
        UNKNOWN if facts["drift"] is None else "yes" if facts["drift"] else "no",
        span(_between(live["at"], now)) if live else "-" if live is not None else UNKNOWN,
        span(kept["rpo"]) if kept else UNKNOWN,
        newest_proof(facts),
        span(kept["rto"]) if kept else UNKNOWN,
        span(_until(facts["timers"], now)) if facts["timers"] is not None else UNKNOWN,
        f"{max(map(used, facts['disks']))}%" if facts["disks"] else UNKNOWN,
        f"{len(facts['findings'])}{UNKNOWN * bool(facts['not_looked_at'])}",
    ]


def version(facts: Json) -> str:
    """Return what is live for a cell: the tag of its image, ``-`` for nothing and ``?`` when nobody could look."""
    live = facts["release"]
    if live is None:
        return UNKNOWN
    return str(live["image"]).rpartition(":")[2] if live else "-"


def _between(first: str, second: str) -> Optional[float]:
    began, ended = moment(first), moment(second)
    return (ended - began).total_seconds() if began and ended else None


def _until(timers: Mapping[str, str], now: str) -> Optional[float]:
    """Return the seconds until the next run of any timer."""
    left = [_between(now, at) for at in timers.values() if at]
    return min((seconds for seconds in left if seconds is not None), default=None)


def moment(text: str) -> Optional[datetime]:
    """Return a time (UTC) as instant does, None when it is none."""
    try:
        return instant(text)
    except ValueError:
        return None


def stated(at: datetime) -> str:
    """Return a time (UTC) as JSON has it."""
    return at.strftime(_ISO)


def span(seconds: Optional[float]) -> str:
    """Return a duration in its largest unit, as in 12s, 5m, 3h or 40d; ``-`` for none, and 0s for less than none."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"


def cut(text: str, most: int) -> str:
    """Return a text of one line, of a long one the beginning and the end."""
    flat = "".join(character if character.isprintable() else " " for character in text)
    if len(flat) <= most:
        return flat
    head = most // 2
    return f"{flat[:head]}…{flat[len(flat) - (most - head - 1) :]}"
