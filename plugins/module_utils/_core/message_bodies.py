# SPDX-License-Identifier: GPL-3.0-or-later
"""What services that take messages by HTTP want to be sent, and how much of it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from .alerts import BEGAN, ENDED, FLAPS, REMINDER, WAS, WORSE, News
from .text import counted

JSON, SLACK, DISCORD, NTFY, TELEGRAM = "json", "slack", "discord", "ntfy", "telegram"
FORMATS = (JSON, SLACK, DISCORD, NTFY, TELEGRAM)
_CUT = "…"

Sent = Tuple[str, Mapping[str, str], bytes]
"""An address, headers and a body."""


def title_of(news: Mapping[str, Any]) -> str:
    """Return a line for a message such as ``shop on web-1: backup failed``."""
    how = "ok" if news.get("success") else "failed"
    where = " on ".join(filter(None, (str(news.get("app", "")), str(news.get("host", "")))))
    return news.get("title") or f"{where}: {news.get('job', '')} {how}"


def text_of(news: Mapping[str, Any]) -> str:
    """Return what people read: the title, the message, and cautions."""
    return "\n".join([title_of(news), str(news.get("message", "")), *map(str, news.get("cautions") or ())]).strip()


def sent(form: str, url: str, news: Mapping[str, Any]) -> Sent:
    """Return what is posted where.

    Args:
        form: one of FORMATS. Telegram's ``chat_id`` is taken from the query of the address.
    """
    return _FORMS[form](url, news)


def _json(url: str, news: Mapping[str, Any]) -> Sent:
    return url, {"Content-Type": "application/json"}, json.dumps(news).encode()


def _slack(url: str, news: Mapping[str, Any]) -> Sent:
    """https://docs.slack.dev/messaging/formatting-message-text: three characters are escaped."""
    text = cut(text_of(news), 10000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _json(url, {"text": text})


def _discord(url: str, news: Mapping[str, Any]) -> Sent:
    """https://discord.com/developers/docs/resources/webhook#execute-webhook: 2000 characters, nobody is called."""
    return _json(url, {"content": cut(text_of(news), 2000), "allowed_mentions": {"parse": []}})


def _ntfy(url: str, news: Mapping[str, Any]) -> Sent:
    """https://docs.ntfy.sh/publish: 4096 bytes; the title in a header would have to be ASCII."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Priority": "default" if news.get("success") else "high"}
    return url, headers, cut_bytes(text_of(news), 4096)


def _telegram(url: str, news: Mapping[str, Any]) -> Sent:
    """https://core.telegram.org/bots/api#sendmessage: 4096 characters."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    chat = {"chat_id": query.pop("chat_id")} if "chat_id" in query else {}
    return _json(urlunsplit(parts._replace(query=urlencode(query))), {**chat, "text": cut(text_of(news), 4096)})


_FORMS: Mapping[str, Callable[[str, Mapping[str, Any]], Sent]] = {
    JSON: _json,
    SLACK: _slack,
    DISCORD: _discord,
    NTFY: _ntfy,
    TELEGRAM: _telegram,
}


def cut(text: str, most: int) -> str:
    """Return a text of at most so many UTF-16 code units, which is what services count."""
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 <= most:
        return text
    return text.encode("utf-16-le", "surrogatepass")[: 2 * (most - 1)].decode("utf-16-le", "ignore") + _CUT


def cut_bytes(text: str, most: int) -> bytes:
    """Return a text of at most so many bytes."""
    whole = text.encode("utf-8", "replace")
    end = _CUT.encode()
    return whole if len(whole) <= most else whole[: most - len(end)].decode("utf-8", "ignore").encode() + end


def retry_after(value: Optional[str], now: datetime) -> Optional[float]:
    """Return for how many seconds a server wants to be left alone (RFC 9110, 10.2.3); None when it does not say."""
    text = (value or "").strip()
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return max((at.replace(tzinfo=at.tzinfo or timezone.utc) - now).total_seconds(), 0.0)


_WORDS: Mapping[str, str] = {
    BEGAN: "{severity}",
    WORSE: "worse, {severity}",
    ENDED: "over",
    WAS: "was, and is over",
    REMINDER: "still {severity}",
    FLAPS: "comes and goes",
}


def of_watch(app: str, host: str, at: str, news: Sequence[News]) -> Mapping[str, Any]:
    """Return a message on findings, all in one.

    Args:
        at: the time of the look (RFC 3339).
    """
    going_on = [piece for piece in news if piece.kind not in (ENDED, WAS)]
    count = counted(len(news), "thing") if len(news) > 1 else news[0].finding.id
    how = f"{count}: {_WORDS[news[0].kind].format(severity=news[0].finding.severity)}" if len(news) == 1 else count
    return {
        "app": app,
        "host": host,
        "job": "watch",
        "at": at,
        "success": not going_on,
        "title": f"{app} on {host}: {how}" + (f", {len(going_on)} not over" if len(news) > 1 and going_on else ""),
        "message": "\n".join(_lines_of(piece) for piece in news),
        "cautions": [],
        "findings": [_row(piece) for piece in news],
    }


def _lines_of(piece: News) -> str:
    finding = piece.finding
    how = _WORDS[piece.kind].format(severity=finding.severity)
    if piece.kind in (ENDED, WAS):
        times = f"from {_time(piece.since)} to {_time(piece.until)}"
        return f"{how}: {finding.looked_at}: {finding.found} ({finding.id}; {times})"
    since = f"{finding.id}; since {_time(piece.since)}"
    lines = [f"{how}: {finding.looked_at}: {finding.found}; wanted: {finding.wanted}. {finding.remedy} ({since})"]
    return "\n".join([*lines, *(f"  | {line}" for line in finding.log)])


def _row(piece: News) -> Mapping[str, Any]:
    finding = piece.finding
    return {
        "id": finding.id,
        "news": piece.kind,
        "severity": finding.severity,
        "looked_at": finding.looked_at,
        "found": finding.found,
        "wanted": finding.wanted,
        "remedy": finding.remedy,
        "since": _time(piece.since),
        "until": _time(piece.until) if piece.until else "",
        "log": list(finding.log),
    }


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
