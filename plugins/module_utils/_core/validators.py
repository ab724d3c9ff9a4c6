# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of values that role variables hold, beyond the types an argument spec knows."""

from __future__ import annotations

import datetime
import difflib
import ipaddress
import itertools
import posixpath
import re
from typing import Any, Callable, Collection, Iterable, Mapping, Optional, Sequence, Tuple

from .environment import http_url
from .firewall import INTERFACE
from .health_check import is_command
from .remedies import setting
from .secrets import without_logins
from .text import short


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and bool(compiled.fullmatch(value))


def _number(low: float, high: float) -> Callable[[Any], bool]:
    def right(value: Any) -> bool:
        try:
            return low <= float(value) <= high
        except (TypeError, ValueError):
            return False

    return right


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: re.fullmatch(r"[0-9]{1,10}", str(value)) is not None and low <= int(value) <= high


_UNITS = {"us": 1e-6, "ms": 0.001, "s": 1, "m": 60, "h": 3600}


def _lasts(low: float) -> Callable[[Any], bool]:
    """Return what judges a duration, which must have so many seconds."""
    parts = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)", re.ASCII)
    whole = _matches(f"(?:{parts.pattern})+")
    return lambda value: (
        whole(value) and sum(float(number) * _UNITS[unit] for number, unit in parts.findall(value)) >= low
    )


def _subnet(value: Any) -> bool:
    try:
        return value == "" or (isinstance(value, str) and bool(ipaddress.ip_network(value)))
    except ValueError:
        return False


