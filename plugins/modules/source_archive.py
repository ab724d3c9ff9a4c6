#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pack the sources of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_archive
short_description: Pack the sources of an application for a build elsewhere
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes the files that an image build would see, by the sources' C(.dockerignore), or C(Dockerfile.dockerignore)
    beside a Dockerfile of their own, as BuildKit reads it, into a tar archive.
  - "Meant to run on the controller (C(delegate_to: localhost))."
options:
  path:
    description: The directory of the sources.
    type: path
    required: true
  dest:
    description: The archive to write.
    type: path
    required: true
  ignore:
    description: The text of the C(.dockerignore) to use when the sources have neither such a file nor a Dockerfile.
    type: str
    default: ""
attributes:
  check_mode:
    description: Whether it says in check mode what it would do, and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Pack the sources
  ptnextjs.docker_vps.source_archive:
    path: /home/me/site
    dest: /tmp/site.tar.gz
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: How many files were packed.
  returned: success
  type: int
  sample: 212
"""

from typing import Any, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import sources
from ..module_utils._module.glue import finish


def run(path: str, dest: str, ignore: str, check_mode: bool) -> dict[str, Any]:
    """Write the archive and return the result.

    Raises:
        InvalidInput: there are no sources.
    """
    files: Sequence[str] = sources.chosen(path, ignore)
    if not check_mode:
        sources.archive(path, files, dest)
    return {"changed": True, "files": len(files)}


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "ignore": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    p = module.params
    finish(module, lambda: run(p["path"], p["dest"], p["ignore"], module.check_mode))


if __name__ == "__main__":
    main()
