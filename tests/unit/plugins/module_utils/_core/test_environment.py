# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environments are right, what is written, and that no value is ever shown."""

from __future__ import annotations

import subprocess
from typing import Any, Callable, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import dotenv, environment
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.environment import (
    KEYS,
    EnvironmentPlan,
    plan,
    problems,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from hypothesis import example, given
from hypothesis import strategies as st

SECRET = "0123456789abcdef" * 4
RIGHT = {
    "DATABASE_URI": "file:/data/payload.db",
    "PAYLOAD_SECRET": SECRET,
    "NEXT_PUBLIC_SERVER_URL": "https://www.example.com",
    "PUID": "1000",
    "PGID": "1000",
}


def never() -> str:
    raise AssertionError("a secret was generated")


def planned(
    wanted: Mapping[str, str], current: Optional[Mapping[str, str]] = None, new_secret: Callable[[], str] = never
) -> EnvironmentPlan:
    return plan(wanted, current or {}, "/data", new_secret)


def problem(key: str, value: str, mount: str = "/data") -> str:
    """Return the only problem there is with one value, empty for none."""
    found = problems({**RIGHT, key: value}, mount)
    assert len(found) <= 1
    return found[0] if found else ""


def test_right_values_are_no_problem() -> None:
    assert problems(RIGHT, "/data") == []


def test_everything_missing_is_told_at_once() -> None:
    assert problems({}, "/data") == [
        "DATABASE_URI is missing",
        "PAYLOAD_SECRET is missing",
        "NEXT_PUBLIC_SERVER_URL is missing",
        "PUID is missing",
        "PGID is missing",
    ]


@pytest.mark.parametrize(
    ("uri", "mount"),
    [
        ("file:/data/payload.db", "/data"),
        ("file:///data/payload.db", "/data"),
        ("file://localhost/data/payload.db", "/data"),
        ("file:/data/payload.db", "/data/"),
        ("file:/data/sub/../payload.db", "/data"),
        ("file:/data/pay%3Fload%23.db", "/data"),
        ("file:/data/pay%20load.db", "/data"),
        ("file:/data/f%C3%BCr/ü.db", "/data"),
        ("file:/srv/db/payload.db", "/srv/db"),
        ("postgres://user:p[x@db.example.com/site", "/data"),
        ("postgresql://db.example.com/site", "/data"),
        ("LIBSQL://db.example.com", "/data"),
        ("mongodb+srv://db.example.com/site", "/data"),
    ],
)
def test_a_right_database(uri: str, mount: str) -> None:
    assert problem("DATABASE_URI", uri, mount) == ""


BELOW = "must name a file below /data/ (for example file:/data/payload.db), or it is lost with the container"
TWO_SLASHES = "names a host with its two slashes; begin it with file:/ or file:///"
QUERY = "has a ? or #, which libsql refuses for a file; leave out what follows, or write %3F or %23 for a name"
PERCENT = "has a % that does not begin an escape such as %20; write %25 for a percent sign"
NOT_UTF8 = "has escapes such as %ff that are not valid UTF-8, which libsql refuses; write the name as it is"
NO_URI = "must start with file: and name a file in the data volume, or be the URL of a database server"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:/app/payload.db", BELOW),
        ("file:/data/../etc/passwd", BELOW),
        ("file:/data/%2e%2e/payload.db", BELOW),
        ("file:/database/payload.db", BELOW),
        ("file:/data", BELOW),
        ("file:/data/", BELOW),
        ("file:payload.db", BELOW),
        ("file:./payload.db", BELOW),
        ("file:", BELOW),
        ("file:///", BELOW),
        ("file://", BELOW),
        ("file://data/payload.db", TWO_SLASHES),
        ("file:/data/payload.db?mode=rwc", QUERY),
        ("file:/data/payload.db#main", QUERY),
        ("file:/data/50%.db", PERCENT),
        ("file:/data/50%2.db", PERCENT),
        ("file:/data/50%zz.db", PERCENT),
        ("file:/data/%ff.db", NOT_UTF8),
        ("file:/data/f%fcr.db", NOT_UTF8),
        ("file:/data/%ed%a0%80.db", NOT_UTF8),
        ("file:/data/a%00.db", NOT_UTF8),
        ("/data/payload.db", NO_URI),
        ("postgres", NO_URI),
        ("sqlite:///data/payload.db", NO_URI),
        ("://", NO_URI),
    ],
)
def test_a_wrong_database(uri: str, reason: str) -> None:
    assert problem("DATABASE_URI", uri) == f"DATABASE_URI {reason}"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/data/payload.db", "payload.db"),
        ("file:///data/payload.db", "payload.db"),
        ("file://localhost/data/payload.db", "payload.db"),
        ("file:/data//payload.db", "payload.db"),
        ("file:/data/sub/../payload.db?mode=rwc", "payload.db"),
        ("file:/data/my%20shop.db", "my shop.db"),
        ("file:/data/sub/payload.db", "sub/payload.db"),
        ("file:/data", ""),
        ("file:/data/../x.db", ""),
        ("file:/database/x.db", ""),
        ("file://data/payload.db", ""),
        ("file:", ""),
        ("/data/payload.db", ""),
        ("postgres://db.example.com/data/payload.db", ""),
    ],
)
def test_where_a_database_lies_in_its_volume(uri: str, path: str) -> None:
    assert environment.database_path(uri, "/data") == environment.database_path(uri, "/data/") == path