def _ssh_host(value: Any) -> bool:
    """Return whether a value names a host for SSH, by choice with a user before it."""
    user, at, host = value.rpartition("@") if isinstance(value, str) else ("", "", "")
    if at and not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.-]*", user, re.ASCII):
        return False
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return bool(re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", host, re.ASCII))


_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?"
_DOMAIN = r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
_ABSOLUTE = _matches(r"/[^\0:$]*")
_ARCHIVED = _matches(r"(?=..)[a-zA-Z0-9][a-zA-Z0-9_.]*(-[a-zA-Z0-9_.]+)*")  # as archives are
_TAKEN = ("db", "media", "database", "manifest")  # by archives, keys of the definition, and the manifest
_TOKEN = re.compile(r"(?<=http:)//[^/@\s]*@|(?<=https:)//[^/@\s]*@")

_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "port": (_whole(1, 65535), "a port number between 1 and 65535"),
    "ports": (
        lambda value: isinstance(value, list) and all(map(_whole(1, 65535), value)),
        "a list of port numbers between 1 and 65535",
    ),
    "interfaces": (
        lambda value: isinstance(value, list) and all(map(_matches(INTERFACE), value)),
        "a list of names of network interfaces such as wg0",
    ),
    "id": (_whole(1, 2**32 - 2), "a number between 1 and 4294967294 (never 0, which is root)"),
    "count": (_whole(1, 10**6), "a whole number of at least 1"),
    "places": (_whole(0, 10**6), "a whole number of at least 0"),
    "seconds": (_number(0, 86400), "a number of seconds between 0 and 86400"),
    "timeout": (_number(10, 86400), "a number of seconds between 10 and 86400"),
    "seconds_or_auto": (
        lambda value: value == "auto" or _number(0, 86400)(value),
        "auto or a number of seconds between 0 and 86400",
    ),
    "percent": (_number(0, 100), "a percentage between 0 and 100"),
    "cpus": (_number(0.01, 1024), "a number of CPUs such as 0.5"),
    "duration": (_lasts(0), "a duration such as 30s or 1m30s"),
    # A probe counts whole seconds, and has to end by itself before the engine ends it.
    "probe_timeout": (_lasts(2), "a duration of at least 2 seconds, such as 10s"),
    # The engine counts them in an int, and of 500ms nothing would be left.
    "whole_seconds": (
        _matches(r"(?=.*[1-9])(\d+[smh])+"),
        "a duration of one or more whole seconds such as 10s or 1m30s",
    ),
    # What both Docker and Ansible's human_to_bytes read, which knows no KiB.
    "size": (_matches(r"\d+(\.\d+)?([KMGTkmgt]|[KMGT]B)?"), "a size such as 512M or 2G"),
    "size_or_auto": (_matches(r"auto|\d+(\.\d+)?[KMGTkmgt]i?[bB]?|\d+"), "auto or a size such as 512M or 2G"),
    "container": (
        _matches(r"(?=..)[a-z0-9]+([._-]+[a-z0-9]+)*"),
        "a name of small letters, digits, and dots, dashes and underscores between them",
    ),
    "name": (_matches(_NAME), "a name of letters, digits, dots, dashes and underscores"),
    "names": (
        lambda value: isinstance(value, list) and all(map(_matches(_NAME), value)),
        "a list of names of letters, digits, dots, dashes and underscores",
    ),
    "project": (_matches(r"[a-z0-9][a-z0-9_-]*"), "a name of small letters, digits, dashes and underscores"),
    "http_url": (http_url, "an http:// or https:// address with a host name"),
    "http_url_or_empty": (
        lambda value: value == "" or http_url(value),
        "empty or an http:// or https:// address with a host name",
    ),
    "domains": (
        lambda value: isinstance(value, list) and all(map(_matches(_DOMAIN), value)) and len({*value}) == len(value),
        "a list of different names such as www.example.com or *.example.com, in small letters and without a port",
    ),
    "ssh_host": (
        _ssh_host,
        "a host name or an IP address, and may have a user before it, such as deploy@vps1.example.com",
    ),
    "store_url": (_matches(r"[a-z][a-z0-9+.-]*://\S+"), "the URL of a store such as s3://bucket/path"),
    "git_url": (
        lambda value: isinstance(value, str) and without_password(value) == value,
        f"a git URL without a password or token, which have variables of their own ({setting('git_token')}, "
        f"{setting('git_key')})",
    ),
    "path": (_ABSOLUTE, "an absolute path without a colon or a dollar sign"),
    "mounts": (
        lambda value: (
            isinstance(value, Mapping)
            and all(_ARCHIVED(name) and name not in _TAKEN and _ABSOLUTE(path) for name, path in value.items())
        ),
        "a mapping from names of volumes (letters, digits, dots, underscores, and single dashes between them; not "
        f"{', '.join(_TAKEN)}) to absolute paths",
    ),
    "tmpfs": (
        lambda value: (
            isinstance(value, Mapping)
            and all(_ABSOLUTE(path) and path != "/" and _matches(r"\d+[KMG]")(size) for path, size in value.items())
        ),
        "a mapping from absolute paths to sizes such as 64M",
    ),
    "capabilities": (
        lambda value: isinstance(value, list) and all(map(_matches(r"(?!CAP_|ALL$)[A-Z_]+"), value)),
        "a list of capabilities such as DAC_OVERRIDE, in capitals and without CAP_",
    ),
    "command": (
        lambda value: is_command(value) and (not value or bool(value[0])),
        "a command as a list of strings, or as one string",
    ),
    "inner_path": (
        _matches(r"(?!/|(.*/)?\.\.(/|$))[^\0-\x1f]*"),
        "a path inside the sources, from their top and without ..",
    ),
    "repository": (
        _matches(r"|(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"),
        "empty or a repository such as ghcr.io/acme/shop, without a tag and a digest",
    ),
    "stage": (_matches(r"([a-zA-Z0-9][a-zA-Z0-9_.-]*)?"), "the name or number of a stage of the Dockerfile"),
    "url_path": (_matches(r"/[A-Za-z0-9._~/%?&=+-]*"), "a path that begins with /"),
    "app_path": (
        _matches(r"|(?!\.)[A-Za-z0-9_@.-]+(/(?!\.)[A-Za-z0-9_@.-]+)*"),
        "empty or a path below the sources such as apps/web",
    ),
    "moment": (lambda value: isinstance(value, str), "a time such as 2026-01-31T12:00:00Z"),
    "subnet": (_subnet, "a subnet such as 192.0.2.0/24, or empty"),
    "version": (_matches(r"\d+(\.\d+)*"), "a version such as 25.0"),
}

NUMBERS = ("cpus", "size", "size_or_auto", "seconds_or_auto")
"""Kinds of strings for which a number will do as well."""


