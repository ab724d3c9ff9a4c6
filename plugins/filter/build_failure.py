# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter build_failure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Callable, Mapping

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.buildlog import failure, values_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.secrets import Mask
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded

DOCUMENTATION = r"""
name: build_failure
short_description: Why an image build failed
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Finds the failing step, and its cause if it is a known one, in BuildKit's log.
options:
  _input:
    description: The log, as C(docker buildx build --progress plain) writes it.
    type: str
    required: true
  lines:
    description: How many of the failing step's last lines to return.
    type: int
    default: 30
  secrets:
    description:
      - Build secrets by their ids, as strings or mappings with C(value). What is returned has their ids instead of
        their values.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say why
  ansible.builtin.fail:
    msg: "{{ (built.stderr | ptnextjs.docker_vps.build_failure).sentence }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary of C(sentence), the reason, C(lines), the last lines of the failing step, and C(text), these lines as
      one string.
  type: dict
"""


def build_failure(log: str, lines: int = 30, secrets: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return sentence and lines of a failed build."""
    found = failure(Mask(values_of(secrets))(log), lines)
    return {"sentence": worded(found.sentence), "lines": list(found.lines), "text": "\n".join(found.lines)}


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"build_failure": build_failure}
