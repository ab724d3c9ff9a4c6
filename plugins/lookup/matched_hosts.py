# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup matched_hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: matched_hosts
short_description: A host pattern that matches at least one host
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Returns the pattern, for C(hosts) of a play, when a host of the inventory matches it, and fails otherwise. Ansible
    itself only warns and ends with 0, so a job would succeed without having done anything.
  - Does not look with C(--syntax-check), which needs no inventory.
options:
  _terms:
    description: The pattern.
    required: true
"""

EXAMPLES = r"""
- name: Deploy, or fail when no host matches
  hosts: "{{ lookup('ptnextjs.docker_vps.matched_hosts', docker_vps_hosts | default('docker_vps')) }}"
  tasks: []
"""

RETURN = r"""
_raw:
  description: The pattern.
  type: list
  elements: str
"""

from typing import Any, Mapping, Optional, Sequence

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase, inventory_hostnames


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION."""

    def run(self, terms: Sequence[str], variables: Optional[Mapping[str, Any]] = None, **kwargs: Any) -> Sequence[str]:
        """Return the pattern.

        Raises:
            AnsibleLookupError: no host matches.
        """
        if context.CLIARGS.get("syntax"):
            return terms
        groups = (variables or {}).get("groups", {})
        lookup = inventory_hostnames.LookupModule(loader=self._loader, templar=self._templar)
        inventory = {"groups": groups}
        hosts = set(lookup.run(list(terms), variables=inventory))
        limit = str(context.CLIARGS.get("subset") or "")
        if hosts and limit and not limit.startswith("@") and not hosts & set(lookup.run([limit], variables=inventory)):
            raise AnsibleLookupError(
                f"No host of {', '.join(terms)} is in --limit {limit}, so nothing was done. Is docker_vps_hosts right?"
            )
        if not hosts:
            named = sorted(set(groups) - {"all", "ungrouped"})
            known = f"the groups {', '.join(named)}" if named else "no group"
            raise AnsibleLookupError(
                f"No host matches {', '.join(terms)}, so nothing was done. The inventory has {known}. "
                "Was it given with -i, and is docker_vps_hosts right?"
            )
        return terms
