# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell people, or what watches for them, how a job ended.

Addresses are secrets, since whoever knows one can write there: no sentence repeats them.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Optional

from .._core.validators import http_url

ANSWER_WITHIN = 10  # seconds for one request
COMMAND_ENDS_WITHIN = 60  # seconds


@dataclass(frozen=True)
class Notify:
    """Whom to tell: an address that takes JSON, a command that reads it, and per job an address that is visited.

    The addresses in ``pings`` are visited after each run, with ``/fail`` appended after a failed one, as
    https://healthchecks.io and its kin expect it; those notice also when no run takes place. The others are notified of
    failures and of cautions, and with ``on_success`` of every run.
    """

    webhook: str = ""
    command: tuple[str, ...] = ()
    pings: Mapping[str, str] = field(default_factory=dict)
    on_success: bool = False


@dataclass(frozen=True)
class Params:
    """Whom to tell, and what."""

    channels: Notify
    news: Mapping[str, Any]


def run(params: Params, check_mode: bool) -> dict[str, Any]:
    """Tell everyone, and return what went wrong with that, which warns and fails nothing."""
    problems = [] if check_mode else tell(params.channels, params.news)
    return {"changed": False, "problems": problems, "warnings": problems}


def tell(channels: Notify, news: Mapping[str, Any], command_within: float = COMMAND_ENDS_WITHIN) -> list[str]:
    """Tell everyone, and return one sentence per notification that failed.

    Args:
        news: at least ``job`` and ``success``, and ``cautions`` if there are any; all of it can be JSON.
        command_within: for how many seconds the command may run.
    """
    return list(_send_all(channels, news, command_within))


def _send_all(channels: Notify, news: Mapping[str, Any], command_within: float) -> Iterator[str]:
    body = json.dumps(news).encode()
    ping = channels.pings.get(news["job"])
    if ping:
        problem = _visited(ping if news["success"] else ping.rstrip("/") + "/fail", None)
        if problem:
            yield f"The ping of {news['job']} failed: {problem}."
    if news["success"] and not news.get("cautions") and not channels.on_success:
        return
    if channels.webhook:
        problem = _visited(channels.webhook, body)
        if problem:
            yield f"The webhook failed: {problem}."
    if channels.command:
        problem = _commanded(channels.command, body, command_within)
        if problem:
            yield f"The notification command {channels.command[0]} failed: {problem}."


def _visited(url: str, body: Optional[bytes]) -> str:
    """Get an address, or post JSON to it, and return what went wrong."""
    if not http_url(url):
        return "its address is not an http:// or https:// address"
    headers = {"User-Agent": "docker-vps", **({"Content-Type": "application/json"} if body else {})}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310  # http or https, see above
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except OSError as error:
        return error.strerror or str(error)
    except (http.client.HTTPException, ValueError) as error:  # their messages repeat the address
        return type(error).__name__


def _commanded(command: tuple[str, ...], body: bytes, within: float) -> str:
    """Run a command with JSON at its standard input, and return what went wrong; its errors go where ours go."""
    try:
        done = subprocess.run(command, input=body, stdout=subprocess.DEVNULL, check=False, timeout=within)
    except subprocess.TimeoutExpired:
        return f"it did not end within {within:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return f"it ended with {done.returncode}" if done.returncode else ""
