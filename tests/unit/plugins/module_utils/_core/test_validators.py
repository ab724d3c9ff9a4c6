# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of values: what each takes and refuses, and the sentences about what is wrong."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import validators
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import short
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.validators import (
    clashes,
    excess,
    not_build_secrets,
    not_hooks,
    one_of,
    ruled,
    unread,
    wrong,
)
from hypothesis import given
from hypothesis import strategies as st

CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "port": ([1, 3000, 65535, "80"], [0, 65536, -1, 1.5, "", "http", None, True, [], "80\n", "9" * 5000]),
    "ports": ([[], [1, 65535], ["22"]], [[0], [22, 65536], ["ssh"], [None], 22, "22", None]),
    "interfaces": ([[], ["wg0", "br-lan", "eth0.5", "tun*"]], [["a b"], [""], ['"'], ["a*b"], ["x" * 16], "wg0", None]),
    "timeout": ([10, "60", 86400], [0, 9.9, 86401, "soon", None]),
    "id": ([1, 1000, 2**32 - 2, "1000"], [0, "0", 2**32 - 1, -1, "node", "", None, 1000.0]),
    "count": ([1, 30, 10**6, "3"], [0, -1, 10**6 + 1, 2.5, "", None]),
    "places": (["0", 7], [-1, "", "x", 1.5, None, True]),
    "seconds": ([0, 0.5, "60", 86400], [-1, -0.1, 86401, "soon", "", None, [], float("nan"), float("inf")]),
    "seconds_or_auto": (["auto", 0, "2.5", 86400], [-1, "AUTO", "auto ", 86401, "", None, [], float("nan")]),
    "percent": ([0, 50, "12.5", 100], [-1, 100.1, "half", "", None, float("nan")]),
    "cpus": ([0.01, 1, "0.5", 1024, "1.0"], [0, "0", -1, 1025, "many", "", None]),
    "duration": (["30s", "1m30s", "1.5h", "500ms", "10us"], ["30", "s", "", "1 m", "30s ", "-1s", 30, None, "30S"]),
    "app_path": (
        ["", "web", "apps/web", "apps/@acme/web-2"],
        ["/web", "apps/", "../web", "apps/../web", "a b", ".", None],
    ),
    "probe_timeout": (
        ["2s", "10s", "1m30s", "0.5m", "1s1000ms", "2.5s"],
        ["1s", "500ms", "1999ms", "1.9s", "0s", "2", "", "2s\n", None, 10],
    ),
    "whole_seconds": (
        ["10s", "1m30s", "2h", "001s", "0m1s"],
        ["500ms", "1500ms", "0s", "0m0s", "1.5s", "10", "", "1 m", "10s\n", None, 10],
    ),
    "size": (
        ["512M", "512m", "2G", "1.5g", "10k", "1T", "512MB", "2GB", "1024", "0"],
        ["", "M", "-1M", "1 G", "big", None, 512, "512i", "512Mi", "512MiB", "512Mb", "2gb"],
    ),
    "size_or_auto": (["auto", "512M", "2g", "1GiB", "1073741824"], ["", "AUTO", "auto ", "half", "1 G", None, 512]),
    "container": (
        ["ptnextjs-app", "a1", "a_b.c-d", "shop--1"],
        ["", "a", "-a", "App", "a b", "a/b", "a-", "a..-", None, 12],
    ),
    "name": (["proxy", "ptnextjs-app", "a1", "A_b.c-d"], ["", "a", "-a", ".a", "a b", "a/b", "ä1", None, 12, "a1\n"]),
    "names": ([[], ["proxy", "www.example.com"]], [["ok", ""], ["a b"], [5], [None], None, "ab", 5]),
    "tmpfs": (
        [{}, {"/tmp": "64M", "/x y/z": "1G"}],
        [
            {"/": "64M"},
            {"tmp": "64M"},
            {"/tmp": "1.5G"},
            {"/tmp": "64MB"},
            {"/tmp": 64},
            {"/a:b": "1K"},
            ["/tmp"],
            None,
        ],
    ),
    "capabilities": (
        [[], ["CHOWN", "NET_BIND_SERVICE"]],
        [["chown"], ["CAP_CHOWN"], ["ALL"], [""], [5], "CHOWN", None],
    ),
    "mounts": (
        [{}, {"shop-cache": "/srv/cache", "a.b_c-d": "/x y"}],
        [
            {"shop-cache": "srv"},
            {"shop--cache": "/srv"},
            {"cache-": "/srv"},
            {"db": "/srv"},
            {"manifest": "/srv"},
            {"a": "/srv"},
            {"ab": None},
            {5: "/srv"},
            ["ab"],
            "ab",
            None,
        ],
    ),
    "command": (
        ["", [], "curl -f http://127.0.0.1", ["/bin/check", ""]],
        [[""], ["", "a"], [5], {"a": "b"}, 5, None, True],
    ),
    "project": (["ptnextjs", "a", "0", "a_b-c"], ["", "Site", "-a", "_a", "a.b", "a b", None]),
    "git_url": (
        [
            "",
            "https://git.example.com/a.git",
            "git@git.example.com:a.git",
            "ssh://git@git.example.com:22/a",
            "/srv/a.git",
        ],
        [None, 5],
    ),
    "inner_path": (
        ["", ".", "Dockerfile", "docker/Dockerfile.prod", "a b/ä", "..a/b..", "./x", "a:b"],
        ["/", "/a", "..", "../a", "a/..", "a/../b", "a\nb", "\0", None, 1],
    ),
    "repository": (
        ["", "acme/shop", "ghcr.io/acme/shop", "localhost:5055/acme/my_shop-1"],
        [
            "ghcr.io/acme/shop:1",
            "ghcr.io/acme/shop@sha256:ab",
            "https://ghcr.io/acme",
            "acme/Shop",
            "/acme",
            "acme/",
            None,
        ],
    ),
    "moment": (["", "2026-01-31T12:00:00Z", "1h30m"], [1, None]),
    "stage": (["", "runner", "Build-1", "a_b.c", "0"], ["-a", "a b", "a:b", "--x", None, 1]),
    "path": (["/", "/opt/ptnextjs", "/opt/a b/ä"], ["", "opt", "./opt", "/opt:ro", "/opt/$HOME", "/opt\0", None, 1]),
    "http_url": (
        ["http://a", "https://www.example.com:8443/x"],
        ["", "ftp://a", "https://", "http://[", "http://a b", None, 5],
    ),
    "http_url_or_empty": (["", "https://a/acme/directory"], ["a", None]),
    "domains": (
        [[], ["shop.test", "www.shop.test"], ["*.shop.test"], ["localhost"], ["192.0.2.1"]],
        [
            ["Shop.test"],
            ["shop.test:443"],
            ["https://shop.test"],
            ["a b"],
            ["a", "a"],
            ["-a"],
            ["a."],
            ["*"],
            [5],
            "a",
            None,
        ],
    ),
    "ssh_host": (
        [
            "vps1",
            "VPS-1.example.com",
            "me@vps1",
            "first.last@203.0.113.9",
            "2001:db8::1",
            "me@::1",
            "web_1",
            "localhost",
        ],
        [
            "",
            "me@",
            "@vps1",
            "a b",
            "vps1:22",
            "-oProxyCommand=x",
            "me@-x",
            "-l@vps1",
            "a@b@c",
            "vps[1:3]",
            "v\n",
            "é",
            None,
        ],
    ),
    "store_url": (
        ["s3://bucket/path", "file:///srv/replica", "sftp://user:x@host/p"],
        ["", "bucket/path", "s3://", None],
    ),
    "source_directory": (["", "/", "/tmp"], ["/nowhere", None, 5, "/etc/passwd"]),
    "url_path": (["/", "/api/health", "/a?b=c&d=%20"], ["", "api", "/a b", "/a\n", "http://x/", "/ä", None]),
    "subnet": (
        ["", "192.0.2.0/24", "2001:db8::/64"],
        [5, True, None, "192.0.2.1/24", "192.0.2.0/33", "net", "256.0.0.0/8"],
    ),
    "version": (["25", "25.0", "2.20.1"], ["", "v25", "25.", "25.0-rc1", ".5", None, 25.0]),
}
RIGHT = [(kind, value) for kind, (right, _unused) in CASES.items() for value in right]
WRONG = [(kind, value) for kind, (_unused, refused) in CASES.items() for value in refused]


