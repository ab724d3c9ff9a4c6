# SPDX-License-Identifier: GPL-3.0-or-later
"""What services are sent."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.alerts import BEGAN, ENDED, FLAPS, WAS, News
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.message_bodies import (
    cut,
    cut_bytes,
    of_watch,
    retry_after,
    sent,
    text_of,
    title_of,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import CRITICAL, WARNING, Finding

URL = "https://hooks.example.com/s3cret"
NEWS = {"app": "shop", "host": "web-1", "job": "backup", "success": False, "message": "No <space> & no @everyone."}
APP = Finding("app-state", CRITICAL, "the container shop-app", "exited", "running", "docker-vps start", ("boom",))
DISK = Finding("disk-low:/", WARNING, "the disk at /", "91 % used", "below 90 %", "Prune.")
AT = 1_800_000_000.0


def body(form: str, url: str = URL, **more: Any) -> Any:
    return json.loads(sent(form, url, {**NEWS, **more})[2])


def test_titles_and_texts() -> None:
    assert title_of(NEWS) == "shop on web-1: backup failed"
    assert title_of({**NEWS, "success": True, "host": ""}) == "shop: backup ok"
    assert title_of({**NEWS, "title": "This."}) == "This."
    assert text_of({**NEWS, "cautions": ["One."]}) == "shop on web-1: backup failed\nNo <space> & no @everyone.\nOne."


def test_the_body_of_each_service() -> None:
    assert body("json") == NEWS
    assert body("slack") == {"text": "shop on web-1: backup failed\nNo &lt;space&gt; &amp; no @everyone."}
    assert body("discord")["allowed_mentions"] == {"parse": []}
    assert body("discord")["content"] == text_of(NEWS)
    url, headers, raw = sent("ntfy", URL, NEWS)
    assert (url, headers["Priority"], raw.decode()) == (URL, "high", text_of(NEWS))
    assert sent("ntfy", URL, {**NEWS, "success": True})[1]["Priority"] == "default"


def test_telegrams_chat_is_named_in_the_address() -> None:
    url, _headers, raw = sent("telegram", f"{URL}/sendMessage?chat_id=-100&x=1", NEWS)
    assert url == f"{URL}/sendMessage?x=1"
    assert json.loads(raw) == {"chat_id": "-100", "text": text_of(NEWS)}
    assert json.loads(sent("telegram", URL, NEWS)[2]) == {"text": text_of(NEWS)}


@pytest.mark.parametrize(("form", "key", "most"), [("discord", "content", 2000), ("telegram", "text", 4096)])
def test_bodies_are_cut_to_the_limit_of_the_channel(form: str, key: str, most: int) -> None:
    text = body(form, message="🙂" * 5000)[key]
    assert len(text.encode("utf-16-le")) // 2 <= most
    assert text.endswith("🙂…")


def test_ntfy_counts_bytes() -> None:
    raw = sent("ntfy", URL, {**NEWS, "message": "ü" * 5000})[2]
    assert 4090 < len(raw) <= 4096
    assert raw.decode().endswith("ü…")


def test_cutting() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut_bytes("abc", 3) == b"abc"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sun, 01 Feb 2026 02:00:30 GMT", 30.0),
        ("Sun, 01 Feb 2026 01:00:00 GMT", 0.0),
        ("Sun, 01 Feb 2026 02:00:30 -0000", 30.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_when_to_ask_again(value: Optional[str], seconds: Optional[float]) -> None:
    assert retry_after(value, datetime(2026, 2, 1, 2, tzinfo=timezone.utc)) == seconds


def test_all_findings_are_one_message() -> None:
    news = of_watch("shop", "web-1", "2027-01-15T08:00:00Z", [News(BEGAN, APP, AT), News(ENDED, DISK, AT, AT + 600)])
    assert (news["title"], news["success"]) == ("shop on web-1: 2 things, 1 not over", False)
    assert news["message"].split("\n") == [
        "critical: the container shop-app: exited; wanted: running. docker-vps start "
        "(app-state; since 2027-01-15 08:00 UTC)",
        "  | boom",
        "over: the disk at /: 91 % used (disk-low:/; from 2027-01-15 08:00 UTC to 2027-01-15 08:10 UTC)",
    ]
    assert [row["news"] for row in news["findings"]] == [BEGAN, ENDED]
    assert news["findings"][0]["log"] == ["boom"]


def test_one_finding_is_named_in_the_title() -> None:
    assert of_watch("shop", "web-1", "", [News(FLAPS, APP, AT)])["title"] == "shop on web-1: app-state: comes and goes"
    was = of_watch("shop", "web-1", "", [News(WAS, APP, AT, 1e300)])
    assert (was["title"], was["success"]) == ("shop on web-1: app-state: was, and is over", True)
    assert was["message"].endswith("to an unknown time)")
    assert of_watch("shop", "w", "", [News(ENDED, APP, AT, AT), News(ENDED, DISK, AT, AT)])["title"] == (
        "shop on w: 2 things"
    )
