# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module reaches a restic repository."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of RESTIC_ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - The repository, as in E(RESTIC_REPOSITORY), for example V(sftp:backup@backup.example.com:/srv/restic),
        V(s3:https://s3.example.com/bucket) or V(rest:https://user:password@backup.example.com/).
      - For SFTP, the user who runs the module on the host needs an SSH key without a passphrase, and the server in
        C(known_hosts).
    type: str
    required: true
  password:
    description: The password of the repository, which encrypts everything in it. Without it nobody can read the copies.
    type: str
    required: true
  host:
    description:
      - The host whose sets these are. It must be different for each host that uses the repository.
      - When empty, the host name of the managed host. To fetch the sets of a lost host, give its name.
    type: str
    default: ""
  environment:
    description: Further environment variables for restic, such as E(AWS_ACCESS_KEY_ID) and E(AWS_SECRET_ACCESS_KEY).
    type: dict
    default: {}
  options:
    description:
      - Extended options of restic (C(--option)), such as C(sftp.command). Do not put secrets here, since they become
        arguments of the command.
    type: dict
    default: {}
requirements:
  - restic 0.14 or newer on the managed host
"""