@pytest.mark.parametrize(("kind", "value"), RIGHT)
def test_a_right_value(kind: str, value: Any) -> None:
    assert wrong({kind: ["x"]}, {"x": value}, os.path.isdir) == []


@pytest.mark.parametrize(("kind", "value"), WRONG)
def test_a_wrong_value(kind: str, value: Any) -> None:
    (sentence,) = wrong({kind: ["role_x"]}, {"role_x": value}, os.path.isdir)
    assert sentence.startswith("role_x must be ")
    assert sentence.endswith(f", but is {short(repr(value))}.")


def test_a_value_that_is_long_is_not_quoted_in_full() -> None:
    (sentence,) = wrong({"name": ["app"]}, {"app": "two words " * 500}, os.path.isdir)
    assert sentence.startswith("app must be a name of letters")
    assert len(sentence) < 350


def test_a_password_in_a_git_url_is_refused_and_not_shown() -> None:
    (sentence,) = wrong({"git_url": ["url"]}, {"url": "https://me:s3cr3t@git.example.com/a.git"}, os.path.isdir)
    assert sentence.startswith("url must be a git URL without a password")
    assert sentence.endswith("but is 'https://(hidden)@git.example.com/a.git'.")
    (sentence,) = wrong({"git_url": ["url"]}, {"url": "ssh://me:s3/cr3t@git.example.com/a.git"}, os.path.isdir)
    assert sentence.endswith("but is 'ssh://(hidden)@git.example.com/a.git'.")


