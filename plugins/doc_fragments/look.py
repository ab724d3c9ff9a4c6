# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that look how an application and its host are."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of LOOK_ARGUMENTS, without those of the fragment place."""

    DOCUMENTATION = r"""
options:
  container:
    description: The name of the container; V(<app>-app) when not given.
    type: str
  sets_directory:
    description: The directory of the backup sets; V(/var/backups/<app>) when not given.
    type: path
  url:
    description: The page to ask for on the path of visitors' requests; none when empty.
    type: str
    default: ""
  text:
    description: What that page must contain.
    type: str
    default: ""
  time_server:
    description: A time server by which the clock is measured; it is not when empty.
    type: str
    default: ""
  thresholds:
    description:
      - Numbers from which on something is a finding, instead of the defaults, by these names.
      - V(memory), V(cpu), V(disk), V(disk_full), V(disk_floor) and V(certificate) are percentages; V(database), V(wal),
        V(log), V(images) and V(cache) bytes; V(backup), V(proof), V(skew) and V(start) seconds; V(disk_days) days;
        V(restarts) and V(busy) numbers within an hour; V(connections) is a number at each of three checks.
    type: dict
    default: {}
  fail_at:
    description: The severity from which on a finding makes the task fail.
    type: str
    choices: [never, info, warning, critical]
    default: never
"""
