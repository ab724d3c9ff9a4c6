# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps, in the words of the host's command."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.wording import WORDS, worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import remedies
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import REMEDIES


@pytest.mark.parametrize(
    ("remedy", "phrase"),
    [
        (remedies.setting("backup_directory"), "directory in the configuration"),
        (remedies.setting("backup_offsite_prune", "false"), "offsite.prune: false in the configuration"),
        (remedies.setting("restore_force", "true"), "docker_vps_restore_force: true in the inventory"),
        (remedies.setting("restore_undo", "true"), "docker-vps restore --undo"),
        (remedies.once("restore_stop_app", "true"), "--stop-app"),
        (remedies.once("backup_accept_loss", "true"), "--accept-loss"),
        (remedies.once("lock_force", "true"), "-e docker_vps_lock_force=true of the playbook"),
        (remedies.play("restore"), "docker-vps restore"),
        (remedies.play("backup_list"), "docker-vps list"),
        (remedies.play("deploy"), "the playbook deploy.yml"),
        (remedies.again(), "run the same command again"),
        (remedies.as_root(), "as root"),
        (remedies.is_it_root(), "Does it have to run as root?"),
    ],
)
def test_the_words(remedy: str, phrase: str) -> None:
    assert worded([f"Fix it: {remedy}"]) == [f"Fix it: {phrase}"]


@pytest.mark.parametrize(("kind", "given"), REMEDIES)
def test_it_has_words_for_every_remedy(kind: str, given: tuple[str, ...]) -> None:
    assert WORDS[kind](*given)
