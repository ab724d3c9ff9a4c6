# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup operator."""

from __future__ import annotations

DOCUMENTATION = r"""
name: operator
short_description: Who runs the play, as in me@laptop
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Returns the user and the host name of the controller, for locks, releases and notifications. In AWX, where these
    identify nobody, returns the user who started the job, and the number of the job.
options:
  _terms:
    description: Not used.
    required: false
"""

EXAMPLES = r"""
- name: Show who runs the play
  ansible.builtin.debug:
    msg: "{{ lookup('ptnextjs.docker_vps.operator') }}"
"""

RETURN = r"""
_raw:
  description: Who runs the play, such as V(me@laptop), or V(jane@awx job 4711).
  type: list
  elements: str
"""

from typing import Any, Mapping, Optional, Sequence

from ansible.plugins.lookup import LookupBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.operator import operator


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION."""

    def run(self, terms: Sequence[str], variables: Optional[Mapping[str, Any]] = None, **kwargs: Any) -> Sequence[str]:
        """Return it as a list of one."""
        return [operator(variables or {})]
