#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what a host lacks before anything can be deployed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_setup_info
short_description: See which packages a host lacks for the engine and the modules of this collection
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks for the Docker engine, Compose, Buildx, Python's Docker SDK and commands, and says which packages have to be
    installed, and where they come from. Changes nothing.
  - An engine, a Compose and a Buildx that are new enough are left alone, whoever has installed them.
  - Fails in one sentence when what is lacking cannot be installed, as on a distribution that is not supported.
options:
  engine_version_min:
    description: The oldest engine that will do.
    type: str
    required: true
  compose_version_min:
    description: The oldest Compose that will do.
    type: str
    required: true
  source:
    description:
      - Whose packages to take, V(docker) for those of Docker's own repository, or V(distribution).
      - What is lacking besides an engine that will do comes from where that came from.
    type: str
    choices: [docker, distribution]
    default: docker
  commands:
    description: Commands that have to be there, too.
    type: list
    elements: str
    default: [git, ssh, ssh-keygen]
  packages:
    description: Further packages that have to be there, perhaps with others that will do, as in V(chrony | ntpsec).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.info
requirements:
  - Debian 12 or 13, or Ubuntu 22.04, 24.04 or 26.04, when something is lacking
seealso:
  - module: ptnextjs.docker_vps.apt_source
  - module: ptnextjs.docker_vps.engine_config
"""

EXAMPLES = r"""
- name: See what the host lacks
  ptnextjs.docker_vps.engine_setup_info:
    engine_version_min: "25.0"
    compose_version_min: 2.20.0
  register: lacks
"""

RETURN = r"""
packages:
  description: The packages to install or to upgrade.
  returned: success
  type: list
  elements: str
  sample: [docker-ce, docker-ce-cli, containerd.io, docker-compose-plugin, docker-buildx-plugin, python3-docker]
repository:
  description: Whether some of them are in Docker's own repository, or it has been made known to apt before.
  returned: success
  type: bool
  sample: true
replaced:
  description: Packages of the distribution that are installed, and go since Docker's take their place.
  returned: success
  type: list
  elements: str
  sample: [docker.io]
engine_version:
  description: The version of the engine, also of one that is stopped; empty when there is none.
  returned: success
  type: str
  sample: ""
compose_version:
  description: The version of Compose, empty when there is none.
  returned: success
  type: str
  sample: ""
buildx_version:
  description: The version of Buildx, empty when there is none.
  returned: success
  type: str
  sample: ""
distribution:
  description: The id of the distribution.
  returned: success
  type: str
  sample: debian
codename:
  description: The name of its version.
  returned: success
  type: str
  sample: trixie
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.engine_packages import DISTRIBUTION, DOCKER, Wanted
from ..module_utils._core.os_release import system
from ..module_utils._engine.apt import Apt
from ..module_utils._engine.service import EngineService
from ..module_utils._engine.this_host import ThisHost
from ..module_utils._module.module_exit import finish
from ..module_utils._release.engine_setup import Params, run
from ..module_utils._store import files

OS_RELEASE = "/etc/os-release"


def params_of(given: Mapping[str, Any], os_release: str) -> Params:
    """Read the parameters, and what the host says of itself."""
    kept = files.read(os_release)
    wanted = Wanted(given["engine_version_min"], given["compose_version_min"], given["source"], given["packages"])
    return Params(wanted, given["commands"], system(kept.text if kept else ""))


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "engine_version_min": {"type": "str", "required": True},
            "compose_version_min": {"type": "str", "required": True},
            "source": {"type": "str", "choices": [DOCKER, DISTRIBUTION], "default": DOCKER},
            "packages": {"type": "list", "elements": "str", "default": []},
            "commands": {"type": "list", "elements": "str", "default": ["git", "ssh", "ssh-keygen"]},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params, OS_RELEASE), ThisHost(), Apt(), EngineService()))


if __name__ == "__main__":
    main()
