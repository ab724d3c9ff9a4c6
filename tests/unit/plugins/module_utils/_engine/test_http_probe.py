# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a visitor comes, at servers of our own."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import http_probe
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.http_probe import visit
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Site(BaseHTTPRequestHandler):
    """Pages by their paths."""

    def do_GET(self) -> None:
        """Answer."""
        status = {"/moved": 302, "/away": 301, "/loop": 302, "/none": 404, "/bad": 502}.get(self.path, 200)
        self.send_response(status)
        leads = {"/moved": "/?page=2", "/away": "https://elsewhere.example.com/", "/loop": "/loop"}.get(self.path)
        if leads:
            self.send_header("Location", leads)
        self.end_headers()
        self.wfile.write(f"Welcome to {self.headers['Host']}{self.path}".encode())

    def log_message(self, *_unused: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(context: Optional[ssl.SSLContext] = None) -> Iterator[int]:
    """Serve the site and yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certified(place: Path, name: str, days: int) -> ssl.SSLContext:
    """Return the context of a server whose certificate is its own authority, ``ca.pem``."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (place / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (place / "key.pem").write_bytes(key.private_bytes(*formats))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "ca.pem", place / "key.pem")
    return context


@pytest.mark.parametrize(
    ("path", "text", "broken", "evidence", "status"),
    [
        ("", "", None, "answers 200", 200),
        ("/moved", "/?page=2", None, "answers 200", 200),
        ("/away", "Welcome", None, "https://elsewhere.example.com/", 301),
        ("/loop", "", None, "/loop", 302),
        ("/none", "", Leg.APPLICATION, "answers 404", 404),
        ("/bad", "", Leg.PROXY, "answers 502", 502),
        ("/", "Goodbye", Leg.APPLICATION, "answers 200 without the text that it should have", 200),
    ],
)
def test_a_page(path: str, text: str, broken: Optional[Leg], evidence: str, status: int) -> None:
    with served() as port:
        found = visit(f"http://localhost:{port}{path}", text)
    assert (found.broken, found.evidence, found.status, found.days_left) == (broken, evidence, status, None)


def test_another_address_is_asked_under_the_same_name() -> None:
    with served() as port:
        found = visit(f"http://shop.example.com:{port}/", f"Welcome to shop.example.com:{port}/", "127.0.0.1")
    assert (found.broken, found.address) == (None, "127.0.0.1")


def test_a_name_without_an_address() -> None:
    assert visit("http://nowhere.invalid/").broken is Leg.DNS
    assert visit(f"http://{'a' * 70}.example.com/").broken is Leg.DNS


def test_a_port_at_which_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = visit(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (found.broken, found.evidence) == (Leg.PORT, "does not answer (Connection refused)")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_never_answers(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_probe, "WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        found = visit(f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/")
    assert found.broken is (Leg.TLS if scheme == "https" else Leg.PROXY)
    assert "no answer within 0 s" in found.evidence


@pytest.mark.parametrize(
    ("name", "days", "trusted", "evidence"),
    [
        ("shop.example.com", 60, True, ""),
        ("shop.example.com", 60, False, "self-signed certificate"),
        ("shop.example.com", -1, True, "certificate has expired"),
        ("blog.example.com", 60, True, "Hostname mismatch, certificate is not valid for 'shop.example.com'."),
    ],
)
def test_certificates(
    name: str, days: int, trusted: bool, evidence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certified(tmp_path, name, days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with served(context) as port:
        found = visit(f"https://shop.example.com:{port}/", f"shop.example.com:{port}", "127.0.0.1")
    assert (found.broken, found.evidence) == ((Leg.TLS, evidence) if evidence else (None, "answers 200"))
    assert found.days_left is None if evidence else found.days_left == pytest.approx(60, abs=0.2)
    assert (found.lifetime is None) is bool(evidence)
    if found.lifetime is not None and found.days_left is not None:
        assert found.lifetime > found.days_left


def test_tls_at_a_port_that_speaks_none() -> None:
    with served() as port:
        assert visit(f"https://127.0.0.1:{port}/").broken is Leg.TLS
