# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of the site, built by ansible-builder where no image registry and no Galaxy answers.

Debian takes the place of CentOS as its base, with the names that packages have there. Our collection comes from its
tarball, and those that it depends on are packed from where they are installed. All else is as
examples/site/awx/execution-environment.yml says.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from jobs import CACHE
from lab import CA_BUNDLE, ROOT, SUPPORT, docker, run
from tarball import build

DEFINITION = ROOT / "examples/site/awx/execution-environment.yml"
COMMUNITY = ROOT / ".ansible/collections/ansible_collections/community"
IMAGE, BASE = "it-awx-environment:1", "it-awx-debian:1"
FROM_DEBIAN = """
FROM docker-vps/debian:trixie
RUN apt-get update -q && apt-get install -q -y --no-install-recommends python3 python3-pip
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_BREAK_SYSTEM_PACKAGES=1 DEBIAN_FRONTEND=noninteractive
"""


def build_image() -> str:
    """Build the image, of which only what has changed is built anew, and return its name."""
    run(str(SUPPORT / "instance_image.sh"), "trixie")  # which makes Debian's
    with tempfile.TemporaryDirectory(prefix="it-awx-") as scratch:
        place = Path(scratch)
        (place / "base").mkdir()
        shutil.copy(CA_BUNDLE, place / "base/ca-certificates.crt")
        (place / "base/Dockerfile").write_text(FROM_DEBIAN)
        docker("build", "--quiet", "--tag", BASE, str(place / "base"))
        tarballs = [build(place).name, *(_packed(path, place) for path in sorted(COMMUNITY.iterdir()))]
        definition = on_debian(yaml.safe_load(DEFINITION.read_text(encoding="utf-8")), tarballs)
        (place / DEFINITION.name).write_text(yaml.safe_dump(definition))
        command = ("build", "--file", DEFINITION.name, "--container-runtime", "docker", "--tag", IMAGE)
        run(str(CACHE / "venv/bin/ansible-builder"), *command, cwd=place)
    return IMAGE


def remove_image() -> None:
    """Remove the image, and what it was built on."""
    docker("rmi", IMAGE, BASE, check=False)


def on_debian(definition: dict[str, Any], tarballs: list[str]) -> dict[str, Any]:
    """Return a definition with another base, the names of its packages, and all collections from tarballs."""
    definition["images"]["base_image"]["name"] = BASE
    definition["options"] = {"package_manager_path": "/usr/bin/apt-get", "skip_pip_install": True}
    definition["build_arg_defaults"] = {"ANSIBLE_GALAXY_CLI_COLLECTION_OPTS": "--offline"}
    dependencies = definition["dependencies"]
    dependencies["python_interpreter"] = {"package_system": "python3", "python_path": "/usr/bin/python3"}
    names = {"git-core": "git", "openssh-clients": "openssh-client"}
    dependencies["system"] = [names[package] for package in dependencies["system"]]
    dependencies["galaxy"]["collections"] = [{"name": f"/build/galaxy/{name}", "type": "file"} for name in tarballs]
    definition["additional_build_files"] = [{"src": name, "dest": "galaxy"} for name in tarballs]
    return definition


def _packed(installed: Path, place: Path) -> str:
    """Pack an installed collection as the tarball that it came from, and return the tarball's name."""
    copy = shutil.copytree(installed, place / "sources" / installed.name)
    about = json.loads((copy / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]
    (copy / "galaxy.yml").write_text(yaml.safe_dump({key: value for key, value in about.items() if value}))
    environment = {**os.environ, "PATH": f"{CACHE}/venv/bin:{os.environ['PATH']}"}
    run("ansible-galaxy", "collection", "build", "--output-path", str(place), str(copy), env=environment)
    return f"{about['namespace']}-{about['name']}-{about['version']}.tar.gz"
