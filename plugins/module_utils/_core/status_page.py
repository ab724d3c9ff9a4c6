# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page about a fleet shows, as a template wants it: texts, weeks of days, and points of lines.

The page says when things happened, not how long ago that was. So it differs from the one before only when something has
happened, and in the time that it states.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Iterator, Mapping, Sequence

from .status import BAD, DRILL, FILES, PROOFS, READ, moment, newest_proof, total, used, version
from .text import short, size

Json = Mapping[str, Any]

LARGEST = 1 << 20
"""Bytes of a page."""
UNSEEN = "not checked"
_STATED = re.compile(r'<time id="stated".*?</time>', re.DOTALL)
_NO_TEXT = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]")
"""Control characters, halves of characters and what is none, which HTML must not have."""
_WIDE, _HIGH = 300, 60
"""The size of a chart, in units of its own."""
_WORST_FIRST = (BAD, DRILL, READ, FILES)


@dataclass(frozen=True)
class Detail:
    """How much is shown of each host.

    Those are weeks of the calendar, releases, points of the chart, findings, and characters of a text.
    """

    weeks: int
    releases: int
    points: int
    findings: int
    characters: int


DETAILS = (
    Detail(6, 20, 90, 100, 300),
    Detail(5, 6, 30, 20, 160),
    Detail(3, 3, 12, 8, 80),
    Detail(1, 1, 2, 2, 40),
)
"""From the most to the least; the first whose page is not too large is taken."""


def model(answers: Mapping[str, Json], at: datetime, detail: Detail) -> dict[str, Any]:
    """Return what the template of the page is given.

    Args:
        answers: the facts of hosts by their names; see status.answer.
        at: the time that the page states (UTC).
    """
    hosts = [_host(place, name, facts, at, detail) for place, (name, facts) in enumerate(answers.items(), 1)]
    return {
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "hosts": hosts,
        "total": total(answers),
        "proofs": {name: meaning for name, meaning in PROOFS.items() if name in _WORST_FIRST},
        "whole": detail == DETAILS[0],
    }


def _host(place: int, name: str, facts: Json, at: datetime, detail: Detail) -> dict[str, Any]:
    if "down" in facts:
        return {"place": place, "name": short(name, detail.characters), "down": short(facts["down"], detail.characters)}
    kept = facts["backup"]
    sets = kept["sets"] if kept else []
    return {
        "place": place,
        "name": short(name, detail.characters),
        "app": short(facts["app"], detail.characters),
        "findings": [short(finding, detail.characters) for finding in facts["findings"][: detail.findings]],
        "more": max(len(facts["findings"]) - detail.findings, 0),
        "unseen": {part: short(why, detail.characters) for part, why in facts["not_looked_at"].items()},
        **_cells(facts, detail),
        "weeks": calendar(sets, at.date(), detail.weeks) if sets else [],
        "growth": growth(sets, detail.points),
        "releases": [
            {
                **{
                    key: short(str(release[key]), detail.characters)
                    for key in ("state", "image", "deployed_by", "message")
                },
                "at": minute(release["at"]),
            }
            for release in (facts["releases"] or ())[: detail.releases]
        ],
    }


def _cells(facts: Json, detail: Detail) -> dict[str, str]:
    """Return the texts of a host's row."""
    kept, live, container, timers = facts["backup"], facts["release"], facts["container"], facts["timers"]
    return {
        "version": short(version(facts) if live is not None else UNSEEN, detail.characters),
        "digest": str((live or {}).get("digest", "")),
        "released": UNSEEN if live is None else minute(live.get("at", "")),
        "health": (container["health"] or container["state"]) if container else UNSEEN,
        "since": minute(container["started_at"]) if container else UNSEEN,
        "drift": UNSEEN if facts["drift"] is None else "yes" if facts["drift"] else "no",
        "good": minute(kept["good_at"]) if kept else UNSEEN,
        "proof": newest_proof(facts) if kept else UNSEEN,
        "recovery": (f"{kept['rto']:.1f} s" if kept["rto"] else "never measured") if kept else UNSEEN,
        "next": UNSEEN if timers is None else minute(min(filter(None, timers.values()), default="")),
        "disk": f"{max(map(used, facts['disks']))} %" if facts["disks"] else UNSEEN,
    }


def minute(at: str) -> str:
    """Return a time of JSON (UTC) for people, without its seconds; ``none`` for none."""
    found = moment(at)
    return found.strftime("%Y-%m-%d %H:%M") if found else "none"


def calendar(sets: Sequence[Json], today: date, weeks: int) -> list[list[dict[str, Any]]]:
    """Return weeks of days, Monday first, up to the one of today: each its date, ``proof`` and number of sets.

    A day with several sets bears the mark of a bad one, and otherwise of the best proof.
    """
    days: dict[date, list[str]] = {}
    for row in sets:
        found = moment(row["at"])
        if found:
            days.setdefault(found.date(), []).append(row["proof"])
    monday = today - timedelta(days=today.weekday(), weeks=weeks - 1)
    dates = [monday + timedelta(days=number) for number in range(7 * weeks)]
    cells = [_day(day, days.get(day, ()), day > today) for day in dates]
    return [cells[place : place + 7] for place in range(0, len(cells), 7)]


def _day(day: date, proofs: Sequence[str], future: bool) -> dict[str, Any]:
    mark = next((proof for proof in _WORST_FIRST if proof in proofs), "")
    return {"date": day.isoformat(), "day": day.day, "proof": mark, "count": len(proofs), "future": future}


def growth(sets: Sequence[Json], most: int) -> dict[str, str]:
    """Return the line of the sizes of sets over time, and its ends in words; empty for less than two sets.

    Args:
        sets: the newest first; bad ones are left out.
        most: points; of more, the newest of each stretch of time are taken.
    """
    good = [(moment(row["at"]), int(row["bytes"])) for row in sets if row["proof"] != BAD]
    timed = sorted((at, count) for at, count in good if at)
    if len(timed) < 2 or timed[0][0] == timed[-1][0]:
        return {}
    began, whole = timed[0][0], (timed[-1][0] - timed[0][0]).total_seconds()
    stretches = {int((at - began).total_seconds() / whole * (most - 2)): (at, count) for at, count in timed[1:]}
    top = max(count for _at, count in timed) or 1
    taken = [timed[0], *(stretches[place] for place in sorted(stretches))]
    points = (
        f"{(at - began).total_seconds() / whole * _WIDE:.0f},{_HIGH - count / top * (_HIGH - 4) - 2:.0f}"
        for at, count in taken
    )
    (first, before), (last, after) = timed[0], timed[-1]
    return {
        "points": " ".join(points),
        "first": f"{size(before)} on {first:%Y-%m-%d}",
        "last": f"{size(after)} on {last:%Y-%m-%d}",
        "most": size(top),
    }


def style_source(style: str) -> str:
    """Return the source that a Content-Security-Policy names to allow exactly this style element."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def timeless(page: str) -> str:
    """Return a page without the time that it states: two that are equal then tell of the same facts."""
    return _STATED.sub("", page, count=1)


def clean(page: str) -> str:
    """Return a page without what no text may have; each becomes U+FFFD, as browsers show it."""
    return _NO_TEXT.sub("\ufffd", page)


def fitting(pages: Iterator[str]) -> str:
    """Return the first page that is not too large, or the last one."""
    page = ""
    for page in pages:
        if len(page.encode()) <= LARGEST:
            break
    return page
