#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a directory to a version of a git repository."""

from __future__ import annotations

DOCUMENTATION = r"""
module: git_checkout
short_description: Check out a version of a git repository
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Fetches a repository on the host and checks out a branch, tag or commit into a directory, with its submodules and
    Git LFS files.
  - Follows the remote even when a tag or a branch was moved there, and finishes what a killed run left.
  - Leaves local changes alone, and fails when there are some.
  - Keys and the token are never written to a file on the host, not even to C(.git/config), nor passed as arguments of a
    command.
  - In check mode the remote is asked which commit the version is, and nothing is fetched.
options:
  repository:
    description: The address of the repository, without a password.
    type: str
    required: true
  version:
    description: A branch, a tag, a commit, or the full name of another reference, such as V(refs/pull/7/head).
    type: str
    required: true
  path:
    description: The directory. It is created when missing; otherwise it must be empty or a checkout of O(repository).
    type: path
    required: true
  key:
    description: The content of a private SSH key without a passphrase, such as a deploy key.
    type: str
    default: ""
  key_file:
    description:
      - The path of a private key on the host, used when O(key) is empty. Without either, SSH uses the keys of the user
        on the host.
    type: str
    default: ""
  submodule_keys:
    description:
      - Contents of private keys for submodules whose repositories need a key of their own, by the paths of the
        repositories on the server, such as V(acme/ui).
    type: dict
    default: {}
  known_hosts:
    description:
      - The keys of the SSH servers, as lines of C(known_hosts); others are refused.
      - With V(accept-new), the key of a server met for the first time is accepted and kept, and a different one is
        refused later. In check mode it is not kept.
      - When empty, the server must be known to the user on the host.
    type: str
    default: accept-new
  token:
    description: A token for HTTPS. It is sent to the repository's server only.
    type: str
    default: ""
  dockerfile_path:
    description:
      - A file that the version must have, such as V(docker/Dockerfile.prod). In check mode a version that is not
        fetched yet is not checked.
    type: str
    default: ""
  context_path:
    description: A directory that the version must have.
    type: str
    default: ""
  timeout:
    description: Seconds that each git command may take.
    type: int
    default: 1800
  upload_max:
    description:
      - The bytes of the largest request that the reverse proxy lets through. With it, RV(cautions) also says where the
        limits of Next.js and Payload in the sources differ from that.
    type: int
    default: 0
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
attributes:
  diff_mode:
    details: Shows the commits before and after.
requirements:
  - git 2.25 or newer on the host, and git-lfs for repositories that use it
"""

EXAMPLES = r"""
- name: Check a private repository out
  ptnextjs.docker_vps.git_checkout:
    repository: git@git.example.com:acme/site.git
    version: main
    path: /opt/ptnextjs/source
    key: "{{ vault_deploy_key }}"
    known_hosts: git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample
"""

RETURN = r"""
before:
  description: The commit that was there, empty when there was none.
  returned: success
  type: str
  sample: 5f0c2e9d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d
after:
  description: The commit that is there now, or would be in check mode.
  returned: success
  type: str
  sample: 0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c
files:
  description: The names at the top level of that commit; empty in check mode when it is not fetched yet.
  returned: success
  type: list
  elements: str
  sample: [package.json, pnpm-lock.yaml, src]
cautions:
  description:
    - What the configuration of the application in that commit says that is known to end badly, in sentences. It is
      read, and never run.
  returned: success
  type: list
  elements: str
  sample: []
dockerfile:
  description: The content of the Dockerfile of that commit, empty when it has none or is not fetched yet.
  returned: success
  type: str
  sample: ""
package_manager:
  description:
    - What installs the dependencies of that commit, by C(packageManager) in its C(package.json), or its only lockfile.
      In check mode it is npm for a commit that is not fetched yet.
  returned: success
  type: dict
  sample: {name: pnpm, package: pnpm@10.4.1, lockfile: pnpm-lock.yaml}
  contains:
    name:
      description: One of V(npm), V(pnpm), V(yarn) and V(bun).
      type: str
      sample: pnpm
    package:
      description: What npm gets it from; empty for the npm that is there, and when RV(package_manager.program) is it.
      type: str
      sample: pnpm@10.4.1
    program:
      description: The file of the sources that C(yarnPath) names, when nothing else says which version it is.
      type: str
      sample: ""
    integrity:
      description: The hash that C(packageManager) wants, empty when it wants none.
      type: str
      sample: sha512.0a1b2c3d
    lockfile:
      description: The lockfile that counts.
      type: str
      sample: pnpm-lock.yaml
    cautions:
      description: What is unusual about it, in sentences.
      type: list
      elements: str
      sample: []
    problem:
      description: Why the dependencies cannot be installed, in sentences; empty when they can.
      type: str
      sample: ""
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import validators
from ..module_utils._core.errors import InvalidInput
from ..module_utils._engine.git import Access
from ..module_utils._module.module_exit import finish
from ..module_utils._release.checkout import Params, run

ACCESS = ("key", "key_file", "submodule_keys", "known_hosts", "token")
PARTS = ("dockerfile_path", "context_path")
READ = (*PARTS, "upload_max")


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a key of a submodule is not a string.
    """
    wrong = validators.not_strings("submodule_keys", given["submodule_keys"])
    if wrong:
        raise InvalidInput(" ".join(wrong))
    access, parts = ({name: given[name] for name in names} for names in (ACCESS, READ))
    return Params(given["repository"], given["version"], given["path"], Access(**access), given["timeout"], **parts)


def main() -> None:
    """Run as an Ansible module."""
    string = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "repository": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "key": {**string, "no_log": True},
            "key_file": {**string, "no_log": False},
            "submodule_keys": {"type": "dict", "default": {}, "no_log": True},
            "known_hosts": {"type": "str", "default": "accept-new"},
            "token": {**string, "no_log": True},
            **dict.fromkeys(PARTS, string),
            "timeout": {"type": "int", "default": 1800},
            "upload_max": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), module.check_mode))


if __name__ == "__main__":
    main()
