# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module reaches the Docker engine."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of ENGINE_ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The address of the Docker engine.
      - When not given, the environment variable E(DOCKER_HOST) of the managed host is used if it is set.
    type: str
    default: unix:///var/run/docker.sock
  ca_path:
    description: The certificate authority that signed the engine's certificate, as a file on the managed host.
    type: path
  client_cert:
    description: The certificate to present to the engine, as a file on the managed host.
    type: path
  client_key:
    description: The key of O(client_cert).
    type: path
requirements:
  - Docker SDK for Python >= 5.0.0 on the managed host (C(python3-docker) or C(pip install docker))
"""
