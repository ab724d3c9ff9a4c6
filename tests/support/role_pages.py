# SPDX-License-Identifier: GPL-3.0-or-later
"""Write README.md and meta/main.yml of each role from its argument spec and from roles/common/meta/variables.yml.

Run it after variables.py: ``python tests/support/role_pages.py``. A unit test fails when it was forgotten.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Iterator, Mapping

import yaml

sys.path.insert(0, str(Path(__file__).parent))
import variables

ROOT = variables.ROOT
COLLECTION = "ptnextjs.docker_vps"
COMMON = "The variables of an inventory with their defaults, for all other roles"
SAMPLES = {
    "docker_vps_git_url": "https://git.example.com/acme/site.git",
    "docker_vps_server_url": "https://www.example.com",
    "stack_image": "ptnextjs-app:1.4.2",
}
"""What the play of a page gives where a role cannot do without."""


def spec_of(role: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of a role with their descriptions and options; the role common has none."""
    if role == "common":
        return {}
    text = (ROOT / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8")
    spec: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)["argument_specs"]
    return spec


def title(role: str) -> str:
    """Return in a line what a role is for."""
    return str(spec_of(role)["main"]["short_description"]) if role != "common" else COMMON


def metadata(role: str) -> str:
    """Return meta/main.yml of a role."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    content = {
        "galaxy_info": {
            "author": galaxy["authors"][0],
            "description": title(role),
            "license": "GPL-3.0-or-later",
            "min_ansible_version": re.sub(r"[^\d.]", "", runtime["requires_ansible"]).removesuffix(".0"),
            "galaxy_tags": galaxy["tags"],
        },
        "dependencies": [] if role == "common" else [f"{COLLECTION}.common"],
    }
    header = "---\n# Written by tests/support/role_pages.py from the argument spec, galaxy.yml and meta/runtime.yml.\n"
    return header + variables.dumped(content, variables.WIDTH)


def page(role: str) -> str:
    """Return README.md of a role."""
    return "\n".join(_page_of_common() if role == "common" else _page(role)) + "\n"


def _head(role: str) -> Iterator[str]:
    yield f"# {COLLECTION}.{role}"
    yield ""
    yield "<!-- Written by tests/support/role_pages.py from the argument spec and roles/common/meta/variables.yml. -->"
    yield ""
    yield f"{title(role)}."
    yield ""


def _page_of_common() -> Iterator[str]:
    yield from _head("common")
    yield "All other roles depend on it, and it does nothing by itself: no play has to name it. Its variables are those"
    yield "of an inventory; [docs/variables.md](../../docs/variables.md) lists them."


def _page(role: str) -> Iterator[str]:
    spec = spec_of(role)
    options = spec["main"]["options"]
    own = {name: option for name, option in options.items() if name not in variables.variables()}
    yield from _head(role)
    for sentence in spec["main"]["description"]:
        yield f"- {_markdown(sentence)}"
    yield from ["", "## Use it", "", "```yaml", *_play(role, options), "```", "", "## Entry points", ""]
    yield from ["| `tasks_from` | |", "| --- | --- |"]
    yield from (f"| `{entry}` | {_markdown(about['short_description'])} |" for entry, about in spec.items())
    yield from ["", f"`ansible-doc -t role {COLLECTION}.{role}` says more of each, and which variables it reads.", ""]
    if own:
        yield from ["## Variables of its own", "", "| Variable | Type | |", "| --- | --- | --- |"]
        for name, about in own.items():
            yield f"| `{name}` | {about['type']} | {_markdown(about['description'])} |"
        yield ""
    yield from ["## Variables of an inventory", "", "| Variable | Default | |", "| --- | --- | --- |"]
    for section in variables.sections():
        anchor = re.sub(r"[^a-z0-9 -]", "", section["section"].lower()).replace(" ", "-")
        for name, about in section["variables"].items():
            if name in options:
                link = f"[`{name}`](../../docs/variables.md#{anchor})"
                yield f"| {link} | {variables.default_of(about)} | {_first_sentence(about['description'])} |"


def _play(role: str, options: Mapping[str, Any]) -> Iterator[str]:
    given = {name: value for name, value in SAMPLES.items() if name in options and _wanted(name, role)}
    yield f"- name: {title(role)}"
    yield "  hosts: docker_vps"
    yield "  gather_facts: false"
    yield "  become: true"
    yield "  tasks:"
    yield f"    - name: {title(role)}"
    yield "      ansible.builtin.import_role:"
    yield f"        name: {COLLECTION}.{role}"
    if given:
        yield "      vars:"
        yield from (f"        {name}: {value}" for name, value in given.items())


def _wanted(name: str, role: str) -> bool:
    """Return whether a role wants a value of a variable."""
    about = variables.variables().get(name, {})
    section = next((one for one in variables.sections() if name in one.get("one_of", ())), about)
    return role in section.get("required_by", [role])


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", _markdown(text), maxsplit=1)[0]


def _markdown(text: str) -> str:
    """Return a description with Ansible's markup as that of Markdown."""
    return re.sub(r"\bM\(([^)]*)\)", r"`\1`", variables.markdown(text))


def written() -> Mapping[Path, str]:
    """Return the contents of all files that are written, by file."""
    roles = ["common", *variables.roles()]
    pages = {ROOT / f"roles/{role}/README.md": page(role) for role in roles}
    return {**pages, **{ROOT / f"roles/{role}/meta/main.yml": metadata(role) for role in roles}}


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text, encoding="utf-8")
