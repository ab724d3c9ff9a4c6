# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications, to a small HTTP server and to real commands."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command import notify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.notify import (
    Mail,
    Notify,
    notify_of,
    ping,
    tell,
    ways,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FAILED = {"app": "shop", "job": "backup", "success": False, "message": "The volume shop-db does not exist."}
WENT_WELL = {**FAILED, "success": True, "message": "Set 20260131-020000 of shop."}
KEY = "s3cret-path-9000"


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask past a proxy that the environment may name."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Listener:
    """A server that keeps what it was asked and answers with one status."""

    def __init__(self) -> None:
        self.status = 200
        self.statuses: list[int] = []  # of the next answers; then ``status``
        self.wait = ""
        self.heard: list[tuple[str, str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.heard.append((self.command, self.path, json.loads(body) if body else None))
                status = listener.statuses.pop(0) if listener.statuses else listener.status
                self.send_response(status)
                if status in (429, 503) and listener.wait:
                    self.send_header("Retry-After", listener.wait)
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{KEY}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.server.shutdown()
    one.server.server_close()


def refused() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/{KEY}"


def test_nobody_to_tell() -> None:
    assert tell(Notify(), FAILED) == []


def test_a_failure_reaches_the_webhook_the_ping_and_the_command(listener: Listener, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    code = f"import sys; open({str(kept)!r}, 'w').write(sys.stdin.read()); print('not on our output')"
    whom = Notify(listener.url, (sys.executable, "-c", code), {"backup": f"{listener.url}/ping/"})
    assert tell(whom, FAILED) == []
    assert listener.heard == [("POST", f"/{KEY}", FAILED), ("GET", f"/{KEY}/ping/fail", None)]
    assert json.loads(kept.read_text()) == FAILED


def test_of_success_only_the_ping_of_the_job_hears_unless_wanted(listener: Listener) -> None:
    pings = {"backup": f"{listener.url}/ping", "drill": f"{listener.url}/other"}
    assert tell(Notify(listener.url, ("false",), pings), WENT_WELL) == []
    assert listener.heard == [("GET", f"/{KEY}/ping", None)]
    assert tell(Notify(listener.url, (), on_success=True), WENT_WELL) == []
    assert listener.heard[1:] == [("POST", f"/{KEY}", WENT_WELL)]


def test_what_fails_is_told_and_the_others_still_hear(listener: Listener) -> None:
    listener.status = 503
    problems = tell(Notify(listener.url, ("false",), {"backup": refused()}), FAILED)
    assert problems == [
        "The webhook failed: it answered 503.",
        "The notification command false failed: it ended with 1.",
        "The ping of backup failed: [Errno 111] Connection refused.",
    ]
    assert len(listener.heard) == 1


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"file:///etc/{KEY}", "its address is not an http:// or https:// address"),
        (f"http://127.0.0.1/ü{KEY}", "UnicodeEncodeError"),
        (f"http://127.0.0.1/\x01{KEY}", "InvalidURL"),
    ],
)
def test_no_address_is_repeated(url: str, problem: str) -> None:
    assert tell(Notify(webhook=url), FAILED) == [f"The webhook failed: {problem}."]


def test_a_server_that_hangs_up_or_talks_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for answer in (b"", b"nonsense\r\n\r\n"):
                with server.accept()[0] as caller:
                    # All of it, or hanging up resets the connection.
                    while str(FAILED["message"]).encode() not in caller.recv(65536):
                        pass
                    caller.sendall(answer)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{KEY}"
        problems = tell(Notify(webhook=url), FAILED) + tell(Notify(webhook=url), FAILED)
        thread.join()
    assert problems == [
        "The webhook failed: Remote end closed connection without response.",
        "The webhook failed: BadStatusLine.",
    ]


def test_a_command_that_is_not_there() -> None:
    problems = tell(Notify(command=("/no/such/command",)), FAILED)
    assert problems == ["The notification command /no/such/command failed: No such file or directory."]


def test_a_command_that_does_not_end() -> None:
    problems = tell(Notify(command=("sleep", "60")), FAILED, command_within=0.05)
    assert problems == ["The notification command sleep failed: it did not end within 0.05 s."]


def test_a_caution_is_told_although_the_run_went_well(listener: Listener) -> None:
    news = {**WENT_WELL, "cautions": ["Gone since set 20260130-020000: 500 of 500 rows of vendors in payload.db."]}
    whom = Notify(webhook=listener.url, pings={"backup": listener.url})
    assert tell(whom, news) == []
    assert listener.heard == [("POST", f"/{KEY}", news), ("GET", f"/{KEY}", None)]
    listener.heard.clear()
    assert tell(whom, {**WENT_WELL, "cautions": []}) == []
    assert [one[0] for one in listener.heard] == ["GET"]


def test_a_server_that_is_too_busy_is_asked_again_as_it_wants(listener: Listener) -> None:
    listener.statuses, listener.wait = [429, 429, 503], "0"
    assert tell(Notify(listener.url), FAILED) == []
    assert len(listener.heard) == 4


@pytest.mark.parametrize(("status", "wait"), [(429, "3600"), (429, ""), (500, "0"), (404, "0"), (429, "soon")])
def test_no_other_failure_is_waited_for(listener: Listener, status: int, wait: str) -> None:
    listener.status, listener.wait = status, wait
    assert tell(Notify(listener.url), FAILED) == [f"The webhook failed: it answered {status}."]
    assert len(listener.heard) == 1


