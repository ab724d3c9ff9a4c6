# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_summary."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import summary

DOCUMENTATION = r"""
name: release_summary
short_description: The lines that a deploy ends with
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Says what is live now, or that there was nothing to do, where it is reached, and what to know about it.
options:
  _input:
    description: The result of M(ptnextjs.docker_vps.release_cutover), empty when it was not needed.
    type: dict
    required: true
  image:
    description: C(reference), C(revision), C(release) and C(cautions) of the image; empty when none was looked for.
    type: dict
    required: true
  container:
    description: The name of the container.
    type: str
    required: true
  network:
    description: The network on which the reverse proxy reaches it.
    type: str
    required: true
  port:
    description: The port on which the application listens in its container.
    type: int
    required: true
  server_url:
    description: The address for users.
    type: str
    required: true
  directory:
    description: The directory of the application on the host.
    type: path
    required: true
  phases:
    description: C(name) of each phase of the play, and C(at), when it began, in seconds since 1970.
    type: list
    elements: dict
    required: true
  ended:
    description: When the last phase ended, in seconds since 1970.
    type: float
    required: true
  other_values:
    description: Variables compiled into code for browsers whose values may have been others when that was done.
    type: list
    elements: str
    required: true
  then:
    description: A play or a command and what it does, without a full stop, which is useful when something was put live.
    type: str
    required: true
  check_mode:
    description: Whether the play was a dry run.
    type: bool
    required: true
"""

EXAMPLES = r"""
- name: Say what there is now
  ansible.builtin.debug:
    msg: >-
      {{ stack_released | default({}) | ptnextjs.docker_vps.release_summary(
         image=image_ready, container='ptnextjs-app', network='proxy_network', port=3000,
         server_url='https://example.com', directory='/opt/ptnextjs', phases=[{'name': 'stack', 'at': began}],
         ended=now().timestamp(), other_values=[], then='', check_mode=ansible_check_mode) }}
"""

RETURN = r"""
_value:
  description: The lines; those of cautions begin with C(Warning:).
  type: list
  elements: str
"""


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"release_summary": summary.release}
