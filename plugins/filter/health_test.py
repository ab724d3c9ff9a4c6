# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter health_test."""

from __future__ import annotations

from typing import Any, Callable, Sequence, Union

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import health_check

DOCUMENTATION = r"""
name: health_test
short_description: The test of a container's health check, for Compose
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Makes the value of C(test) below C(healthcheck) in a Compose file.
  - By default that is a probe, which requests an address with C(wget), C(curl), C(node), C(python3) or C(bash),
    whichever the image has, and needs a shell there.
options:
  _input:
    description:
      - A command that is run instead of the probe, as a list, or as a string for the shell of the container.
      - When empty, O(kind) counts.
    type: raw
    required: true
  kind:
    description: V(probe), or V(image) for the C(HEALTHCHECK) of the image.
    type: str
    required: true
  url:
    description: The address that the probe requests, with the host V(127.0.0.1) and a port.
    type: str
    required: true
  seconds:
    description: The seconds within which the probe ends.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Show what asks for the health of an application
  ansible.builtin.debug:
    msg: "{{ [] | ptnextjs.docker_vps.health_test('probe', 'http://127.0.0.1:3000/api/health', 9) }}"
"""

RETURN = r"""
_value:
  description: The test, which begins with V(CMD) or V(CMD-SHELL); empty for that of the image.
  type: list
  elements: str
"""


def health_test(command: Union[str, Sequence[str]], kind: str, url: str, seconds: object) -> list[str]:
    """Return the test of a health check."""
    return health_check.as_test(kind, command, url, int(str(seconds)))


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"health_test": health_test}