def without_password(value: str) -> str:
    """Return a string, such as the address of a repository, without the password or token in its addresses."""
    return _TOKEN.sub("//(hidden)@", without_logins(value, "(hidden)"))


def wrong(
    kinds: Mapping[str, Iterable[str]], values: Mapping[str, Any], is_directory: Callable[[str], bool]
) -> list[str]:
    """Return one sentence per value that is not of its kind.

    Args:
        kinds: per kind, the names of the variables of that kind.
        values: every variable's value.
        is_directory: whether a path is that of a directory on the controller.
    """
    sentences = []
    judges = {**_KINDS, "source_directory": (_empty_or(is_directory), "a directory on the controller")}
    for kind, names in kinds.items():
        right, expected = judges[kind]
        bad = [(name, short(without_password(repr(values[name])))) for name in names if not right(values[name])]
        sentences += [f"{name} must be {expected}, but is {shown}." for name, shown in bad]
    return sentences


def _empty_or(right: Callable[[str], bool]) -> Callable[[Any], bool]:
    return lambda value: value == "" or (isinstance(value, str) and right(value))


def ruled(
    rules: Mapping[str, Mapping[str, Any]],
    values: Mapping[str, Any],
    roles: Collection[str],
    is_directory: Callable[[str], bool],
) -> list[str]:
    """Return one sentence per value that a rule of its variable forbids.

    Args:
        rules: per variable its ``kind``, which variable it is to be ``at_most``, and the roles that it is
            ``required_by``, without which an empty value is right.
        values: every variable's value, converted to its type.
        roles: those that will read the variables.
        is_directory: says whether a path is a directory on this machine.
    """
    kinds: dict[str, list[str]] = {}
    for name in values:
        rule = rules[name]
        spared = values[name] in ("", None) and "required_by" in rule and not {*rule["required_by"]} & {*roles}
        if rule.get("kind") in _KINDS and not spared:
            kinds.setdefault(rule["kind"], []).append(name)
    by_name = {sentence.split(" ", 1)[0]: sentence for sentence in wrong(kinds, values, is_directory)}
    pairs = {name: rules[name]["at_most"] for name in values if rules[name].get("at_most") in values}
    return [*(by_name[name] for name in values if name in by_name), *excess(pairs, values)]


