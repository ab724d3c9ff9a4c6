#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin new_site, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: new_site
short_description: Write the repository from which a site is deployed
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Copies the files of C(examples/site) of this collection into a directory, a playbook for each verb among them, and
    writes an inventory of one host and the variables of its application.
  - A file that is there already is never written again. Those that differ from what would be written are listed in
    RV(kept).
  - Runs on the controller and touches no host.
options:
  site:
    description: The name of the application, as C(docker_vps_app).
    type: str
    required: true
  host:
    description:
      - The name or address of the host, by choice with the user to log in as, such as V(deploy@vps1.example.com);
        without one it is V(root). Other users become root with sudo.
      - V(localhost) is the controller itself, without SSH.
    type: str
    required: true
  repository:
    description: The address of the git repository of the application, as C(docker_vps_git_url).
    type: str
    required: true
  url:
    description: The public address of the application, as C(docker_vps_server_url).
    type: str
    required: true
  directory:
    description: The directory to write into. It is O(site) in the working directory when empty.
    type: str
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
  - ptnextjs.docker_vps.attributes.action
attributes:
  check_mode:
    details: Says which files it would write, and writes none.
"""

EXAMPLES = r"""
- name: Write the repository of a site
  ptnextjs.docker_vps.new_site:
    site: shop
    host: deploy@vps1.example.com
    repository: https://git.example.com/acme/shop.git
    url: https://shop.example.com
"""

RETURN = r"""
directory:
  description: The directory of the site.
  returned: success
  type: str
  sample: /home/me/shop
written:
  description: The files that were written, from the top of the directory.
  returned: success
  type: list
  elements: str
  sample: [deploy.yml, prod/hosts.yml]
kept:
  description: The files that differ from what would be written, and were left as they are.
  returned: success
  type: list
  elements: str
  sample: [README.md]
summary:
  description: What was done and what is next, as sentences.
  returned: success
  type: list
  elements: str
  sample:
    - 32 files are new in /home/me/shop.
"""
