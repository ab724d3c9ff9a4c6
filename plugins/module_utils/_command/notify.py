# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell people, or what watches for them, how a job ended.

Addresses and passwords are secrets, since whoever knows one can write there: no sentence repeats them.
"""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Tuple, Type

from .._core.environment import http_url
from .._core.message_bodies import JSON, cut, retry_after, sent, text_of, title_of
from .._core.secrets import Mask
from .._core.text import short

ANSWER_WITHIN = 10  # seconds for one request
COMMAND_ENDS_WITHIN = 60  # seconds
PATIENCE = 20.0
"""Seconds for which a server that is too busy is asked again."""
_TOO_MANY, _BUSY = 429, 503
_IMPLICIT_TLS_PORT = 465  # RFC 8314, 3.3
AUTO, STARTTLS, TLS, NONE = "auto", "starttls", "tls", "none"
SECURITY = (AUTO, STARTTLS, TLS, NONE)
_LONGEST_MAIL = 100_000  # characters


@dataclass(frozen=True)
class Mail:
    """Where e-mail goes, and by which server.

    Attributes:
        security: ``auto`` is TLS from the beginning at port 465, and STARTTLS elsewhere; neither is done without.
    """

    to: tuple[str, ...] = ()
    sender: str = ""
    host: str = ""
    port: int = 587
    security: str = AUTO
    user: str = ""
    password: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class Notify:
    """Whom to tell: an address that takes messages, people by e-mail, a command, and per job an address to visit.

    The addresses in ``pings`` are visited after each run, with ``/fail`` appended after a failed one, as
    https://healthchecks.io and its kin expect it; those notice also when no run takes place. The others are notified of
    failures and of cautions, and with ``on_success`` of every run. ``format`` is what the webhook wants to be sent; see
    message_bodies.FORMATS.
    """

    webhook: str = ""
    command: tuple[str, ...] = ()
    pings: Mapping[str, str] = field(default_factory=dict)
    on_success: bool = False
    format: str = JSON
    mail: Mail = field(default_factory=Mail)


@dataclass(frozen=True)
class Params:
    """Whom to tell, and what."""

    channels: Notify
    news: Mapping[str, Any]


def notify_of(given: Mapping[str, Any]) -> Notify:
    """Read the channels as parameters and configurations have them.

    Raises:
        KeyError: one that always was there is missing.
        TypeError: one is unknown.
    """
    mail = dict(given.get("mail") or {})
    mail["to"] = tuple(mail.get("to") or ())
    return Notify(**{**given, "command": tuple(given["command"]), "mail": Mail(**mail)})


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
    return list(_tell_all(channels, news, command_within))


def _tell_all(channels: Notify, news: Mapping[str, Any], command_within: float) -> Iterator[str]:
    if not news["success"] or news.get("cautions") or channels.on_success:
        for channel in ways(channels, command_within).values():
            yield from filter(None, [channel(news)])
    yield from filter(None, [ping(channels, news["job"], news["success"])])  # the last, since it says that all was done


Way = Callable[[Mapping[str, Any]], str]
"""Tells news, and returns a sentence when that failed."""


def ways(channels: Notify, command_within: float = COMMAND_ENDS_WITHIN) -> dict[str, Way]:
    """Return the channels that there are, by their names."""
    found: dict[str, Way] = {}
    if channels.webhook:
        found["webhook"] = lambda news: _sentence("The webhook failed", _posted(channels, news))
    if channels.mail.to:
        found["mail"] = lambda news: _sentence("The e-mail failed", _mailed(channels.mail, news))
    if channels.command:
        what = f"The notification command {channels.command[0]} failed"
        found["command"] = lambda news: _sentence(
            what, _commanded(channels.command, json.dumps(news).encode(), command_within)
        )
    return found


def ping(channels: Notify, job: str, success: bool) -> str:
    """Visit the address of a job, and return a sentence when that failed."""
    address = channels.pings.get(job)
    if not address:
        return ""
    return _sentence(f"The ping of {job} failed", _visited(address if success else address.rstrip("/") + "/fail"))


def _sentence(what: str, problem: str) -> str:
    return f"{what}: {problem.rstrip('.')}." if problem else ""


def _posted(channels: Notify, news: Mapping[str, Any]) -> str:
    """Post news to the webhook, again when it asks for that within reason, and return what went wrong."""
    if not http_url(channels.webhook):
        return _NO_ADDRESS
    try:
        url, headers, body = sent(channels.format, channels.webhook, news)
    except ValueError as error:
        return type(error).__name__
    until = time.monotonic() + PATIENCE
    while True:
        problem, wait = _asked(url, body, headers)
        if wait is None or time.monotonic() + wait > until:
            return problem
        time.sleep(max(wait, 0.1))


_NO_ADDRESS = "its address is not an http:// or https:// address"


def _visited(url: str) -> str:
    """Get an address, and return what went wrong."""
    return _asked(url, None, {})[0] if http_url(url) else _NO_ADDRESS


def _asked(url: str, body: Optional[bytes], headers: Mapping[str, str]) -> tuple[str, Optional[float]]:
    """Ask an address, and return what went wrong, and after how many seconds it wants to be asked again."""
    try:
        request = urllib.request.Request(url, body, {"User-Agent": "docker-vps", **headers})  # noqa: S310  # see above
        with urllib.request.build_opener().open(request, timeout=ANSWER_WITHIN):
            return "", None
    except urllib.error.HTTPError as error:
        error.close()
        busy = error.code in (_TOO_MANY, _BUSY)
        wait = retry_after(error.headers.get("Retry-After"), datetime.now(timezone.utc)) if busy else None
        return f"it answered {error.code}", wait
    except urllib.error.URLError as error:
        return str(error.reason), None
    except OSError as error:
        return error.strerror or str(error), None
    except (http.client.HTTPException, ValueError) as error:  # their messages repeat the address
        return type(error).__name__, None


def _mailed(mail: Mail, news: Mapping[str, Any]) -> str:
    """Send news by e-mail, and return what went wrong; sent is what the server has taken for all."""
    try:
        with _connected(mail) as server:
            if mail.user:
                server.login(mail.user, mail.password)
            refused = server.send_message(_message(mail, news))
        return f"{mail.host} does not take it for {', '.join(sorted(refused))}" if refused else ""
    except (OSError, ValueError) as error:  # of which those of SMTP and of TLS are kinds
        return next(words(mail, error) for kind, words in _MAIL_FAILURES if isinstance(error, kind))


def _answered(mail: Mail, error: Any) -> str:
    answer = error.smtp_error
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    mask = Mask({"user": mail.user, "password": mail.password})
    return f"{mail.host} answered {error.smtp_code} {short(mask(' '.join(text.split())))}".rstrip()


# What is said of each kind of failure; the first that fits.
_MAIL_FAILURES: Sequence[Tuple[Type[Exception], Callable[[Mail, Any], str]]] = (
    (smtplib.SMTPNotSupportedError, lambda mail, _error: f"{mail.host} offers no TLS or no login at port {mail.port}"),
    (
        smtplib.SMTPRecipientsRefused,
        lambda mail, error: f"{mail.host} takes it for none of {', '.join(sorted(error.recipients))}",
    ),
    (smtplib.SMTPAuthenticationError, lambda mail, error: f"{mail.host} refuses the login ({error.smtp_code})"),
    (smtplib.SMTPResponseException, _answered),
    (
        smtplib.SMTPServerDisconnected,
        lambda mail, _error: f"{mail.host} hangs up or is silent at port {mail.port}; is its security another one?",
    ),
    (smtplib.SMTPException, lambda mail, error: f"{type(error).__name__} of {mail.host}"),
    (
        ssl.SSLCertVerificationError,
        lambda mail, error: f"the certificate of {mail.host} is invalid: {error.verify_message}",
    ),
    (ssl.SSLError, lambda mail, _error: f"{mail.host} speaks no TLS at port {mail.port}; is its security another one?"),
    (
        OSError,
        lambda mail, error: f"{mail.host} does not answer at port {mail.port}: {error.strerror or error}",
    ),
    (ValueError, lambda _mail, error: f"it cannot be written: {type(error).__name__}"),
)


def _connected(mail: Mail) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=mail.ca_file or None)
    security = (TLS if mail.port == _IMPLICIT_TLS_PORT else STARTTLS) if mail.security == AUTO else mail.security
    if security == TLS:
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=ANSWER_WITHIN, context=context)
    server = smtplib.SMTP(mail.host, mail.port, timeout=ANSWER_WITHIN)
    if security == STARTTLS:
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _message(mail: Mail, news: Mapping[str, Any]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(title_of(news).split())
    message["From"] = mail.sender or mail.to[0]
    message["To"] = ", ".join(mail.to)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="docker-vps.invalid")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers
    message.set_content(cut(text_of(news), _LONGEST_MAIL))
    return message


def _commanded(command: tuple[str, ...], body: bytes, within: float) -> str:
    """Run a command with JSON at its standard input, and return what went wrong; its errors go where ours go."""
    try:
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(command, input=body, stdout=subprocess.DEVNULL, check=False, timeout=within)
    except subprocess.TimeoutExpired:
        return f"it did not end within {within:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return f"it ended with {done.returncode}" if done.returncode else ""