@pytest.mark.parametrize(
    ("container", "path"),
    [
        ({"Env": ["A=B", "DATABASE_URI=file:/data/shop.db?a=b"]}, "shop.db"),
        ({"Env": ["DATABASE_URI=postgres://db/data/shop.db"]}, ""),
        ({"Env": ["A=B"]}, ""),
        ({"Env": None}, ""),
    ],
)
def test_which_database_a_container_is_told_to_use(container: dict[str, object], path: str) -> None:
    mounts = [{"Name": "media", "Destination": "/data/media"}, {"Name": "db", "Destination": "/data"}, {"Source": "/x"}]
    assert environment.database_in({"Config": container, "Mounts": mounts}, "db") == path
    assert environment.database_in({"Config": container, "Mounts": mounts}, "media") == ""
    assert environment.database_in({"Config": container, "Mounts": None}, "db") == ""
    assert environment.database_in({}, "db") == environment.database_in({"Config": None}, "db") == ""


def test_a_directory_is_no_database() -> None:
    assert problem("DATABASE_URI", "file:///", "/").startswith("DATABASE_URI must name a file below / ")


@pytest.mark.parametrize(
    "secret",
    [
        "change-me-change-me-change-me-change-me",
        "your-payload-secret-0123456789abcdef0123",
        "REPLACE_THIS_0123456789abcdef0123456789",
        "this-is-an-example-0123456789abcdef0123",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "0123456789abcdef" + "0" * 16,
    ],
)
def test_a_placeholder_is_no_secret(secret: str) -> None:
    message = problem("PAYLOAD_SECRET", secret)
    assert message.startswith("PAYLOAD_SECRET is a placeholder from an example; give another one, or leave it out of ")


def test_a_short_secret_is_told_with_its_length() -> None:
    assert problem("PAYLOAD_SECRET", "0123456789abcdef0123456789abcde").startswith(
        "PAYLOAD_SECRET has 31 characters and must have at least 32"
    )
    assert problem("PAYLOAD_SECRET", "0123456789abcdef0123456789abcdef") == ""


@pytest.mark.parametrize(
    "url", ["http://localhost:3000", "https://www.example.com/site", "https://[2001:db8::1]:8443", "http://192.0.2.7"]
)
def test_a_right_address(url: str) -> None:
    assert problem("NEXT_PUBLIC_SERVER_URL", url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "www.example.com",
        "ftp://www.example.com",
        "https://",
        "https://:443",
        "https://www.example.com:0",
        "https://www.example.com:99999",
        "https://www.example.com:port",
        "https://[::1",
        "https://www.exa mple.com",
        "https://www.example.com\n",
    ],
)
def test_a_wrong_address(url: str) -> None:
    message = "NEXT_PUBLIC_SERVER_URL must be an http:// or https:// address with a host name"
    assert problem("NEXT_PUBLIC_SERVER_URL", url) == message


