# SPDX-License-Identifier: GPL-3.0-or-later
"""The module env_file: its parameters, and that it shows no value."""

from __future__ import annotations

import syslog
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.modules.env_file import Params, main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._store.test_env_file import (
    ME,
    MINE,
    SECRET,
    VALUES,
    Host,
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("value", [None, True, 493, 1.1, ["a"], {"a": "b"}])
def test_a_value_that_is_no_string_is_refused_by_its_key(value: Any) -> None:
    with pytest.raises(InvalidInput, match="FIRST in values is .*, not a string: put the value in quotes") as refused:
        params_of(given_params(values={"FIRST": value, "SECOND": "x", "THIRD": value}))
    assert "THIRD in values is" in refused.value.message
    assert "SECOND" not in refused.value.message


def given_params(**changes: Any) -> dict[str, Any]:
    return {
        "path": "/x",
        "values": {"A": "1"},
        "data_mount": "/data",
        "owner": "root",
        "group": "root",
        "example": False,
        "rotate": False,
        **changes,
    }


def test_params_are_read() -> None:
    assert params_of(given_params()) == Params("/x", {"A": "1"}, "/data", 0, 0, False)
    assert params_of(given_params(owner="1234", group="2345")).uid == 1234
    assert params_of(given_params(rotate=True)).rotate is True


@pytest.mark.parametrize(("key", "kind"), [("owner", "user"), ("group", "group")])
@pytest.mark.parametrize("name", ["no-such-one", "\u00b2", "-1", ""])
def test_nobody_of_that_name(key: str, kind: str, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        params_of(given_params(**{key: name}))
    assert (
        caught.value.message == f"There is no {kind} {name} on this host to own the env file. Make it, or name another."
    )


HIDDEN = ["p4yl0ad", "w3bs1te", "41234", "51234", "s3ndgr1d", "t0k3n", "$HOME", SECRET]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes to the system's log."""
    logged: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda *arguments: logged.append(str(arguments[-1])))
    return logged


def arguments(host: Host, **changes: Any) -> dict[str, Any]:
    values = {**VALUES, "PAYLOAD_SECRET": SECRET, "NUMBER": "41234"}
    return {
        "path": str(host.path),
        "values": values,
        "owner": str(ME),
        "group": str(MINE),
        "_ansible_diff": True,
        **changes,
    }


@pytest.mark.parametrize("check", [False, True])
def test_main_shows_no_value(host: Host, exit_of: Any, log: list[str], check: bool) -> None:
    host.run({**VALUES, "TOKEN": "0ld-t0ken", "GONE": "g0ne"})
    ended = exit_of(main, check=check, _ansible_verbosity=4, **arguments(host))
    assert ended.code == 0
    assert ended.result["changed"] is True
    assert [hidden for hidden in [*HIDDEN, "0ld-t0ken", "g0ne"] if hidden in ended.text] == []
    # What is no value can still be read, although a value may be a part of it.
    assert ended.result["path"] == str(host.path)
    assert (ended.result["updated"], ended.result["removed"]) == (["TOKEN"], ["GONE"])
    assert "TOKEN=(new value)\n" in ended.result["diff"]["after"]
    shown = ended.result["invocation"]["module_args"]
    assert shown["path"] == str(host.path)
    assert set(shown["values"].values()) == {"(hidden)"}
    assert log
    assert [hidden for hidden in HIDDEN if hidden in "".join(log)] == []
    assert host.values().get("GONE") == ("g0ne" if check else None)


def test_main_shows_no_value_when_it_fails(host: Host, exit_of: Any, log: list[str]) -> None:
    wrong = {
        **VALUES,
        "DATABASE_URI": "postgresq://user:p4yl0ad[@h",
        "NEXT_PUBLIC_SERVER_URL": "w3bs1te",
        "PUID": "s3ndgr1d",
    }
    ended = exit_of(main, **arguments(host, values=wrong))
    assert ended.code == 1
    assert len(ended.result["problems"]) == 3
    assert ended.result["msg"].startswith("The environment is invalid: DATABASE_URI must start with file:")
    assert [hidden for hidden in HIDDEN if hidden in ended.text + "".join(log)] == []
    assert host.files() == {}


def test_main_shows_no_value_of_what_is_no_dictionary(host: Host, exit_of: Any, log: list[str]) -> None:
    ended = exit_of(main, **arguments(host, values=[f"TOKEN={VALUES['TOKEN']}", SECRET]))
    assert ended.code == 1
    assert "values" in ended.result["msg"]
    assert [hidden for hidden in HIDDEN if hidden in ended.text + "".join(log)] == []


def test_main_generates_a_secret_that_nobody_sees(host: Host, exit_of: Any) -> None:
    ended = exit_of(main, **arguments(host, values=VALUES))
    secret = host.values()["PAYLOAD_SECRET"]
    assert ended.result["generated"] == ["PAYLOAD_SECRET"]
    assert len(secret) == 64
    assert set(secret) <= set("0123456789abcdef")
    assert secret not in ended.text
    assert exit_of(main, **arguments(host, values=VALUES)).result["changed"] is False
    assert host.values()["PAYLOAD_SECRET"] == secret
    host.path.unlink()
    exit_of(main, **arguments(host, values=VALUES))
    assert host.values()["PAYLOAD_SECRET"] != secret


def test_main_in_check_mode_writes_nothing(host: Host, exit_of: Any) -> None:
    ended = exit_of(main, check=True, **arguments(host))
    assert (ended.code, ended.result["changed"]) == (0, True)
    assert list(host.place.iterdir()) == []
