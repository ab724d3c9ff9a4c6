# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what is made of roles/common/meta/variables.yml, in which each variable of an inventory stands once.

That is defaults/main.yml of the role common, the argument specs of the other roles, and docs/variables.md. Run it after
a change there, or of what a role reads: ``python tests/support/variables.py``. A unit test fails when it was forgotten.
Then run role_pages.py, which makes READMEs of the specs.
"""

from __future__ import annotations

import copy
import functools
import re
import textwrap
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

import yaml

ROOT = Path(__file__).parents[2]
COMMON = ROOT / "roles/common"
ARGUMENT_KEYS = ("description", "type", "elements", "choices", "no_log")
WIDTH = 120
SPEC_HEADER = """\
---
# Written by hand: the descriptions of entries, and options that are no variables of an inventory. Written by
# tests/support/variables.py: all other options, and the entry apply.
"""
WHOLE = ("main", "apply")
"""Entries that do all that a role does; others do a part of it."""
CHECKED = (
    "For a play that has checked all variables with M(ptnextjs.docker_vps.validate_roles); V(main) checks them itself."
)


@functools.lru_cache(maxsize=None)
def sections() -> Sequence[Mapping[str, Any]]:
    """Return the sections of variables.yml."""
    read: Sequence[Mapping[str, Any]] = yaml.safe_load((COMMON / "meta/variables.yml").read_text(encoding="utf-8"))
    return read


@functools.lru_cache(maxsize=None)
def variables() -> Mapping[str, Mapping[str, Any]]:
    """Return all variables, in their order."""
    return {name: about for section in sections() for name, about in section["variables"].items()}


def roles() -> list[str]:
    """Return the roles that read variables."""
    return sorted(path.name for path in (ROOT / "roles").iterdir() if path.name != "common")


def read_by(contents: Iterable[str]) -> list[str]:
    """Return the variables that files read, also by way of defaults and of what the role common makes of them."""
    made = _made()
    known = variables()
    found: set[str] = set()
    ahead = [name for content in contents for name in re.findall(r"\b(?:__)?docker_vps_\w+", content)]
    while ahead:
        name = ahead.pop()
        if name in found or name not in {**made, **known}:
            continue
        found.add(name)
        template = made[name] if name in made else known[name]["default"]
        ahead += re.findall(r"\b(?:__)?docker_vps_\w+", str(template))
    return [name for name in known if name in found]


@functools.lru_cache(maxsize=None)
def _made() -> Mapping[str, str]:
    made: Mapping[str, str] = yaml.safe_load((COMMON / "vars/main.yml").read_text(encoding="utf-8"))
    return made


def contents_of(role: str) -> Iterator[str]:
    """Yield the contents of a role's files that may read variables."""
    for folder in ("defaults", "tasks", "templates", "vars"):
        for path in sorted((ROOT / "roles" / role / folder).glob("*")):
            yield path.read_text(encoding="utf-8")


def defaults() -> str:
    """Return defaults/main.yml of the role common."""
    lines = ["---", "# Written by tests/support/variables.py from meta/variables.yml."]
    given = {name: about["default"] for name, about in variables().items()}
    return "\n".join(lines) + "\n" + dumped(given, 10**6)


def entries(role: str) -> list[str]:
    """Return the entries of a role, which are its task files but those whose names begin with an underscore."""
    names = {path.stem for path in (ROOT / "roles" / role / "tasks").glob("[!_]*.yml")}
    return [*WHOLE, *sorted(names - {*WHOLE})]


def contents_of_entry(role: str, entry: str) -> list[str]:
    """Return the contents of the files of a role that an entry reaches, and of the role's variables that they name."""
    if entry in WHOLE:
        return list(contents_of(role))
    place = ROOT / "roles" / role
    paths = [*place.glob("tasks/*"), *place.glob("templates/*")]
    files = {path.name: path.read_text(encoding="utf-8") for path in paths}
    inner = place / "vars/main.yml"
    made = yaml.safe_load(inner.read_text(encoding="utf-8")) if inner.exists() else {}
    found: dict[str, str] = {}
    ahead = [f"{entry}.yml"]
    while ahead:
        name = ahead.pop()
        content = files.get(name, str(made.get(name, "")))
        if content and name not in found:
            found[name] = content
            ahead += re.findall(r"[\w.-]+\.(?:yml|j2)|\b\w+", content)
    return list(found.values())