RANGE = "must be between 1 and 4294967294; 0 is root, and the application never runs as root"


@pytest.mark.parametrize("key", ["PUID", "PGID"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1", ""),
        ("4294967294", ""),
        ("0", RANGE),
        ("00", RANGE),
        ("4294967295", RANGE),
        ("9" * 5000, RANGE),
        ("0000000001", ""),
        ("00000000001", RANGE),
        ("node", "must be a whole number"),
        ("-1", "must be a whole number"),
        ("1000\n", "must be a whole number"),
        ("1e3", "must be a whole number"),
    ],
)
def test_ids(key: str, value: str, reason: str) -> None:
    assert problem(key, value) == (f"{key} {reason}" if reason else "")


@pytest.mark.parametrize(
    ("value", "right"),
    [("1", True), ("65535", True), ("", True), ("0", False), ("65536", False), ("http", False), ("3000\n", False)],
)
def test_ports(value: str, right: bool) -> None:
    assert problem("PORT", value) == ("" if right else "PORT must be a port number between 1 and 65535")


def test_names_and_nul() -> None:
    assert problems({**RIGHT, "not a name": "", "OTHER": "a\0b"}, "/data") == [
        "'not a name' is not a name of an environment variable",
        "OTHER holds a NUL character",
    ]


@given(st.sampled_from([key.name for key in KEYS]), st.text(), st.text())
@example("DATABASE_URI", "postgres://user:[", "@db.example.com")
@example("DATABASE_URI", "sqlite://user:\u2100", "@db.example.com")
@example("NEXT_PUBLIC_SERVER_URL", "https://user:\u2100", "@www.example.com")
@example("PUID", "", "0")
@example("PORT", "", "0")
def test_no_problem_ever_shows_a_value(key: str, before: str, after: str) -> None:
    for mark in ("8151623", "m4rk"):
        assert mark not in "; ".join(problems({**RIGHT, key: f"{before}{mark}{after}"}, "/data"))


def test_a_secret_is_generated_when_there_is_none() -> None:
    wanted = {**RIGHT, "PAYLOAD_SECRET": ""}
    made = planned(wanted, {}, lambda: SECRET)
    assert made.values["PAYLOAD_SECRET"] == SECRET
    assert made.generated == ("PAYLOAD_SECRET",)
    assert planned(wanted, {"PAYLOAD_SECRET": ""}, lambda: SECRET).generated == ("PAYLOAD_SECRET",)


def test_a_secret_that_is_there_is_kept() -> None:
    made = planned({**RIGHT, "PAYLOAD_SECRET": ""}, RIGHT)
    assert made == EnvironmentPlan(values=made.values, added=(), changed=(), removed=(), generated=())
    assert made.values == RIGHT


def test_a_secret_that_is_given_wins() -> None:
    made = planned(RIGHT, {**RIGHT, "PAYLOAD_SECRET": "old" * 20})
    assert (made.changed, made.generated) == (("PAYLOAD_SECRET",), ())
    assert made.values["PAYLOAD_SECRET"] == SECRET


def test_a_plan_says_what_differs() -> None:
    current = {**RIGHT, "PUID": "1001", "OLD": "x", "OLDER": ""}
    made = planned({**RIGHT, "EMAIL_FROM": "site@example.com", "EXTRA": "1"}, current)
    assert (made.added, made.changed, made.removed) == (("EMAIL_FROM", "EXTRA"), ("PUID",), ("OLD", "OLDER"))


def test_known_keys_come_first_in_their_order_and_empty_ones_only_when_unknown() -> None:
    wanted = {"ZZ": "1", "AA": "", "PORT": "3000", "EMAIL_FROM": "", "SENDGRID_API_KEY": "", **RIGHT}
    order = ["DATABASE_URI", "PAYLOAD_SECRET", "NEXT_PUBLIC_SERVER_URL", "PUID", "PGID", "PORT", "AA", "ZZ"]
    assert list(planned(wanted).values) == order
    assert planned(wanted).values["AA"] == ""


