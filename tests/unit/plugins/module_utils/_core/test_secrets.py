# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what people read."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.secrets import Mask, password_in, secrets_of
from hypothesis import given
from hypothesis import strategies as st


def test_secrets_become_the_names_of_their_keys() -> None:
    mask = Mask({"PAYLOAD_SECRET": "c0ffee" * 8, "SENDGRID_API_KEY": "SG.abc"})
    assert mask(f"token {'c0ffee' * 8}, key=SG.abc.") == "token <PAYLOAD_SECRET>, key=<SENDGRID_API_KEY>."


def test_of_two_secrets_the_longer_one_is_found() -> None:
    assert Mask({"A": "hunter", "B": "hunter22"})("hunter22 hunter") == "<B> <A>"


def test_what_is_too_short_to_be_a_secret_stays() -> None:
    mask = Mask({"PORT": "300", "EMPTY": "", "BLANK": "      "})
    assert mask("listens at 300      ") == "listens at 300      "


@given(st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4), st.text())
def test_no_form_of_a_secret_remains(secret: str, around: str) -> None:
    mask = Mask({"X": secret})
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert form.strip() in "<X>" or form.strip() not in mask(f"{around}\n{form}\n")


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    assert Mask({"KEY": "-----BEGIN\nabcdef\n"})("abcdef") == "<KEY>"


def test_what_is_public_is_no_secret() -> None:
    environment = {
        "NEXT_PUBLIC_SERVER_URL": "https://www.example.com",
        "NODE_ENV": "production",
        "DATABASE_URI": "file:///data/payload.db",
        "PORT": "3000",
        "LOG_LEVEL": "info",
        "SMTP_PASS": "hunter2",
        "PAYLOAD_SECRET": "s" * 32,
        "WEBHOOK": "https://hooks.example.com/T0/B0/token",
    }
    assert set(secrets_of(environment)) == {"PAYLOAD_SECRET", "SMTP_PASS", "WEBHOOK"}


def test_the_password_in_an_address_is_a_secret_alone_too() -> None:
    mask = Mask(secrets_of({"DATABASE_URI": "postgres://app:p%40ssword@db.example.com/app"}))
    assert "p%40ssword" not in mask("auth p%40ssword failed")
    assert "p@ssword" not in mask("auth p@ssword failed")


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("https://user:pass@example.com/", "pass"),
        ("rest:https://user:p@ss@example.com/", "p@ss"),
        ("https://example.com/a:b@c", ""),
        ("https://user@example.com", ""),
        ("sftp:user@example.com:/srv", ""),
        ("", ""),
    ],
)
def test_where_a_password_stands(address: str, password: str) -> None:
    assert password_in(address) == password
