# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints, as gpg says them."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.openpgp import fingerprints
from hypothesis import given
from hypothesis import strategies as st


def gpg(home: Path, *arguments: str) -> str:
    options = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    return subprocess.run([*options, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def armored(packets: bytes) -> str:
    data = base64.encodebytes(packets).decode()
    return (
        f"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: of a test\n\n{data}=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    )


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg tells the right value")
@pytest.mark.parametrize("algorithm", ["rsa2048", "ed25519"])
def test_they_are_those_that_gpg_says(tmp_path: Path, algorithm: str) -> None:
    tmp_path.chmod(0o700)
    try:
        for name in ("one", "two"):
            gpg(tmp_path, "--quick-generate-key", f"{name} <{name}@example.com>", algorithm, "default", "never")
        lines = gpg(tmp_path, "--with-colons", "--fingerprint", "--list-keys").splitlines()
        wanted = [line.split(":")[9] for before, line in zip(lines, lines[1:]) if before.startswith("pub:")]
        assert len(wanted) == 2
        assert fingerprints(gpg(tmp_path, "--armor", "--export", "one", "two")) == wanted
        assert [*fingerprints(gpg(tmp_path, "--armor", "--export", "one"))] == wanted[:1]
    finally:
        subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--kill", "all"], check=False)


# The key of RFC 9580, appendix A.3, whose fingerprint is in appendix A.3, too.
OF_VERSION_6 = """-----BEGIN PGP PUBLIC KEY BLOCK-----

xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf
GwoAAABCBYJjh3/jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy
KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw
gyU2kCcUmKfvBXbAf6rhRYWzuQOwEn7E/aLwIwRaLsdry0+VcallHhSu4RN6HWaE
QsiPlR4zxP/TP7mhfVEe7XWPxtnMUMtf15OyA51YBM4qBmOHf+MZAAAAIIaTJINn
+eUBXbki+PSAld2nhJh/LVmFsS+60WyvXkQ1wpsGGBsKAAAALAWCY4d/4wKbDCIh
BssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce62azJAAAAAAQBIKbpGG2dWTX8
j+VjFM21J0hqWlEg+bdiojWnKfA5AQpWUWtnNwDEM0g12vYxoWM8Y81W+bHBw805
I8kWVkXU6vFOi+HWvv/ira7ofJu16NnoUkhclkUrk0mXubZvyl4GBg==
-----END PGP PUBLIC KEY BLOCK-----
"""


def test_a_key_of_version_6() -> None:
    assert fingerprints(OF_VERSION_6) == ["CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"]


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", armored(b"")])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no armored OpenPGP key"):
        fingerprints(text)


@pytest.mark.parametrize(
    "packets",
    [
        b"\x06",  # no packet begins with that
        b"\xc6\x20\x04",  # ends too early
        b"\xc6",
        b"\xc6\xe1\x04",  # in parts
        b"\x9b\x04",  # of no length
        b"\xc6\x01\x03",  # of version 3
        b"\xc6\x00",
    ],
)
def test_what_is_damaged_is_refused(packets: bytes) -> None:
    with pytest.raises(InvalidInput, match="damaged OpenPGP key"):
        fingerprints(armored(packets))


def test_what_is_not_base64_is_refused() -> None:
    with pytest.raises(InvalidInput, match="damaged OpenPGP key"):
        fingerprints(armored(b"\xc6\x01\x04").replace("xg", "x*"))


@pytest.mark.parametrize("length", [1, 191, 192, 500, 8383, 8384, 70000])
def test_packets_of_each_length_are_found(length: int) -> None:
    """Behind one of another kind, in the new format and in the old one."""
    other = bytes(length)
    if length < 192:
        said = bytes([length])
    elif length < 8384:
        said = bytes([((length - 192) >> 8) + 192, (length - 192) & 0xFF])
    else:
        said = b"\xff" + length.to_bytes(4, "big")
    key = b"\xc6\x01\x04"
    size = 1 if length < 256 else 2 if length < 65536 else 4
    old = bytes([0x80 | 13 << 2 | (size >> 1)]) + length.to_bytes(size, "big")
    wanted = fingerprints(armored(key))
    assert fingerprints(armored(b"\xcd" + said + other + key)) == wanted
    assert fingerprints(armored(old + other + key)) == wanted


@given(st.binary(max_size=200))
def test_anything_else_is_refused_or_read(packets: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert fingerprints(armored(packets))


def test_lines_may_end_as_on_windows() -> None:
    assert fingerprints(OF_VERSION_6.replace("\n", "\r\n")) == fingerprints(OF_VERSION_6)