def one_of(names: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Return a sentence unless exactly one of some variables has a value; an empty one is none."""
    given = [name for name in names if values.get(name)]
    if len(given) == 1:
        return []
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return [f"One of {listed} must be set, but {' and '.join(given) + ' are' if given else 'none is'} set."]


def clashes(name: str, others: Sequence[Tuple[str, str]], further: Mapping[str, str]) -> list[str]:
    """Return one sentence per volume that is mounted where another one is, or that two variables name.

    Args:
        name: the variable of the further volumes.
        others: the names and mounts of volumes with variables of their own, which may be in each other.
        further: the mounts of the further volumes by their names.
    """
    known = [(volume, posixpath.normpath(path)) for volume, path in others]
    sentences = []
    for first, second in itertools.combinations(known, 2):
        if first[1] == second[1]:
            sentences.append(f"{first[0]} and {second[0]} are both mounted at {first[1]}. Give each a path of its own.")
    for volume, given in further.items():
        path = posixpath.normpath(given)
        if volume in [other for other, _path in others]:
            sentences.append(f"{name} names the volume {volume}, which has a variable of its own. Leave it out there.")
            continue
        for other, place in known:
            if posixpath.commonpath([path, place]) in (path, place):
                sentences.append(
                    f"{name} mounts {volume} at {path}, and {other} is mounted at {place}. "
                    "Mount each where no other one is, and none inside another."
                )
        known.append((volume, path))
    return sentences


def not_hooks(name: str, hooks: Sequence[Any]) -> list[str]:
    """Return a sentence when hooks are something else than paths, and commands as lists; no command is shown."""

    def right(hook: Any) -> bool:
        return isinstance(hook, str) or (
            isinstance(hook, list) and hook != [] and all(isinstance(argument, str) for argument in hook)
        )

    sentence = f"{name} must hold paths of tasks files, and commands as lists of strings."
    return [] if all(right(hook) for hook in hooks) else [sentence]


def excess(pairs: Mapping[str, str], values: Mapping[str, Any]) -> list[str]:
    """Return one sentence per variable that is larger than another one, which it must not be.

    Args:
        pairs: the names of the smaller and of the larger variable; sizes (bytes) or plain numbers.
        values: every variable's value; one that is no amount, such as ``auto``, is not compared.
    """
    amounts = [(name, other, _amount(values[name]), _amount(values[other])) for name, other in pairs.items()]
    return [
        f"{name} ({values[name]}) must not be more than {other} ({values[other]})."
        for name, other, low, high in amounts
        if low is not None and high is not None and low > high
    ]


def _amount(value: Any) -> Optional[float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)i?b?", str(value).lower())
    return float(match[1]) * 1024 ** " kmgt".index(match[2] or " ") if match else None


def coerced(given: Mapping[str, Any], types: Mapping[str, str]) -> list[str]:
    """Return one sentence per variable that is a string, or empty, where only the type itself works.

    Ansible's own check accepts the string ``"[1]"`` for a list, and leaves it a string.

    Args:
        given: the variables' values.
        types: the type that each variable has by its argument spec.
    """
    sentences = []
    for name, value in given.items():
        if types[name] in _NATIVE and not isinstance(value, _NATIVE[types[name]][0]) and not _flag(types[name], value):
            as_json = f"but is a string; with -e, give it as JSON: -e '{{\"{name}\": …}}'."
            empty = "but is empty: give it a value, or leave it out."
            sentences.append(f"{name} must be {_NATIVE[types[name]][1]}, {empty if value is None else as_json}")
    return sentences


def _flag(type_: str, value: Any) -> bool:
    """Return whether a value is true or false for the filter ``bool``, through which such variables are read."""
    return type_ == "bool" and str(value).lower() in _FLAGS


def not_flags(given: Mapping[str, Any]) -> list[str]:
    """Return one sentence per variable that Ansible's filter ``bool`` would take for false, whatever was meant.

    Args:
        given: the variables' values.
    """
    return [
        f"{name} must be true or false, but is {short(repr(value))}."
        for name, value in given.items()
        if value is not None and str(value).lower() not in _FLAGS
    ]


def not_strings(name: str, values: Mapping[Any, Any]) -> list[str]:
    """Return one sentence per value of a mapping that YAML or a template made something else of than a string.

    Nobody can tell what was written: 0755 has become 493, 22:30 has become 1350, NO has become false, and 1.10 is 1.1.
    Values are never quoted, as they may be secret.

    Args:
        name: the variable that holds the mapping.
    """
    sentences = []
    for key, value in values.items():
        if not isinstance(key, str):
            sentences.append(f"{name} has a key that is {_read_as(key)}, not a string: put the key in quotes.")
        elif not isinstance(value, str):
            sentences.append(
                f'{key} in {name} is {_read_as(value)}, not a string: put the value in quotes, {key}: "…", '
                "or end its template with | string."
            )
    return sentences


def not_build_secrets(name: str, secrets: Mapping[Any, Any]) -> list[str]:
    """Return one sentence per build secret that is none; values are never quoted.

    Args:
        name: the variable that holds them, by their ids: each a string, or a mapping of value or file to one.
    """
    sentences = []
    for key, given in secrets.items():
        if not isinstance(key, str) or not _SECRET_ID(key) or key == BUILD_CA:
            sentences.append(
                f"{name} has the id {short(repr(key))}: an id has letters, digits, dots, dashes and underscores, and "
                f"{BUILD_CA} is that of {setting('build_ca')}."
            )
        elif not isinstance(given, Mapping):
            sentences += not_strings(name, {key: given})
        elif len(given) != 1 or not {*given} <= {"value", "file"}:
            sentences.append(f"{key} in {name} must be a string, or have either value or file, and nothing else.")
        elif "file" in given and not _KINDS["path"][0](given["file"]):
            sentences.append(f"{key} in {name} must have {_KINDS['path'][1]} as its file.")
        else:
            sentences += not_strings(f"{key} in {name}", given)
    return sentences


BUILD_CA = "build_ca"
"""The id of the secret that holds certificates of a proxy which inspects TLS."""
_SECRET_ID = _matches(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*")


def mistyped(given: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]], numbers: Collection[str]) -> list[str]:
    """Return one sentence per variable of type str, or item of such a list, that YAML made something else of.

    Ansible would make a string of what it has become, such as 1.1 for 1.10. Where it knows all right values it judges
    them itself, and an empty value is none.

    Args:
        given: the variables' values.
        spec: their options, as in an argument spec.
        numbers: those for which a number will do as well.
    """
    sentences = []
    for name, value in given.items():
        if spec[name]["type"] == "list" and spec[name].get("elements") == "str" and isinstance(value, (list, tuple)):
            items = [(f"Item {number} of {name}", item, '"…"') for number, item in enumerate(value, 1)]
        elif spec[name]["type"] == "str" and "choices" not in spec[name] and value is not None:
            items = [(name, value, f'{name}: "…"')]
        else:
            continue
        sentences += [
            f"{what} is {_read_as(item)}, not a string: put it in quotes, {quoted}, or end its template with | string."
            for what, item, quoted in items
            if not isinstance(item, str) and not (name in numbers and _read_as(item) == "a number")
        ]
    return sentences


def unconvertible(message: str) -> str:
    """Return what Ansible says of a value of another type, without the classes of Python that it names."""
    match = _UNCONVERTIBLE.match(message)
    if not match:
        return message
    name = f"Each item of {match[1]}" if message.startswith("Elements") else match[1]
    wanted, given = (_TYPES.get(kind, "of another type") for kind in (match[3], match[2]))
    return f"{name} must be {wanted}, but is {given}"


_UNCONVERTIBLE = re.compile(
    r"(?:argument|Elements value for option) '(\w+)' is of type (\w+) and we were unable to convert to (\w+)"
)
_TYPES = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "path": "a path",
    "NoneType": "empty",
}


def _read_as(value: Any) -> str:
    for kinds, shown in _READ_AS:
        if isinstance(value, kinds):
            return shown
    return "of a type that YAML has no strings of"


_READ_AS: Tuple[Tuple[Any, str], ...] = (
    (type(None), "empty"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (datetime.date, "a date"),  # and a time with its date
    (bytes, "binary data"),
    ((list, tuple, set), "a list"),
    (Mapping, "a mapping"),
)
_FLAGS = ("yes", "on", "1", "true", "no", "off", "0", "false")
_NATIVE: Mapping[str, Tuple[type, str]] = {
    "bool": (bool, "true or false"),
    "list": (list, "a list"),
    "dict": (dict, "a mapping"),
}


def conflicts(
    host: str,
    groups: Mapping[str, Mapping[str, Any]],
    above: Mapping[str, Collection[str]],
    prefix: str,
    decided: Iterable[str],
) -> list[str]:
    """Return one sentence per variable to which unrelated groups of a host give several values.

    A group may say otherwise than one above it. Of others, Ansible takes the one that is deeper, or whose name comes
    last.

    Args:
        groups: the variables of each group of the host with one priority.
        above: the groups above each of them.
        prefix: what the names of variables begin with.
        decided: variables that the host itself or the command line sets.
    """
    sentences = []
    for name in sorted(
        {name for variables in groups.values() for name in variables if name.startswith(prefix)} - set(decided)
    ):
        sources = {group for group, variables in groups.items() if name in variables}
        giving = sorted(sources - {over for group in sources for over in above[group]})
        if any(groups[group][name] != groups[giving[0]][name] for group in giving):
            sentences.append(
                f"{host} gets several values of {name}, from the groups {' and '.join(giving)}. Set it for the host, "
                "or in one of them; of several applications on one machine, each is a host of its own (docs/deploy.md)."
            )
    return sentences


def unread(names: Iterable[str], prefix: str, variables: Iterable[str]) -> list[str]:
    """Return one sentence per name with the prefix that is no variable, with the variable most likely meant."""
    known = sorted(set(variables))
    sentences = []
    for name in sorted(set(names) - set(known)):
        if name.startswith(prefix):
            close = difflib.get_close_matches(name, known, n=1)
            sentences.append(f"Nothing reads {name}; " + (f"is {close[0]} meant?" if close else "is it misspelt?"))
    return sentences
