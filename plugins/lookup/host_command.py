# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup host_command."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_command
short_description: Build the command docker-vps for a host
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Packs what this collection does for backups into one executable file on the controller. On the host it needs Python
    and python3-docker, but no Ansible.
  - Ansible removes the file when it ends. The same version of the collection always builds the same file, byte for
    byte.
options:
  _terms:
    description: The path of the Python on the host that runs the command.
    required: true
"""

EXAMPLES = r"""
- name: Install the command
  ansible.builtin.copy:
    src: "{{ lookup('ptnextjs.docker_vps.host_command', '/usr/bin/python3') }}"
    dest: /opt/ptnextjs/bin/docker-vps
    mode: "0755"
"""

RETURN = r"""
_raw:
  description: The path of the file on the controller.
  type: list
  elements: path
"""

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any, Iterator, Optional

from ansible import constants
from ansible.plugins.lookup import LookupBase

UTILS = Path(__file__).parents[1] / "module_utils"
PACKAGE = "docker_vps"
LAYERS = ("_core", "_engine", "_store", "_backup", "_release", "_command")  # without _module, which is Ansible's
MAIN = f"""\
from {PACKAGE}._command.cli import run_as_command

if __name__ == "__main__":
    run_as_command()
"""


def packed(python: str, utils: Path = UTILS) -> bytes:
    """Return an executable zip archive (see Python's zipapp) of the layers below ``utils``.

    Nothing in it depends on when or where it is made: names are sorted, times are fixed, and nothing is compressed,
    which every zlib does in its own way.
    """
    content = io.BytesIO()
    content.write(f"#!{python}\n".encode())
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(_files(utils)):
            archive.writestr(zipfile.ZipInfo(name), source)
    return content.getvalue()


def _files(utils: Path) -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", MAIN.encode()
    yield f"{PACKAGE}/__init__.py", b""
    for layer in LAYERS:
        yield f"{PACKAGE}/{layer}/__init__.py", b""
        for path in (utils / layer).glob("*.py"):
            yield f"{PACKAGE}/{layer}/{path.name}", path.read_bytes()


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        """Return one path per Python."""
        return [_kept(packed(python)) for python in terms]


def _kept(content: bytes) -> str:
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, f"docker-vps-{hashlib.sha256(content).hexdigest()}")
    # Under a name of its own first: hosts are worked on side by side.
    partial = f"{path}.{os.getpid()}"
    Path(partial).write_bytes(content)
    os.replace(partial, path)
    return path
