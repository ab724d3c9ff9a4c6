# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate will do, found out as a visitor does: by a handshake, within this process."""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from typing import Iterator, Sequence

from .._core.errors import InvalidInput
from .._core.remedies import setting

SOON = 14
"""Days before the end of a certificate from which on there is a warning."""
# Trust the certificate itself, whoever has signed it: X509_V_FLAG_PARTIAL_CHAIN, which has a name since Python 3.10.
_PARTIAL_CHAIN = 0x80000
# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_CAUSES = {
    9: "is not valid yet",
    10: "has expired",
    62: "is not for that name",
    64: "is not for that address",
}
_DAY = 86400


def check_certificate(certificate: str, key: str, domains: Sequence[str]) -> list[str]:
    """Return a caution about a certificate that ends soon.

    Args:
        certificate: in PEM, with the intermediate ones behind it.
        key: in PEM.
        domains: the names that it is to be for.

    Raises:
        InvalidInput: the two do not belong together, it is not valid now, or not for one of the names.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with _file(certificate) as chain, _file(key) as secret:
            server.load_cert_chain(chain, secret, password="")
    except ssl.SSLError as error:
        raise InvalidInput(_unloaded(error)) from None
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags = ssl.VerifyFlags(_PARTIAL_CHAIN)
    client.load_verify_locations(cadata=certificate)
    left = min(_days_left(server, client, domain) for domain in domains)
    if left >= SOON:
        return []
    return [f"The certificate in {setting('tls_certificate')} ends in {left:.0f} days: get the next one."]


def _unloaded(error: ssl.SSLError) -> str:
    pair = f"{setting('tls_certificate')} and {setting('tls_key')}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The certificate and the key in {pair} do not belong together. Give the key that it was made with."
    return (
        f"{pair} are no certificate and key in PEM without a passphrase: {error.reason or 'nothing in them is one'}. "
        "Each begins with a line such as -----BEGIN CERTIFICATE-----."
    )


def _days_left(server: ssl.SSLContext, client: ssl.SSLContext, domain: str) -> float:
    asked = domain.replace("*", "any", 1)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    visitor = client.wrap_bio(to_client, to_server, server_hostname=asked)
    site = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        while not all([_shaken(visitor), _shaken(site)]):
            pass
    except ssl.SSLCertVerificationError as error:
        cause = _CAUSES.get(error.verify_code, f"is refused ({error.verify_message})")
        raise InvalidInput(
            f"The certificate in {setting('tls_certificate')} {cause}, and it is to be for {domain}. Get one that is "
            f"valid now and names all of {setting('domains')}."
        ) from None
    end = (visitor.getpeercert() or {})["notAfter"]
    return (ssl.cert_time_to_seconds(str(end)) - time.time()) / _DAY


def _shaken(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@contextlib.contextmanager
def _file(text: str) -> Iterator[str]:
    """Give a path under which a text can be read, which ends with this process; OpenSSL takes keys from files alone."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
