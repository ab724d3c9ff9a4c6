# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps, in the words of plays."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import remedies
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import WORDS, worded
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import REMEDIES
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT


@pytest.mark.parametrize(
    ("remedy", "phrase"),
    [
        (remedies.setting("backup_directory"), "docker_vps_backup_directory"),
        (remedies.setting("restore_force", "true"), "docker_vps_restore_force: true"),
        (remedies.once("restore_force", "true"), "-e docker_vps_restore_force=true"),
        (remedies.play("restore"), "restore.yml"),
        (remedies.play("prune"), "docker-vps prune"),
        (remedies.again(), "run the same play again"),
        (remedies.as_root(), "with become: true"),
        (remedies.is_it_root(), "Does the play need become: true?"),
    ],
)
def test_the_words(remedy: str, phrase: str) -> None:
    assert worded([f"Fix it: {remedy}"]) == [f"Fix it: {phrase}"]


def test_it_knows_every_kind() -> None:
    assert {kind for kind, _given in REMEDIES} <= set(WORDS)


def test_the_playbooks_and_the_variables_exist() -> None:
    known = (ROOT / "docs/variables.md").read_text(encoding="utf-8")
    given = {(kind, name) for kind, (name, *_value) in filter(lambda one: one[1], REMEDIES)}
    unknown = {name for kind, name in given if kind != "play" and f"`docker_vps_{name}`" not in known}
    missing = {name for kind, name in given if kind == "play" and not (ROOT / f"playbooks/{name}.yml").exists()}
    assert (unknown, missing) == (set(), {"prune", "recover", "verify"})
