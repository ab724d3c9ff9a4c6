# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup source_digest, with Ansible's own handling of its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible_collections.ptnextjs.docker_vps.plugins.lookup.source_digest import DOCUMENTATION, LookupModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.sources import digest

NAME = "ptnextjs.docker_vps.source_digest"


@pytest.fixture
def lookup() -> Any:
    """The plugin as Ansible's loader would hand it out."""
    options = yaml.safe_load(DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("lookup", NAME, options)
    plugin = LookupModule()
    plugin._load_name = plugin.ansible_name = NAME
    return plugin


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "node_modules").mkdir()
    for name in ("package.json", "page.tsx", "node_modules/index.js"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_one_digest_per_directory(lookup: Any, root: Path) -> None:
    everything = digest(str(root), ["node_modules/index.js", "package.json", "page.tsx"])
    assert lookup.run([str(root)], {}) == [everything]
    assert lookup.run([str(root / "node_modules"), str(root)], {}) == [
        digest(str(root / "node_modules"), ["index.js"]),
        everything,
    ]


def test_what_is_ignored_does_not_count(lookup: Any, root: Path) -> None:
    assert lookup.run([str(root)], {}, ignore="**/node_modules\n") == [digest(str(root), ["package.json", "page.tsx"])]


def test_no_sources_are_an_error_in_a_sentence(lookup: Any, root: Path) -> None:
    with pytest.raises(AnsibleError, match=f"The sources {root}/none are not a directory on the controller"):
        lookup.run([str(root / "none")], {})
