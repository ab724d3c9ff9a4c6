#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell people how a play ended."""

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Notify people or a monitoring service of how a play ended
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Sends JSON with the keys C(job), C(success), C(app), C(host), C(release), C(message) and C(cautions) to a webhook
    and to the standard input of a command, and requests the ping address of the job, as healthchecks.io and similar
    services expect it.
  - A notification that fails is a warning, and does not fail the play.
options:
  job:
    description: The job that ended, such as V(deploy).
    type: str
    required: true
  success:
    description: Whether it succeeded.
    type: bool
    required: true
  text:
    description: A sentence about it, which is the C(message) of the JSON.
    type: str
    default: ""
  cautions:
    description:
      - What went wrong without making the job fail. The webhook and the command are used then, as after a failure.
    type: list
    elements: str
    default: []
  app:
    description: The name of the application.
    type: str
    default: ptnextjs
  host:
    description: The name of the managed host.
    type: str
    default: ""
  release:
    description: The id of the release.
    type: str
    default: ""
  webhook:
    description: The address that the JSON is posted to. It is kept secret, since whoever knows it can post there.
    type: str
    default: ""
  command:
    description: A command with its arguments, run on the managed host without a shell, for at most a minute.
    type: list
    elements: str
    default: []
  pings:
    description:
      - The ping address of each job, by the name of the job; C(/fail) is appended after a failure. These are kept
        secret too.
    type: dict
    default: {}
  on_success:
    description: Whether to use the webhook, e-mail and the command for successes without cautions, too.
    type: bool
    default: false
  format:
    description: What the webhook wants to be sent; V(json) is the JSON above.
    type: str
    choices: [json, slack, discord, ntfy, telegram]
    default: json
  mail:
    description: Who gets e-mail, and by which server.
    type: dict
    suboptions:
      to:
        description: Who gets it; nobody when empty.
        type: list
        elements: str
        default: []
      sender:
        description: The sender; by default the first of those who get it.
        type: str
        default: ""
      host:
        description: The server that takes it.
        type: str
        default: localhost
      port:
        description: Its port.
        type: int
        default: 587
      security:
        description:
          - V(auto) is TLS from the beginning at port 465, and STARTTLS at others; nothing is sent without. The
            certificate and its name are checked.
        type: str
        choices: [auto, starttls, tls, none]
        default: auto
      user:
        description: The user to log in as; no login when empty.
        type: str
        default: ""
      password:
        description: The password of that user.
        type: str
        default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Sends nothing.
"""

EXAMPLES = r"""
- name: Notify the team of the new version
  ptnextjs.docker_vps.notification:
    job: deploy
    success: true
    text: The new shop is live.
    webhook: "{{ vault_webhook }}"
    on_success: true
"""

RETURN = r"""
problems:
  description: One sentence per notification that failed, without its address.
  returned: success
  type: list
  elements: str
  sample: ["The webhook failed: it answered 500."]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command.notify import SECURITY, Params, notify_of, run
from ..module_utils._core.message_bodies import FORMATS, JSON
from ..module_utils._module.module_exit import finish

CHANNELS = ("webhook", "command", "on_success", "format", "mail")
MAIL: Mapping[str, Any] = {
    "to": {"type": "list", "elements": "str", "default": []},
    "sender": {"type": "str", "default": ""},
    "host": {"type": "str", "default": "localhost"},
    "port": {"type": "int", "default": 587},
    "security": {"type": "str", "choices": [*SECURITY], "default": SECURITY[0]},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
}
NEWS = ("job", "success", "app", "host", "release", "cautions")


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    pings = {str(job): str(address) for job, address in given["pings"].items()}
    channels = notify_of({**{key: given[key] for key in CHANNELS}, "pings": pings})
    # Ansible keeps the name "message" of an option for itself.
    return Params(channels, {**{key: given[key] for key in NEWS}, "message": given["text"]})


def main() -> None:
    """Run as an Ansible module."""
    string = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "job": {"type": "str", "required": True},
            "success": {"type": "bool", "required": True},
            "text": string,
            "cautions": {"type": "list", "elements": "str", "default": []},
            "app": {"type": "str", "default": "ptnextjs"},
            "host": string,
            "release": string,
            "webhook": {**string, "no_log": True},
            "command": {"type": "list", "elements": "str", "default": []},
            "pings": {"type": "dict", "default": {}, "no_log": True},
            "on_success": {"type": "bool", "default": False},
            "format": {"type": "str", "choices": [*FORMATS], "default": JSON},
            "mail": {"type": "dict", "options": MAIL},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), module.check_mode))


if __name__ == "__main__":
    main()