def test_wrong_values_stop_the_plan_with_all_problems() -> None:
    with pytest.raises(InvalidInput) as caught:
        planned({**RIGHT, "PUID": "0", "DATABASE_URI": "", "x y": "1"})
    found = [
        "'x y' is not a name of an environment variable",
        "DATABASE_URI is missing",
        "PUID must be between 1 and 4294967294; 0 is root, and the application never runs as root",
    ]
    assert caught.value.evidence == {"problems": found}
    assert caught.value.message == "The environment is invalid: " + "; ".join(found) + "."


def test_the_diff_names_keys_and_no_value() -> None:
    made = planned({**RIGHT, "NEW": "n3w-value"}, {**RIGHT, "PUID": "4711", "OLD": "0ld-value"})
    unchanged = "(unchanged)\n"
    assert made.shown(before=True) == (
        f"DATABASE_URI={unchanged}NEXT_PUBLIC_SERVER_URL={unchanged}OLD=(previous value)\n"
        f"PAYLOAD_SECRET={unchanged}PGID={unchanged}PUID=(previous value)\n"
    )
    assert made.shown(before=False) == (
        f"DATABASE_URI={unchanged}NEW=(new value)\nNEXT_PUBLIC_SERVER_URL={unchanged}"
        f"PAYLOAD_SECRET={unchanged}PGID={unchanged}PUID=(new value)\n"
    )


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,5}", fullmatch=True), st.text(max_size=4).filter("\0".__ne__)),
    st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,5}", fullmatch=True), st.text(max_size=4)),
)
def test_carrying_a_plan_out_leaves_nothing_to_do(extra: dict[str, str], current: dict[str, str]) -> None:
    wanted = {**{key: value.replace("\0", "") for key, value in extra.items()}, **RIGHT}
    wanted.pop("PORT", None)
    first = planned(wanted, current)
    again = planned(wanted, first.values)
    assert (again.added, again.changed, again.removed, again.generated) == ((), (), (), ())
    assert again.values == first.values
    # What differs is exactly what the two diffs show differently.
    assert (first.shown(before=True) != first.shown(before=False)) == bool(first.added + first.changed + first.removed)


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("a2V5LW9mLXRoaXJ0eS10d28tYnl0ZXMtaW4tYWxsLi4=", True),
        ("c2l4dGVlbi1ieXRlcy4uLg==", True),
        ("dHdlbnR5LWZvdXItYnl0ZXMtaW4tYWxs", True),
        ("c2hvcnQ=", False),
        ("a2V5LW9mLXRoaXJ0eS10d28tYnl0ZXMtaW4tYWxsLi4=\n", False),
        ("a2V5LW9mLXRoaXJ0eS10d28tYnl0ZXMtaW4tYWxsLi4", False),
        ("e" * 32 + "\u00e9", False),
        ("0f" * 32, False),  # 48 bytes
    ],
)
def test_keys_of_server_actions(value: str, right: bool) -> None:
    name = "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY"
    wrong = f"{name} must be base64 of 16, 24 or 32 bytes, as openssl rand -base64 32 makes it"
    assert problem(name, value) == ("" if right else wrong)


def test_a_new_key_of_server_actions_is_one() -> None:
    key = environment.actions_key(bytes)
    assert (key, environment.wrong_key(key)) == ("A" * 43 + "=", None)


def test_the_example_explains_every_key_and_holds_no_secret() -> None:
    text = environment.example()
    values = dotenv.parse(text)
    assert list(values) == [key.name for key in KEYS]
    assert values["PAYLOAD_SECRET"] == ""
    assert values["SENDGRID_API_KEY"] == ""
    for key in KEYS:
        assert f"# {key.about}{' (required)' if key.required else ''}\n{key.name}=" in text
    assert problems({**values, "PAYLOAD_SECRET": SECRET}, "/data") == []


