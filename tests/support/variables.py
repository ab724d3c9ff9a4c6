# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what is made of roles/common/meta/variables.yml, in which each variable of an inventory stands once.

That is defaults/main.yml of the role common, the argument specs of the other roles, and docs/variables.md. Run it after
a change there, or of what a role reads: ``python tests/support/variables.py``. A unit test fails when it was forgotten.
"""

from __future__ import annotations

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
MARK = "      # What the role reads of roles/common, written by tests/support/variables.py.\n"


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


def argument_spec(role: str) -> str:
    """Return meta/argument_specs.yml of a role: its own part, and the variables that it reads."""
    own = (ROOT / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8").partition(MARK)[0]
    known = variables()
    read = {
        name: {key: known[name][key] for key in ARGUMENT_KEYS if key in known[name]}
        for name in read_by(contents_of(role))
    }
    written = dumped(read, WIDTH)
    return own + MARK + textwrap.indent(written, " " * 6)


class Dumper(yaml.SafeDumper):
    """Writes items of lists as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def dumped(content: Mapping[str, Any], width: int) -> str:
    """Return YAML as yamllint wants it."""
    text: str = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width)
    return text


def page() -> str:
    """Return docs/variables.md."""
    parts = [INTRODUCTION]
    for section in sections():
        parts.append(f"\n## {section['section']}\n\n")
        if "introduction" in section:
            parts.append("\n".join(textwrap.wrap(_markdown(section["introduction"]), 120)) + "\n\n")
        parts.append("| Variable | Default | |\n| --- | --- | --- |\n")
        for name, about in section["variables"].items():
            parts.append(f"| `{name}` | {_default(about)} | {_markdown(about['description'])} |\n")
    return "".join(parts)


INTRODUCTION = """\
# Every variable of an inventory

<!-- Written by tests/support/variables.py from roles/common/meta/variables.yml. -->

All are optional except one of the three sources and `docker_vps_server_url`. A variable that begins with `docker_vps_`
and is not in this list is refused as a misspelling. A string that YAML reads as something else (`1.10`, `0755`,
`22:30`, `NO`, a date) is refused until it is in quotes.
"""


def _default(about: Mapping[str, Any]) -> str:
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


def _markdown(text: str) -> str:
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
