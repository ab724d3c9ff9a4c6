# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup source_digest."""

from __future__ import annotations

DOCUMENTATION = r"""
name: source_digest
short_description: The digest of an application's sources on the controller
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Returns the SHA-256 over the files that an image build would see, by the sources' C(.dockerignore), or
    C(Dockerfile.dockerignore) beside a Dockerfile of their own, as BuildKit reads it.
options:
  _terms:
    description: The directory of the sources.
    required: true
  ignore:
    description: The text of the C(.dockerignore) to use when the sources have neither such a file nor a Dockerfile.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the digest
  ansible.builtin.debug:
    msg: "{{ lookup('ptnextjs.docker_vps.source_digest', '/home/me/site') }}"
"""

RETURN = r"""
_raw:
  description: The digest, 64 hexadecimal digits.
  type: list
  elements: str
"""

from typing import Any, Optional

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import sources
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        """Return one digest per directory."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [sources.digest(root, sources.chosen(root, self.get_option("ignore"))) for root in terms]
        except DockerVpsError as error:
            raise AnsibleError(error.message) from error