def test_every_wrong_value_is_told_and_no_other() -> None:
    values = {"a": 0, "b": 80, "c": "x", "d": "/opt", "e": "opt"}
    assert wrong({"port": ["a", "b", "c"], "path": ["d", "e"]}, values, os.path.isdir) == [
        "a must be a port number between 1 and 65535, but is 0.",
        "c must be a port number between 1 and 65535, but is 'x'.",
        "e must be an absolute path without a colon or a dollar sign, but is 'opt'.",
    ]


@given(st.sampled_from(sorted(CASES)), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_any_value_is_judged(kind: str, value: Any) -> None:
    assert len(wrong({kind: ["x"]}, {"x": value}, os.path.isdir)) <= 1


@given(st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,2})?[KMGTkmgtiBb]{0,3}", fullmatch=True))
def test_every_size_that_is_right_can_be_read_by_the_modules(text: str) -> None:
    if not wrong({"size": ["x"]}, {"x": text}, os.path.isdir):
        assert human_to_bytes(text) >= 0


@pytest.mark.parametrize(
    ("others", "further", "sentences"),
    [
        ({"shop-db": "/data", "shop-media": "/app/media"}, {"shop-cache": "/srv/cache", "shop-x": "/srv/cache2"}, []),
        ({"shop-db": "/data", "shop-media": "/data/media"}, {}, []),
        (
            {"shop-db": "/data", "shop-media": "/data/"},
            {},
            ["shop-db and shop-media are both mounted at /data. Give each a path of its own."],
        ),
        (
            {"shop-db": "/data"},
            {"shop-db": "/srv"},
            ["further names the volume shop-db, which has a variable of its own. Leave it out there."],
        ),
        (
            {"shop-db": "/data"},
            {"shop-cache": "/data//cache/"},
            [
                "further mounts shop-cache at /data/cache, and shop-db is mounted at /data. "
                "Mount each where no other one is, and none inside another."
            ],
        ),
        (
            {"shop-db": "/srv/db"},
            {"shop-x": "/srv", "shop-y": "/srv"},
            [
                f"further mounts {volume} at /srv, and {other} is mounted at {place}. "
                "Mount each where no other one is, and none inside another."
                for volume, other, place in (
                    ("shop-x", "shop-db", "/srv/db"),
                    ("shop-y", "shop-db", "/srv/db"),
                    ("shop-y", "shop-x", "/srv"),
                )
            ],
        ),
    ],
)
def test_volumes_that_are_mounted_where_another_one_is(
    others: dict[str, str], further: dict[str, str], sentences: list[str]
) -> None:
    assert clashes("further", list(others.items()), further) == sentences