def argument_spec(role: str) -> str:
    """Return meta/argument_specs.yml of a role: what is written there by hand, and the variables that entries read."""
    path = ROOT / f"roles/{role}/meta/argument_specs.yml"
    by_hand = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
    specs = {entry: _spec_of(role, entry, by_hand[entry]) for entry in entries(role) if entry != "apply"}
    main = specs.pop("main")
    apply = {
        "short_description": f"{main['short_description']}; all variables are checked already",
        "description": [CHECKED],
        "options": main["options"],
    }
    specs = {"main": main, "apply": apply, **specs}
    return SPEC_HEADER + dumped({"argument_specs": specs}, WIDTH)


def _spec_of(role: str, entry: str, by_hand: Mapping[str, Any]) -> Mapping[str, Any]:
    own = {name: option for name, option in by_hand.get("options", {}).items() if name not in variables()}
    read = {name: _option(variables()[name]) for name in read_by(contents_of_entry(role, entry))}
    described = {key: by_hand[key] for key in ("short_description", "description")}
    return {**described, "options": {**own, **read}}


def _option(about: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: copy.copy(about[key]) for key in ARGUMENT_KEYS if key in about}


class Dumper(yaml.SafeDumper):
    """Writes items of lists as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def generate_anchor(self, _node: yaml.Node) -> str:
        """Return the name of what is written once for two places, which only the entries main and apply have."""
        return "options"


def dumped(content: Mapping[str, Any], width: int) -> str:
    """Return data as YAML, in the order in which it is given."""
    text: str = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width)
    return text


def page() -> str:
    """Return docs/variables.md."""
    parts = [INTRODUCTION]
    for section in sections():
        parts.append(f"\n## {section['section']}\n\n")
        if "introduction" in section:
            parts.append("\n".join(textwrap.wrap(markdown(section["introduction"]), 120)) + "\n\n")
        parts.append("| Variable | Default | |\n| --- | --- | --- |\n")
        for name, about in section["variables"].items():
            parts.append(f"| `{name}` | {default_of(about)} | {markdown(about['description'])} |\n")
    return "".join(parts)


INTRODUCTION = """\
# Every variable of an inventory

<!-- Written by tests/support/variables.py from roles/common/meta/variables.yml. -->

All are optional except one of the three sources and `docker_vps_server_url`. A variable that begins with `docker_vps_`
and is not in this list is refused as a misspelling. A string that YAML reads as something else (`1.10`, `0755`,
`22:30`, `NO`, a date) is refused until it is in quotes.
"""


def default_of(about: Mapping[str, Any]) -> str:
    """Return the default of a variable as Markdown."""
    value = about["default"]
    if value == "" or "{{ __" in str(value):
        return ""
    text = re.sub(
        r"{{ docker_vps_([a-z_]+) }}",
        r"<\1>",
        str(value)
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=10**6).partition("\n")[0],
    )
    return f"`{text}`"


def markdown(text: str) -> str:
    """Return a description with Ansible's markup as that of Markdown."""
    text = re.sub(r"\bL\(([^,]*),([^)]*)\)", r"[\1](\2)", text)
    return re.sub(r"\b[CEV]\(((?:[^)\\]|\\.)*)\)", lambda marked: f"`{marked[1]}`".replace("\\", ""), text)


def written() -> Mapping[Path, str]:
    """Return the contents of all files that are written from the variables, by file."""
    specs = {ROOT / f"roles/{role}/meta/argument_specs.yml": argument_spec(role) for role in roles()}
    return {COMMON / "defaults/main.yml": defaults(), ROOT / "docs/variables.md": page(), **specs}


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text, encoding="utf-8")
