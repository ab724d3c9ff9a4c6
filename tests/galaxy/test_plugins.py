# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugins of the installed collection: Ansible explains each of them, with examples and what it returns."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ptnextjs.docker_vps.tests.galaxy.conftest import Installed
from tarball import ROOT

KINDS = {"module": "modules", "lookup": "lookup", "filter": "filter"}
"""Where the plugins of each kind are."""


@pytest.mark.parametrize(("kind", "directory"), KINDS.items())
def test_ansible_explains_each_plugin(kind: str, directory: str, installed: Installed) -> None:
    paths = (ROOT / "plugins" / directory).glob("[!_]*.py")
    names = sorted(f"ptnextjs.docker_vps.{path.stem}" for path in paths)
    explained = json.loads(installed.run("ansible-doc", "--type", kind, "--json", *names))
    assert sorted(explained) == names
    lacking = [name for name, about in explained.items() if not (about["examples"] and about["return"])]
    assert lacking == []
    printed = installed.run("ansible-doc", "--type", kind, *names)
    assert [name for name in names if name not in printed] == []
    assert (
        sorted(json.loads(installed.run("ansible-doc", "--type", kind, "--list", "--json", "ptnextjs.docker_vps")))
        == names
    )


def test_there_are_no_plugins_of_another_kind() -> None:
    """Actions are documented by their modules; a new kind belongs into KINDS."""
    kinds = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert kinds == {*KINDS.values(), "action", "doc_fragments", "module_utils"}
    actions = {path.name for path in (ROOT / "plugins/action").glob("*.py")}
    assert actions <= {path.name for path in (ROOT / "plugins/modules").glob("*.py")}