SOURCES: Mapping[str, Any] = {
    "keys": {
        "DATABASE_URI": "uri",
        "PAYLOAD_SECRET": "secret",
        "NEXT_PUBLIC_SERVER_URL": "url",
        "PUID": "puid",
        "PGID": "pgid",
    },
    "extra": "extra",
    "mount": "mount",
}
VARIABLES: Mapping[str, Any] = {
    "uri": "file:///data/payload.db",
    "secret": "",
    "url": "https://www.example.com",
    "puid": 1000,
    "pgid": 1000,
    "extra": {},
    "mount": "/data",
}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"secret": SECRET, "extra": None}, []),
        ({"extra": {"PAYLOAD_SECRET": ""}}, []),
        ({"secret": "short"}, ["PAYLOAD_SECRET has 5 characters"]),
        ({"extra": {"PAYLOAD_SECRET": "short"}}, ["PAYLOAD_SECRET has 5 characters"]),
        ({"uri": "file:///tmp/x.db"}, ["DATABASE_URI must name a file below /data/"]),
        ({"mount": "/srv"}, ["DATABASE_URI must name a file below /srv/"]),
        ({"extra": {"PUID": "0", "PORT": "99999"}}, ["PUID must be", "PORT must be"]),
        ({"extra": {"A B": "x"}}, ["'A B' is not a name"]),
    ],
)
def test_what_can_be_told_without_the_host(changes: Mapping[str, Any], found: Sequence[str]) -> None:
    message = environment.foreseen(SOURCES, {**VARIABLES, **changes}, [])
    assert len(message) == len(found)
    assert all(one.startswith(begin) for one, begin in zip(message, found))


def test_what_was_refused_already_is_not_told_twice() -> None:
    refused = ["url must be an http:// or https:// address, but is ''."]
    assert environment.foreseen(SOURCES, {**VARIABLES, "url": ""}, refused) == []
    overridden = {**VARIABLES, "url": "", "extra": {"NEXT_PUBLIC_SERVER_URL": "ftp://x"}}
    assert len(environment.foreseen(SOURCES, overridden, refused)) == 1


@pytest.mark.parametrize(("name", "characters"), [("BIG", "x"), ("LONG_NAME", "ä")])
def test_a_value_is_no_longer_than_the_kernel_carries(name: str, characters: str) -> None:
    space = environment.LONGEST - len(name) - 1
    fits = characters * (space // len(characters.encode()))
    env = {name: fits}
    subprocess.run(["/bin/true"], env=env, check=True)  # as the kernel has it
    assert problem(name, fits) == ""
    over = fits + characters
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true"], env={name: over}, check=True)
    assert problem(name, over) == (
        f"{name} has {len(over.encode())} bytes, and the kernel takes at most 131071 with its name; "
        "give the application a file instead"
    )


def test_all_values_together_are_no_longer_than_the_kernel_carries() -> None:
    many = {f"KEY_{number}": "x" * 100_000 for number in range(20)}
    (message,) = problems({**RIGHT, **many}, "/data")
    assert message.startswith("all values together have 2000")
    assert problems({**RIGHT, **dict(list(many.items())[:19])}, "/data") == []


OTHER = SECRET[::-1]


@pytest.mark.parametrize(
    ("given", "current", "becomes"),
    [("", SECRET, OTHER), ("", "", OTHER), (OTHER, SECRET, OTHER), (OTHER, "", OTHER)],
)
def test_a_secret_is_rotated(given: str, current: str, becomes: str) -> None:
    wanted = {**RIGHT, "PAYLOAD_SECRET": given}
    found = plan(wanted, {"PAYLOAD_SECRET": current} if current else {}, "/data", lambda: OTHER, rotate=True)
    assert found.values["PAYLOAD_SECRET"] == becomes
    assert found.generated == (() if given else ("PAYLOAD_SECRET",))


def test_the_same_secret_is_no_other_one() -> None:
    with pytest.raises(
        InvalidInput, match=r"gives the PAYLOAD_SECRET that the application has already, .*openssl rand"
    ):
        plan({**RIGHT, "PAYLOAD_SECRET": SECRET}, {"PAYLOAD_SECRET": SECRET}, "/data", never, rotate=True)
