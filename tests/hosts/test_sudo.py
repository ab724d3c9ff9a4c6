# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is reached over SSH by a user who becomes root with sudo, as the shipped ansible.cfg does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bare_host import PYTHON, Host, MakeHost
from lab import ROOT
from servers import keys

SITE = {
    "ANSIBLE_CONFIG": str(ROOT / "examples/site/ansible.cfg"),
    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
}
TASKS = [
    {"ptnextjs.docker_vps.deploy_lock": {"path": "/opt/shop/deploy.lock"}},
    {"ptnextjs.docker_vps.deploy_lock": {"path": "/opt/shop/deploy.lock", "state": "released"}},
]


@pytest.fixture(scope="module")
def host(make_host: MakeHost, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with a user who may become root without a password."""
    host = make_host("trixie")
    place = tmp_path_factory.mktemp("keys")
    keys(place, "user")
    host.sh("apt-get install -q -y --no-install-recommends sudo && useradd --create-home --shell /bin/bash deployer")
    host.write("/etc/sudoers.d/deployer", "deployer ALL=(ALL) NOPASSWD: ALL\n")
    host.write("/home/deployer/.ssh/authorized_keys", (place / "user.pub").read_text())
    host.sh("ssh-keygen -A && systemctl start ssh.service && chown -R deployer /home/deployer/.ssh")
    host.variables.update(reached(host, place / "user"))
    return host


def reached(host: Host, key: Path) -> dict[str, Any]:
    """Return how Ansible reaches the host."""
    return {
        "ansible_connection": "ssh",
        "ansible_host": host.address(),
        "ansible_user": "deployer",
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-F none -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={key}.known",
        "ansible_python_interpreter": PYTHON,
    }


@pytest.mark.parametrize("line", ["", "Defaults !visiblepw", "Defaults requiretty\nDefaults:deployer !requiretty"])
def test_a_module_runs_through_the_open_connection(host: Host, line: str) -> None:
    host.write("/etc/sudoers.d/line", f"{line}\n")
    host.play(TASKS, environment=SITE).succeeded()


def test_a_sudo_that_wants_a_terminal_is_told_and_works_without_pipelining(host: Host) -> None:
    host.write("/etc/sudoers.d/line", "Defaults requiretty\n")
    assert "Defaults:USER !requiretty" in host.play(TASKS, environment=SITE).failed().text
    host.play(TASKS, environment={**SITE, "ANSIBLE_PIPELINING": "false"}).succeeded()
