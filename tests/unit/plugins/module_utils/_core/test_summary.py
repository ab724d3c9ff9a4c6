# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play says in the end."""

from __future__ import annotations

from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import summary

IMAGE = {"reference": "shop-app:3f2a", "revision": "4f2c", "release": "3f2a"}
RELEASED = {"changed": True, "summary": "Release 1 is live.", "cautions": ["It was slow."]}
NOTHING = "Nothing to do: what is live is what was asked for, and shop-app is healthy."
LIVE = "shop-app is healthy. The reverse proxy reaches it on the network proxy at http://shop-app:3000"
ADDRESS = "Public address: https://shop.example"
BUILT = ["Image: shop-app:3f2a", "Revision: 4f2c, release 3f2a"]
SECONDS = "Seconds: preflight 1.5, stack and health 2.0"
FILES = "Logs: docker logs --tail 50 shop-app; files: /opt/shop"
NEXT = "Next: releases.yml lists what rollback.yml can return to."
IN_EARNEST = "Next: the same without --check does it."


def lines(
    released: Mapping[str, Any], image: Mapping[str, Any], other_values: tuple[str, ...] = (), check_mode: bool = False
) -> list[str]:
    return summary.release(
        released,
        image,
        container="shop-app",
        network="proxy",
        port="3000",
        server_url="https://shop.example",
        directory="/opt/shop",
        phases=[{"name": "preflight", "at": 10.0}, {"name": "stack and health", "at": 11.5}],
        ended=13.5,
        other_values=other_values,
        then="releases.yml lists what rollback.yml can return to",
        check_mode=check_mode,
    )


def test_a_release_is_told_with_its_cautions() -> None:
    said = lines(RELEASED, {**IMAGE, "cautions": ["No ARG."]}, ("NEXT_PUBLIC_A", "NEXT_PUBLIC_B"))
    values = (
        "Warning: Code for browsers keeps the values of NEXT_PUBLIC_A, NEXT_PUBLIC_B with which its image was built, "
        "since Next.js compiles them in."
    )
    cautions = [values, "Warning: No ARG.", "Warning: It was slow."]
    assert said == ["Release 1 is live.", LIVE, ADDRESS, *BUILT, SECONDS, FILES, NEXT, *cautions]


def test_nothing_to_do_is_told_first() -> None:
    assert lines({}, {}, ("NEXT_PUBLIC_A",)) == [NOTHING, LIVE, ADDRESS, SECONDS, FILES]
    assert lines({**RELEASED, "changed": False}, IMAGE)[0] == NOTHING


def test_a_dry_run_says_what_would_be_done_and_not_what_there_is() -> None:
    said = lines({"changed": True, "summary": "It would be started.", "cautions": []}, IMAGE, check_mode=True)
    assert said == [
        "This was a dry run; nothing was changed.",
        "It would be started.",
        ADDRESS,
        *BUILT,
        SECONDS,
        IN_EARNEST,
    ]
    assert lines({}, {}, check_mode=True) == [NOTHING, ADDRESS, SECONDS]


def container(code: int) -> dict[str, Any]:
    return {"State": {"ExitCode": code}}


@pytest.mark.parametrize(
    ("before", "stopped", "check_mode", "said"),
    [
        ({}, {"skipped": True}, False, "There is no container shop-app, so there is nothing to stop."),
        (container(3), {"changed": False}, False, "shop-app does not run; its last exit code is 3."),
        (container(3), {"changed": False}, True, "shop-app does not run; its last exit code is 3."),
        (container(0), {"changed": True}, True, "shop-app would be stopped, with 7 s to end after SIGTERM."),
        (
            container(0),
            {"changed": True, "container": container(143)},
            False,
            "shop-app was stopped and ended by itself with exit code 143.",
        ),
        (
            container(0),
            {"changed": True, "container": container(137)},
            False,
            "Warning: shop-app did not end within 7 s of SIGTERM and was killed (exit code 137), so its last work may "
            "be lost. Let it handle SIGTERM, or deploy it with a longer stop grace period.",
        ),
    ],
)
def test_how_a_container_ended(before: dict[str, Any], stopped: dict[str, Any], check_mode: bool, said: str) -> None:
    assert summary.stop(before, stopped, "shop-app", 7, check_mode) == said


def test_a_play_ends_with_what_it_did_how_long_that_took_and_what_is_next() -> None:
    phases = [{"name": "preflight", "at": 10.0}, {"name": "backup", "at": 10.4}]
    ended = ["A set was made.", "Seconds: preflight 0.4, backup 3.0"]
    then = "restore_drill.yml proves it"
    assert summary.closing(["A set was made.", ""], phases, 13.4, then, False) == [*ended, f"Next: {then}."]
    assert summary.closing(["A set was made."], phases, 13.4, then, True) == [*ended, IN_EARNEST]
    assert summary.closing(["A set was made."], phases, 13.4, "", False) == ended
    assert summary.closing(["A set was made."], phases, 13.4, then, False, changes=False)[2:] == [f"Next: {then}."]
    nothing = "Next: nothing, since without --check nothing would be changed either."
    assert summary.closing(["A set was made."], phases, 13.4, then, True, changes=False) == [*ended, nothing]


JOBS = {"backup": "*-*-* 02:00:00 UTC", "recover": ""}
KEPT = {"last": 9, "daily": 7, "weekly": 1, "monthly": 0}


def scheduled(jobs: dict[str, str], check_mode: bool = False, **more: Any) -> list[str]:
    known: dict[str, Any] = {"by": "systemd", "changed": [], "next_runs": {}, "keep": KEPT, "repository": "", **more}
    return summary.schedule(jobs, check_mode=check_mode, **known)


def test_what_a_host_does_by_itself() -> None:
    runs = {"backup": "2026-02-01T02:07:41Z", "recover": ""}
    repository = "rest:https://us:radish@backup.example.com/"
    assert scheduled(JOBS, changed=["docker-vps", "its timers"], next_runs=runs, repository=repository) == [
        "Changed: docker-vps, its timers.",
        "systemd runs backup at *-*-* 02:00:00 UTC, next at 2026-02-01T02:07:41Z.",
        "systemd runs recover when the host or the engine starts.",
        "Retention: the last 9 sets and the newest set of each of 7 days, 1 week.",
        "Off-site: copies go to rest:https://us:***@backup.example.com/.",
    ]
    assert scheduled({"watch": "*/5 * * * *", "recover": "@reboot"}, by="cron") == [
        "Nothing had to be changed.",
        "cron runs watch at */5 * * * *.",
        "cron runs recover when the host starts.",
    ]
    assert scheduled({}, changed=["docker-vps"], check_mode=True) == [
        "Would be changed: docker-vps.",
        "Nothing of this application is scheduled on this host.",
    ]


@pytest.mark.parametrize(
    ("keep", "kept"), [({"last": 1}, "the last 1 set"), ({"yearly": 2}, "the newest set of each of 2 years")]
)
def test_what_is_kept_and_copied(keep: dict[str, int], kept: str) -> None:
    assert scheduled({"backup": "daily"}, keep=keep)[2:] == [
        f"Retention: {kept}.",
        "Off-site: nothing is copied, so the sets are lost with this host.",
    ]
    (copied,) = scheduled({"backup": "daily"}, repository="sftp:b@example.com:/srv/restic")[3:]
    assert copied == "Off-site: copies go to sftp:b@example.com:/srv/restic."
    (copied,) = scheduled({"backup": "daily"}, repository="rest:https://u:pa/s#s@example.com/x")[3:]
    assert copied == "Off-site: copies go to rest:https://u:***@example.com/x."
