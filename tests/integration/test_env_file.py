# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container sees equals what the inventory said, byte for byte, through the real Compose."""

from __future__ import annotations

import json

from lab import App, MakeApp

VALUES = {
    "EMPTY": "",
    "DOLLAR": "a$b ${c} $$ \\$d $(e) `f`",
    "HASH": "before # after #end",
    "SINGLE": "it's 'quoted'",
    "DOUBLE": 'say "hi" and ""',
    "MIXED": """'"`$\\"'""",
    "BACKSLASH": "C:\\new\\table \\\\ \\",
    "SPACES": "  leading and trailing  ",
    "TABS": "\ttab\t",
    "LINES": "one\ntwo\n\nfour\n",
    "CRLF": "one\r\ntwo\r",
    "UNICODE": "Grüße 日本 🚀 \u00a0\u2028",
    "EQUALS": "a=b=c",
    "JSON": json.dumps({"key": ["v$", "'", '"', "\\n"]}),
    "PERCENT": "100 % %s %%",
    "KEYLIKE": "X=1\nexport Y=2",
    "CONTROL": "bell\a escape\x1b[0m delete\x7f next line\x85 C1 \x80\x9f",
    "NO_CHARACTER": "\ufffe\uffff \ufeff \u2029",
    "TRUE": "true",
    "NUMBER": "0755",
}


def test_the_container_sees_every_value_byte_for_byte(make_app: MakeApp) -> None:
    app = make_app("it-env", docker_vps_env=VALUES)
    app.deploy().succeeded()
    seen = app.get("/api/env").json
    assert {name: seen[name] for name in VALUES} == VALUES
    assert app.deploy().succeeded().recap["changed"] == 0


def test_the_example_explains_every_key_and_holds_no_secret(make_app: MakeApp) -> None:
    app: App = make_app("it-env")
    app.deploy("--tags", "env_file").succeeded()
    example = (app.directory / ".env.production.example").read_text()
    for key in ("DATABASE_URI", "PAYLOAD_SECRET", "NEXT_PUBLIC_SERVER_URL", "PUID", "PGID", "PAYLOAD_CONFIG_PATH"):
        assert f"\n{key}=" in example
    secret = (app.directory / ".env.production").read_text().split("PAYLOAD_SECRET=")[1].split("\n")[0]
    assert secret not in example
