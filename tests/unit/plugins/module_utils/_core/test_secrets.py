# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what people read."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.logs import CONTROL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.secrets import (
    Mask,
    password_in,
    passwords_in,
    secrets_of,
    shown,
    sounds_secret,
    without_logins,
)
from hypothesis import example, given
from hypothesis import strategies as st


def test_secrets_become_the_names_of_their_keys() -> None:
    mask = Mask({"PAYLOAD_SECRET": "c0ffee" * 8, "SENDGRID_API_KEY": "SG.abc"})
    assert mask(f"token {'c0ffee' * 8}, key=SG.abc.") == "token <PAYLOAD_SECRET>, key=<SENDGRID_API_KEY>."


def test_of_two_secrets_the_longer_one_is_found() -> None:
    assert Mask({"A": "hunter", "B": "hunter22"})("hunter22 hunter") == "<B> <A>"


def test_what_is_too_short_to_be_a_secret_stays() -> None:
    mask = Mask({"PORT": "300", "EMPTY": "", "BLANK": "      "})
    assert mask("listens at 300      ") == "listens at 300      "


FORMS = {
    "as it is": lambda secret: secret,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON.stringify": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret, ensure_ascii=False), ensure_ascii=False)[3:-3],
    "encodeURIComponent": lambda secret: quote(secret, safe="-_.!~*'()"),
    "encodeURI": lambda secret: quote(secret, safe="-_.!~*'();,/?:@&=+$#"),
    "everything": lambda secret: quote(secret, safe=""),
    "URLSearchParams": lambda secret: quote_plus(secret, safe="*").replace("~", "%7E"),
    "small percent": lambda secret: re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
    "HTML": html.escape,
    "hexadecimal": lambda secret: secret.encode().hex(),
    "Base64": lambda secret: b64encode(secret.encode()).decode().rstrip("="),
    "Base64 in addresses": lambda secret: urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "without control characters": lambda secret: CONTROL.sub("", secret),
}
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=4).filter(
    lambda text: len(re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text.strip()).strip()) >= 4
)


@pytest.mark.parametrize("form", FORMS)
@given(secret=SECRETS, around=st.text())
@example(secret="p'\"`\\\\s!*()~ &<>%+ä\u2028\x1b\x7f\U0001f600", around="")
@example(secret="\\" * 40, around="\\" * 200)
@example(secret="000&", around="")
def test_no_form_of_a_secret_remains(form: str, secret: str, around: str) -> None:
    secret = secret.strip()
    written = FORMS[form](secret).strip()
    assert Mask({"X": secret})(written) == "<X>"
    masked = Mask({"X": secret})(f"{around}\n{written}\n")
    assert written in "<X>" or written not in masked


def test_nothing_else_is_hidden() -> None:
    mask = Mask({"X": "a b&c"})
    for text in ("a bc", "a b&d", "ab&c", "a%21b&c", "a\\nb&c"):
        assert mask(text) == text


def test_a_secret_of_control_characters_hides_nothing_else() -> None:
    assert Mask({"X": "\x01\x02\x03\x04"})("open \x01\x02\x03\x04") == "open <X>"


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
        ("https://user:pa/ss@example.com/", "pa/ss"),
        ("https://user:pa#s?@example.com/", "pa#s?"),
        ("https://us@er:pass@example.com/", "pass"),
        ("https://example.com:8000/a@b", ""),
        ("ssh://git@example.com:22/a@b", ""),
        ("https://user:@example.com", ""),
        ("", ""),
    ],
)
def test_where_a_password_stands(address: str, password: str) -> None:
    assert password_in(address) == password


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("rest:https://u:pa/ss@h/x", "rest:https://u:***@h/x"),
        ("rest:https://u:pa#s?s@h/x", "rest:https://u:***@h/x"),
        ("rest:https://u:12/34@h/x", "rest:https://u:***@h/x"),
        ("https://u:p@s/s@h:8000/x", "https://u:***@h:8000/x"),
        ("https://us@er:p@h", "https://***@h"),
        ("https://u@h/x", "https://u@h/x"),
        ("s3:https://h:9000/bucket", "s3:https://h:9000/bucket"),
        ("sftp:b@h:/srv", "sftp:b@h:/srv"),
        ("/srv/restic", "/srv/restic"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, safe: str) -> None:
    assert shown(address) == safe


def test_a_password_with_raw_delimiters_is_masked_by_itself() -> None:
    assert passwords_in("postgres://u:p@ss/w#rd@h/x") == ["p", "p@ss/w#rd"]
    mask = Mask(secrets_of({"DATABASE_URI": "postgres://u:pass@wo/rd%21@h/x"}))
    assert mask("no pass@wo/rd%21, pass@wo/rd!") == (
        "no <DATABASE_URI, its password as far as @>, <DATABASE_URI, its password as far as @ decoded>"
    )


def test_logins_are_taken_out_of_a_text() -> None:
    text = "s3 https://user:pa/s#@host/x ssh://git@host postgres://u:p%40@h:5/x http://h:80/a@b http://[::1]:80/a@b"
    assert without_logins(text) == (
        "s3 https://***@host/x ssh://git@host postgres://***@h:5/x http://h:80/a@b http://[::1]:80/a@b"
    )
    assert without_logins("rest:https://a:b@c, and ftp://:b@c") == "rest:https://***@c, and ftp://***@c"
    assert without_logins('{"url": "https://h:x/y", "to": "a@b"}') == '{"url": "https://h:x/y", "to": "a@b"}'


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("PAYLOAD_SECRET", True),
        ("smtp_password", True),
        ("API_KEY_FILE", False),
        ("NEXT_PUBLIC_KEY", False),
        ("PORT", False),
    ],
)
def test_a_name_that_sounds_secret(name: str, secret: bool) -> None:
    assert sounds_secret(name) is secret