def test_the_body_is_that_of_the_service(listener: Listener) -> None:
    assert tell(Notify(listener.url, format="slack"), FAILED) == []
    ((_method, _path, body),) = listener.heard
    assert body == {"text": f"shop: backup failed\n{FAILED['message']}"}
    assert tell(Notify(f"http://[::1/{KEY}", format="telegram"), FAILED) == [
        "The webhook failed: its address is not an http:// or https:// address."
    ]


def test_channels_are_read_as_configurations_have_them() -> None:
    given = {"webhook": "", "command": [], "pings": {}, "on_success": False}
    assert notify_of(given) == Notify()
    assert notify_of({**given, "format": "ntfy", "mail": {"to": ["a@example.com"]}}).mail == Mail(("a@example.com",))
    with pytest.raises(TypeError):
        notify_of({**given, "mail": {"too": []}})
    assert list(ways(Notify("http://x", ("true",), mail=Mail(("a@example.com",))))) == ["webhook", "mail", "command"]
    assert ping(Notify(), "watch", True) == ""


class Inbox:
    """Keeps what a server of e-mail takes, or refuses it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.data = "250 taken"
        self.rcpt = "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data.startswith("250"):
            self.messages.append(envelope.content.decode())
        return self.data


USER, PASSWORD = "shop@example.com", "sesame-9000"


def _login(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


Post = Callable[..., Mail]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def post(inbox: Inbox, tmp_path: Path) -> Iterator[Post]:
    """Start servers of e-mail, and return how each is reached."""
    running: list[Controller] = []

    def start(kind: str = "starttls", name: str = "localhost", **mail: Any) -> Mail:
        context, ca_file = certified(tmp_path, name)
        options: dict[str, Any] = {"authenticator": _login, "auth_require_tls": False}

        class Served(Controller):
            def factory(self) -> SMTP:
                return SMTP(self.handler, tls_context=context if kind == "starttls" else None, **options)

        server = Served(inbox, "127.0.0.1", free_port(), ssl_context=context if kind == "tls" else None)
        server.start()
        running.append(server)
        given = {"to": ("ops@example.com",), "sender": "watch@example.com", "host": "localhost", "port": server.port}
        return Mail(**{**given, "ca_file": ca_file, **mail})

    yield start
    for server in running:
        server.stop()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def certified(place: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """Return the context of a server, and its certificate, which is its own authority."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = place / f"{name}.pem", place / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context, str(files[0])


def mailed(mail: Mail) -> list[str]:
    return tell(Notify(mail=mail), {**FAILED, "message": "Ümläut is gone."})


@pytest.mark.parametrize(("kind", "security"), [("starttls", "auto"), ("tls", "tls"), ("plain", "none")])
def test_an_email_arrives_once(post: Post, inbox: Inbox, kind: str, security: str) -> None:
    assert mailed(post(kind, security=security, user=USER, password=PASSWORD)) == []
    (message,) = inbox.messages
    assert "Subject: shop: backup failed" in message
    assert "To: ops@example.com" in message
    assert "Auto-Submitted: auto-generated" in message


@pytest.mark.parametrize(
    ("kind", "mail", "problem"),
    [
        ("plain", {}, "localhost offers no TLS or no login at port {port}"),
        ("starttls", {"security": "tls"}, "localhost speaks no TLS at port {port}; is its security another one?"),
        ("starttls", {"ca_file": ""}, "the certificate of localhost is invalid: self-signed certificate"),
        ("starttls", {"user": USER, "password": "wrong"}, "localhost refuses the login (535)"),
        ("starttls", {"port": 1}, "localhost does not answer at port 1: Connection refused"),
        ("starttls", {"host": "no.invalid"}, "no.invalid does not answer at port {port}: Name or service not known"),
        ("starttls", {"sender": "a\nb@example.com"}, "it cannot be written: ValueError"),
    ],
)
def test_what_can_be_wrong_with_a_server(post: Post, inbox: Inbox, kind: str, mail: Any, problem: str) -> None:
    given = post(kind, **mail)
    (said,) = mailed(given)
    assert said == f"The e-mail failed: {problem.format(port=given.port)}."
    assert inbox.messages == []


def test_the_name_in_the_certificate_counts(post: Post, inbox: Inbox) -> None:
    (problem,) = mailed(post(name="mail.example.com"))
    assert problem.startswith("The e-mail failed: the certificate of localhost is invalid: Hostname mismatch")
    assert inbox.messages == []


@pytest.mark.parametrize(
    ("data", "rcpt", "problem"),
    [
        ("451 try later", "250 OK", "localhost answered 451 try later."),
        (f"554 no {PASSWORD} here", "250 OK", "localhost answered 554 no <password> here."),
        ("250 OK", "550 who?", "localhost takes it for none of ops@example.com."),
    ],
)
def test_only_what_is_taken_is_sent(post: Post, inbox: Inbox, data: str, rcpt: str, problem: str) -> None:
    inbox.data, inbox.rcpt = data, rcpt
    assert mailed(post(user=USER, password=PASSWORD)) == [f"The e-mail failed: {problem}"]


def test_servers_that_hang_up_or_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "ANSWER_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = Mail(("ops@example.com",), "w@example.com", "127.0.0.1", port)
        assert "127.0.0.1 hangs up or is silent" in mailed(silent)[0]

        def hang_up() -> None:
            server.accept()[0].close()
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert "127.0.0.1 hangs up or is silent" in mailed(silent)[0] + mailed(silent)[0]
        thread.join()