def test_an_empty_value_is_judged_where_a_role_wants_one() -> None:
    rules = {"url": {"kind": "http_url", "required_by": ["env_file"]}, "port": {"kind": "port"}, "free": {}}
    values = {"port": 80, "url": "", "free": ""}
    assert ruled(rules, values, ["stack"], bool) == []
    (sentence,) = ruled(rules, values, ["stack", "env_file"], bool)
    assert sentence.startswith("url must be an http:// or https:// address")
    (sentence,) = ruled(rules, {**values, "url": "ftp://a"}, ["stack"], bool)
    assert sentence.endswith("but is 'ftp://a'.")


def test_rules_are_told_in_the_order_of_the_values_and_amounts_last() -> None:
    kinds = {"high": "size", "port": "port", "k": "hooks"}
    rules = {**{name: {"kind": kind} for name, kind in kinds.items()}, "low": {"kind": "size", "at_most": "high"}}
    sentences = ruled(rules, {"port": 0, "k": [], "high": "x", "low": "1G"}, [], bool)
    assert [sentence.split(" must ")[0] for sentence in sentences] == ["port", "high"]
    assert ruled(rules, {"low": "2G", "high": "1G"}, [], bool) == ["low (2G) must not be more than high (1G)."]


def test_exactly_one_of_some_variables_has_a_value() -> None:
    assert one_of(["a", "b", "c"], {"a": "", "b": "x", "c": None}) == []
    assert one_of(["a", "b", "c"], {}) == ["One of a, b and c must be set, but none is set."]
    assert one_of(["a", "b"], {"a": "x", "b": "y"}) == ["One of a and b must be set, but a and b are set."]


@pytest.mark.parametrize(
    ("hooks", "right"),
    [
        ([], True),
        (["tell.yml", ["curl", "https://example.com"]], True),
        ([[]], False),
        ([["curl", 1]], False),
        ([{"a": "b"}], False),
        ([None], False),
    ],
)
def test_hooks_are_paths_and_commands(hooks: list[Any], right: bool) -> None:
    assert (not_hooks("hooks", hooks) == []) is right


def test_what_must_not_be_more() -> None:
    pairs = {"low": "high"}
    assert excess(pairs, {"low": "1G", "high": "1000m"}) == ["low (1G) must not be more than high (1000m)."]
    for low, high in (("512M", "1g"), ("1024k", "1M"), ("2G", "auto"), (0.5, "1.0"), ("1KiB", "1024")):
        assert excess(pairs, {"low": low, "high": high}) == []


def test_a_misspelt_variable_is_reported_with_what_was_meant() -> None:
    variables = ["app_name", "app_port", "app_name"]
    sentences = unread(["app_nmae", "app_port", "other_thing"], "app_", variables)
    assert sentences == ["Nothing reads app_nmae; is app_name meant?"]
    assert unread(["app_zzzzzzzzzzzzzzz"], "app_", variables) == ["Nothing reads app_zzzzzzzzzzzzzzz; is it misspelt?"]
    assert unread([], "app_", variables) == []


VARIABLES = st.sets(st.text("abc_", max_size=4).map("app_".__add__))


