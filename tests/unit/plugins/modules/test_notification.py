# SPDX-License-Identifier: GPL-3.0-or-later
"""The module notification: its parameters and its exits. What it sends is tested in _command/test_notify.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.notify import Mail, Notify
from ansible_collections.ptnextjs.docker_vps.plugins.modules.notification import Params, main, params_of

SHOP = {"job": "deploy", "success": False, "app": "shop", "host": "vps1", "release": "20260131-020000"}
ABOUT = {**SHOP, "cautions": ["Slow."]}
ASKED = {**ABOUT, "text": "No."}
NEWS = {**ABOUT, "message": "No."}


def test_params_are_read() -> None:
    given = {"webhook": "https://a", "command": ["mail", "x"], "pings": {"deploy": "https://b"}, "on_success": True}
    whom = Notify("https://a", ("mail", "x"), {"deploy": "https://b"}, True)
    further = {"format": "json", "mail": None}
    assert params_of({**ASKED, **given, **further}) == Params(whom, NEWS)
    mail = {"to": ["a@example.com"], "port": 465}
    assert params_of({**ASKED, **given, **further, "mail": mail}).channels.mail == Mail(("a@example.com",), port=465)


@pytest.mark.parametrize("check", [False, True])
def test_main_gives_the_news_to_a_command(exit_of: Any, tmp_path: Path, check: bool) -> None:
    file = tmp_path / "news"
    ended = exit_of(main, check=check, command=["tee", str(file)], **ASKED)
    assert (ended.code, ended.result["changed"], ended.result["problems"]) == (0, False, [])
    assert (json.loads(file.read_text()) if file.exists() else None) == (None if check else NEWS)


def test_main_tells_what_failed_and_shows_no_address(exit_of: Any) -> None:
    secret = "http://127.0.0.1:9/s3cret-path"
    ended = exit_of(main, webhook=secret, pings={"deploy": secret}, command=["/nowhere"], **ASKED)
    assert ended.code == 0
    assert len(ended.result["problems"]) == 3
    assert [one for one in ended.result["problems"] if one.startswith("The webhook failed: ")]
    assert len(ended.result["warnings"]) == 3
    assert "s3cret-path" not in ended.text


def test_main_hides_the_password_of_the_mail_server(exit_of: Any) -> None:
    mail = {"to": ["a@example.com"], "host": "127.0.0.1", "port": 1, "user": "shop", "password": "s3cret-word"}
    ended = exit_of(main, mail=mail, **ASKED)
    assert ended.result["problems"] == ["The e-mail failed: 127.0.0.1 does not answer at port 1: Connection refused."]
    assert "s3cret-word" not in ended.text
