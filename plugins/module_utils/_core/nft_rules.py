# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules of others keep closed, as nft lists them; see libnftables-json(5).

A packet passes each base chain of a hook in turn: one that accepts it does not overrule another that drops it. So a
table of ours opens nothing that theirs close. What is read here are the ports that their rules name, which is enough to
notify people of it and not to say what happens to a packet.
"""

from __future__ import annotations

from typing import Any, Collection, Iterator, Mapping, Sequence, Tuple

Json = Mapping[str, Any]
Place = Tuple[str, str, str]

_ALWAYS = {"counter", "log", "limit", "accept", "jump", "goto", "drop", "reject"}
_ENGINE = "docker-bridges"
"""The table of an engine that writes rules of nftables itself."""


class Rules:
    """The ruleset of a host.

    Args:
        elements: what nft lists.
        own: the name of our table.
    """

    def __init__(self, elements: Sequence[Json], own: str) -> None:
        self._chains = [each["chain"] for each in elements if "chain" in each and each["chain"]["table"] != own]
        self._sets = {_place(each["set"], "name"): each["set"].get("elem", []) for each in elements if "set" in each}
        self._rules: dict[Place, list[Sequence[Json]]] = {}
        for rule in (each["rule"] for each in elements if "rule" in each):
            self._rules.setdefault(_place(rule, "chain"), []).append(rule["expr"])

    def closed(self, wanted: Sequence[tuple[str, int]]) -> list[tuple[Place, list[tuple[str, int]]]]:
        """Return the chains for the host itself that drop what they do not accept, and what none of their rules names.

        Args:
            wanted: protocols and ports.
        """
        found = []
        for place in self._dropping("input"):
            ways = list(self._ways(place))
            names = [key for key in wanted if not any(self._names(place, way, *key) for way in ways)]
            found += [(place, names)] if names else []
        return found

    def severed(self) -> list[Place]:
        """Return the chains for what goes to containers that let nothing through but answers."""
        return [place for place in self._dropping("forward") if all(map(_is_for_answers, self._ways(place)))]

    def _dropping(self, hook: str) -> list[Place]:
        """Return the chains of a hook that drop what they do not accept."""
        return [
            _place(chain, "name")
            for chain in self._chains
            if chain.get("hook") == hook
            and chain["table"] != _ENGINE
            and (chain.get("policy") == "drop" or self._ends_all(_place(chain, "name")))
        ]

    def _ends_all(self, place: Place) -> bool:
        """Return whether the last rule of a chain drops or rejects whatever comes to it."""
        rules = self._rules.get(place)
        if not rules:
            return False
        *before, last = rules[-1]
        rejects = _extension(last).get("name") == "REJECT" or {*last} <= {"drop", "reject"}
        return rejects and all(map(_is_always, before))

    def _ways(self, place: Place, before: Sequence[Json] = (), seen: Collection[Place] = ()) -> Iterator[list[Json]]:
        """Yield the statements of rules after which a packet is accepted, with those that led to their chain."""
        for rule in self._rules.get(place, ()):
            way = [*before, *rule]
            verdicts = [verdict for statement in rule for verdict in _verdicts(statement)]
            if any("accept" in verdict for verdict in verdicts):
                yield way
            for verdict in verdicts:
                target = (place[0], place[1], (verdict.get("jump") or verdict.get("goto") or {}).get("target", ""))
                if target not in seen:
                    yield from self._ways(target, way, (*seen, target))

    def _names(self, place: Place, way: Sequence[Json], protocol: str, port: int) -> bool:
        """Return whether rules name a port, accept whatever comes, or name ports that nft does not show."""
        if all(map(_is_always, way)) or any(_extension(statement).get("name") == "multiport" for statement in way):
            return True
        return any(
            key.get("field") == "dport" and key.get("protocol") in (protocol, "th") and self._has(place, values, port)
            for key, values in map(_compared, way)
        )

    def _has(self, place: Place, values: Any, port: int) -> bool:
        """Return whether a port is among values: one, a range, a set, or the name of a set after an ``@``."""
        if isinstance(values, str):
            return self._has(place, self._sets.get((*place[:2], values[1:]), []), port)
        if isinstance(values, list):
            return any(self._has(place, each, port) for each in values)
        if isinstance(values, Mapping):
            low, high = values.get("range", (0, -1))
            inner = values.get("set") or values.get("elem", {}).get("val", [])
            return low <= port <= high or self._has(place, inner, port)
        return bool(values == port)


def _place(element: Json, name: str) -> Place:
    return element["family"], element["table"], element[name]


def _extension(statement: Json) -> Json:
    """Return what an extension of iptables is called; older versions of nft do not tell."""
    return statement.get("xt") or {}


def _is_always(statement: Json) -> bool:
    """Return whether a statement holds for each packet."""
    return {*statement} <= _ALWAYS or _extension(statement).get("name") == "comment"


def _compared(statement: Json) -> tuple[Json, Any]:
    """Return the field of a packet that a statement compares, and with what."""
    if "vmap" in statement:
        return statement["vmap"]["key"].get("payload", {}), [key for key, _verdict in _mapped(statement)]
    match = statement.get("match", {})
    left = match.get("left", {})
    return left.get("payload", {}) if isinstance(left, Mapping) else {}, match.get("right", [])


def _mapped(statement: Json) -> list[tuple[Any, Json]]:
    """Return the entries of a map of verdicts; one with a name is not looked into."""
    data = statement["vmap"]["data"]
    return data["set"] if isinstance(data, Mapping) else []


def _verdicts(statement: Json) -> list[Json]:
    return [verdict for _key, verdict in _mapped(statement)] if "vmap" in statement else [statement]


def _is_for_answers(way: Sequence[Json]) -> bool:
    """Return whether rules accept by the state of a connection."""
    return any(
        "ct" in statement.get("vmap", {}).get("key", {})
        or "ct" in statement.get("match", {}).get("left", {})
        or _extension(statement).get("name") in ("conntrack", "state")
        for statement in way
    )
