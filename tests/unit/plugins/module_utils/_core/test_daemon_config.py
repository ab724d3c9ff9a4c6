# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a daemon.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.daemon_config import (
    changed,
    merged,
    needs_restart,
    networks_of,
    overlap,
    parsed,
    text_of,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput

PATH = "/etc/docker/daemon.json"


@pytest.mark.parametrize(("text", "found"), [("", {}), (" \n", {}), ("{}", {}), ('{"debug": true}', {"debug": True})])
def test_what_is_there_is_read(text: str, found: Any) -> None:
    assert parsed(text, PATH) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"debug": true,}', "/etc/docker/daemon.json is not JSON: "),
        ("debug: true", "/etc/docker/daemon.json is not JSON: "),
        ("[]", "/etc/docker/daemon.json is list, not an object of options."),
    ],
)
def test_what_is_no_object_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parsed(text, PATH)
    assert refused.value.message.startswith(why)
    assert "It was left as it is." in refused.value.message


def test_what_is_wanted_goes_into_what_is_there_key_by_key() -> None:
    there = {
        "data-root": "/srv/docker",
        "log-opts": {"max-size": "1g", "tag": "{{.Name}}"},
        "registry-mirrors": ["https://mirror.example.com"],
        "dns": "odd",
    }
    wanted = {
        "log-opts": {"max-size": "10m", "max-file": "3"},
        "registry-mirrors": [],
        "live-restore": True,
        "dns": {"a": 1},
    }
    after = merged(there, wanted)
    assert after == {
        "data-root": "/srv/docker",
        "log-opts": {"max-size": "10m", "tag": "{{.Name}}", "max-file": "3"},
        "registry-mirrors": [],
        "dns": {"a": 1},
        "live-restore": True,
    }
    assert there["log-opts"] == {"max-size": "1g", "tag": "{{.Name}}"}, "what is given is not changed"
    assert changed(there, after) == ["dns", "live-restore", "log-opts", "registry-mirrors"]
    assert changed(after, merged(after, wanted)) == []
    assert list(after)[:2] == ["data-root", "log-opts"], "the order is that of the file"
    assert json.loads(text_of(after)) == after


def test_an_option_that_is_null_is_not_one_that_is_absent() -> None:
    assert changed({}, {"proxies": None}) == ["proxies"]


@pytest.mark.parametrize(
    ("names", "restart"), [([], False), (["live-restore", "debug"], False), (["debug", "features"], True)]
)
def test_some_options_take_a_restart(names: list[str], restart: bool) -> None:
    assert needs_restart(names) is restart


def pools(*given: Any) -> Any:
    return networks_of({"default-address-pools": list(given)}, ["default-address-pools"])


def test_pools_are_networks() -> None:
    found = pools({"base": "10.201.0.0/16", "size": 24}, {"base": "fd00:1::/48", "size": 64})
    assert [(option, str(network)) for option, network in found] == [
        ("default-address-pools", "10.201.0.0/16"),
        ("default-address-pools", "fd00:1::/48"),
    ]
    assert networks_of({}, ["default-address-pools"]) == []


def test_the_bridge_has_networks_too() -> None:
    config = {"bip": "10.202.0.1/24", "bip6": "fd00:2::1/64", "default-address-pools": [{"base": "x"}]}
    found = networks_of(config, ["bip", "bip6", "debug"])
    assert [(option, str(network)) for option, network in found] == [("bip", "10.202.0.0/24"), ("bip6", "fd00:2::/64")]
    with pytest.raises(InvalidInput, match="bip is not a network"):
        networks_of({"bip": "docker0"}, ["bip"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"base": "10.201.0.0/16"}, "is not a pool"),
        ("10.201.0.0/16", "is not a pool"),
        ({"base": "10.201.0.0/16", "size": "24"}, "is not a pool"),
        ({"base": "10.201.0.0/16", "size": True}, "is not a pool"),
        ({"base": "10.201.3.0/16", "size": 24}, "is not a network"),
        ({"base": "example", "size": 24}, "is not a network"),
        ({"base": "10.201.0.0/24", "size": 16}, "choose a size from 24 to 32"),
        ({"base": "10.201.0.0/24", "size": 33}, "choose a size from 24 to 32"),
    ],
)
def test_what_is_no_pool_is_refused(given: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        pools(given)


def test_pools_that_are_no_list_are_refused() -> None:
    with pytest.raises(InvalidInput, match="is a list of pools"):
        networks_of({"default-address-pools": {"base": "10.201.0.0/16", "size": 24}}, ["default-address-pools"])


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        (["0.0.0.0/0", "192.168.1.0/24", "fe80::/64", "0.0.0.0/1", "128.0.0.0/1"], None),
        (["192.168.1.0/24", "10.0.0.0/8"], "10.0.0.0/8"),
        (["10.201.7.0/24"], "10.201.7.0/24"),
        (["10.201.7.1"], "10.201.7.1"),
        (["fd00:1::/64"], "fd00:1::/64"),
    ],
)
def test_a_pool_does_not_take_addresses_that_the_host_reaches_elsewhere(routes: list[str], found: Any) -> None:
    both = pools({"base": "10.201.0.0/16", "size": 24}, {"base": "fd00:1::/48", "size": 64})
    hit = overlap(both, routes)
    assert (hit[1] if hit else None) == found
