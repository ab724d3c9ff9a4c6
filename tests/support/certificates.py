# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for tests, also such as have ended."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

CONFIG = """
[ca]
default_ca = own
[own]
database = index
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def certificate(place: Path, *names: str, days: int = 100) -> tuple[str, str]:
    """Return a certificate for names and its key, in PEM; it is its own authority, and ends in so many days."""
    (place / "openssl.cnf").write_text(CONFIG)
    (place / "index").write_text("")
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = ((now + datetime.timedelta(days=when)).strftime("%Y%m%d%H%M%SZ") for when in (-300, days))
    alternatives = f"subjectAltName={','.join(f'DNS:{name}' for name in names)}"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    request = (
        "req",
        "-new",
        *kind,
        "-subj",
        f"/CN={names[0]}",
        "-addext",
        alternatives,
        "-keyout",
        "key",
        "-out",
        "csr",
    )
    signing = ("ca", "-selfsign", "-batch", "-notext", "-config", "openssl.cnf", "-keyfile", "key", "-in", "csr")
    for command in (request, (*signing, "-out", "pem", "-startdate", start, "-enddate", end)):
        subprocess.run(["openssl", *command], cwd=place, check=True, capture_output=True)
    return (place / "pem").read_text(), (place / "key").read_text()
