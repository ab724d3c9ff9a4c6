# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's configuration file, daemon.json: how what is wanted goes into what is there, and what that takes.

What a running engine takes over without a restart is as in
https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior but for features: some of these take one.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Iterable, Mapping, Optional, Sequence, Union

from .errors import InvalidInput
from .remedies import setting

Config = Mapping[str, Any]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
POOLS = "default-address-pools"
BRIDGE = ("bip", "bip6", "fixed-cidr-v6")
"""Options that give the network of the engine's own bridge."""
LIVE_RESTORE = "live-restore"
_EVERYTHING = 1  # bits of a default route; a VPN has two of them for all addresses
_RELOADED = {
    "authorization-plugins",
    "debug",
    "default-runtime",
    "insecure-registries",
    "labels",
    LIVE_RESTORE,
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "runtimes",
    "shutdown-timeout",
}


def parsed(text: str, path: str) -> dict[str, Any]:
    """Return what a daemon.json says; an empty one says nothing, as the engine sees it.

    Raises:
        InvalidInput: it is no JSON object.
    """
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}. {_UNTOUCHED}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is {type(found).__name__}, not an object of options. {_UNTOUCHED}")
    return found


_CORRECT = f"Correct {setting('engine_config')}. Nothing was changed."
_UNTOUCHED = "It was left as it is. Correct it, check it with: dockerd --validate"


def merged(before: Config, wanted: Config) -> dict[str, Any]:
    """Return what is there with what is wanted in it.

    Objects are merged key by key, such as log-opts. Everything else is replaced, a list too: it says all of something.
    """
    after = dict(before)
    for name, value in wanted.items():
        old = after.get(name)
        after[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return after


def changed(before: Config, after: Config) -> list[str]:
    """Return the options that differ, sorted."""
    absent = object()
    return sorted(name for name in {*before, *after} if before.get(name, absent) != after.get(name, absent))


def needs_restart(names: Iterable[str]) -> bool:
    """Return whether a running engine has to be restarted before it knows of a change of these options."""
    return not _RELOADED.issuperset(names)


def text_of(config: Config) -> str:
    """Return the content of the file."""
    return json.dumps(config, indent=2) + "\n"


def networks_of(config: Config, names: Iterable[str]) -> list[tuple[str, Network]]:
    """Return the networks that the engine is to take, each with its option, as far as these options name them.

    Raises:
        InvalidInput: one is none, or is smaller than the subnets that are to be taken from it.
    """
    wanted = {name: config[name] for name in (POOLS, *BRIDGE) if name in names and config.get(name)}
    pools = wanted.pop(POOLS, [])
    if not isinstance(pools, list):
        raise InvalidInput(f"{POOLS} is a list of pools, each with base and size. {_CORRECT}")
    return [*((POOLS, _pool(pool)) for pool in pools), *((name, _bridge(name, wanted[name])) for name in wanted)]


def _bridge(name: str, given: Any) -> Network:
    try:
        return ipaddress.ip_interface(str(given)).network
    except ValueError as error:
        raise InvalidInput(f"{name} is not a network: {error}. {_CORRECT}") from None


def _pool(pool: Any) -> Network:
    given = json.dumps(pool)
    size = pool.get("size") if isinstance(pool, Mapping) and set(pool) == {"base", "size"} else None
    if not isinstance(size, int) or isinstance(size, bool):
        raise InvalidInput(
            f"{given} in {POOLS} is not a pool: it has base, such as 10.201.0.0/16, and size, such as 24. {_CORRECT}"
        )
    try:
        network = ipaddress.ip_network(pool["base"])
    except ValueError as error:
        raise InvalidInput(f"The base of {given} in {POOLS} is not a network: {error}. {_CORRECT}") from None
    if not network.prefixlen <= size <= network.max_prefixlen:
        raise InvalidInput(
            f"Subnets of /{size} do not fit into the base of {given} in {POOLS}: choose a size from "
            f"{network.prefixlen} to {network.max_prefixlen}. {_CORRECT}"
        )
    return network


def overlap(
    networks: Sequence[tuple[str, Network]], routes: Iterable[str]
) -> Optional[tuple[tuple[str, Network], str]]:
    """Return one of the networks and a route of the host that is in it or around it, None when there is none.

    The engine itself overlooks some of them and takes addresses that the host reaches elsewhere.

    Args:
        routes: the destinations of the host's routes that are not the engine's, such as ``10.0.0.0/8``.
    """
    for route in routes:
        reached = ipaddress.ip_network(route, strict=False)
        for option, network in networks:
            if reached.prefixlen > _EVERYTHING and reached.version == network.version and reached.overlaps(network):
                return (option, network), route
    return None
