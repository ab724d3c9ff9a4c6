# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module reaches a restic repository."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of RESTIC_ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - The repository as in E(RESTIC_REPOSITORY), for example V(sftp:backup@backup.example.com:/srv/restic),
        V(s3:https://s3.example.com/bucket) or V(rest:https://user:password@backup.example.com/).
      - For SFTP, the user who runs this on the host needs a key without a passphrase, and the server in its
        C(known_hosts).
    type: str
    required: true
  password:
    description: The password of the repository, which encrypts everything in it. Without it nobody can read the copies.
    type: str
    required: true
  host:
    description:
      - Whose sets these are. It has to be different for each host that uses the repository.
      - To fetch the sets of a host that is lost, give its name. By default the managed host's own name is taken.
    type: str
    default: ""
  environment:
    description: Further environment of restic, such as E(AWS_ACCESS_KEY_ID) and E(AWS_SECRET_ACCESS_KEY).
    type: dict
    default: {}
  options:
    description: Extended options of restic (C(--option)), such as C(sftp.command). They are no place for secrets.
    type: dict
    default: {}
requirements:
  - restic 0.14 or newer on the managed host
"""