@given(VARIABLES, VARIABLES)
def test_exactly_what_nothing_reads_is_told_in_order(names: set[str], variables: set[str]) -> None:
    sentences = unread(names, "app_", variables)
    assert [line.split()[2].rstrip(";") for line in sentences] == sorted(names - variables)


def test_unrelated_groups_that_differ_are_told() -> None:
    groups = {
        "shop": {"app_name": "shop", "app_url": "https://shop", "app_same": 1, "other": 1},
        "blog": {"app_name": "blog", "app_url": "https://blog", "app_same": 1, "other": 2},
        "eu": {"app_zone": "eu"},
    }
    above = {"shop": ["all"], "blog": ["eu", "all"], "eu": ["all"], "all": []}
    (sentence,) = validators.conflicts("vps1", groups, above, "app_", ["app_url"])
    assert sentence.startswith(
        "vps1 gets several values of app_name, from the groups blog and shop. Set it for the host, or in"
    )
    assert validators.conflicts("vps1", {"shop": groups["shop"], "eu": groups["eu"]}, above, "app_", []) == []
    over = {"all": {"app_name": "site"}, "eu": {"app_name": "eu"}, "blog": groups["blog"]}
    assert validators.conflicts("vps1", over, above, "app_", []) == []
    assert validators.conflicts("vps1", {**over, "shop": groups["shop"]}, above, "app_", ["app_url"]) == [sentence]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "argument 'aliases' is of type dict and we were unable to convert to list: <class '_TaggedDict'> x",
            "aliases must be a list, but is a mapping",
        ),
        (
            "Elements value for option 'jobs' is of type NoneType and we were unable to convert to dict: x",
            "Each item of jobs must be a mapping, but is empty",
        ),
        (
            "argument 'port' is of type date and we were unable to convert to int: x",
            "port must be a whole number, but is of another type",
        ),
        ("value of state must be one of: present, got: gone", "value of state must be one of: present, got: gone"),
    ],
)
def test_what_cannot_be_converted_is_told_without_classes_of_python(message: str, sentence: str) -> None:
    assert validators.unconvertible(message) == sentence


def test_text_that_is_of_a_type_of_its_own() -> None:
    (sentence,) = validators.mistyped({"name": object()}, {"name": {"type": "str"}}, [])
    assert sentence.startswith("name is of a type that YAML has no strings of, not a string: put it in quotes")


@pytest.mark.parametrize(
    ("secrets", "sentences"),
    [
        ({"npm": "tok", "a.b-c_D": "", "ca": {"value": "x\ny"}, "_key": {"file": "/etc/key, of it"}}, []),
        ({"a b": "tok"}, ["them has the id 'a b': an id has letters, digits, dots, dashes and underscores, and"]),
        ({4711: "tok"}, ["them has the id 4711: an id has letters"]),
        ({"build_ca": "tok"}, ["them has the id 'build_ca': an id has letters"]),
        ({"npm": 4711}, ["npm in them is a number, not a string: put the value in quotes"]),
        ({"npm": ["tok"]}, ["npm in them is a list, not a string: put the value in quotes"]),
        ({"npm": {"value": 4711}}, ["value in npm in them is a number, not a string: put the value in quotes"]),
        ({"npm": {}}, ["npm in them must be a string, or have either value or file, and nothing else."]),
        ({"npm": {"value": "tok", "file": "/x"}}, ["npm in them must be a string, or have either value or file"]),
        ({"npm": {"src": "/x"}}, ["npm in them must be a string, or have either value or file"]),
        (
            {"npm": {"file": "token"}},
            ["npm in them must have an absolute path without a colon or a dollar sign as its"],
        ),
        ({"npm": {"file": None}}, ["npm in them must have an absolute path"]),
    ],
)
def test_build_secrets_are_judged_and_not_shown(secrets: dict[Any, Any], sentences: list[str]) -> None:
    told = not_build_secrets("them", secrets)
    assert len(told) == len(sentences)
    assert [one[: len(sentence)] for one, sentence in zip(told, sentences)] == sentences
    assert "tok" not in "".join(told).replace("token", "")
