#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have a reverse proxy in a container serve the site of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reverse_proxy
short_description: Have a reverse proxy in a container serve the site of an application, without harm to other sites
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes the configuration of a reverse proxy, and the file of one site beside those of others; starts the proxy, or
    reloads it when something has changed.
  - A copy of all files with the new ones among them is read by the same image first. When it is refused, nothing is
    changed, and what is served stays as it was.
  - Afterwards the proxy has to say that it runs these very files. Otherwise they are put back, and so is what it runs.
  - Refused before anything is changed are a certificate that does not belong to its key, has ended or is for other
    names, a name that another site has, and a port that something else on the host holds.
options:
  state:
    description:
      - V(present) has the proxy serve the site.
      - V(site_absent) removes the site, and leaves the proxy running.
      - V(absent) removes the proxy as well, and is refused while others have sites. The volume with its certificates
        stays.
    type: str
    choices: [present, site_absent, absent]
    default: present
  kind:
    description: Which proxy it is.
    type: str
    choices: [caddy, nginx]
    required: true
  name:
    description: The name of its container and of its Compose project.
    type: str
    default: reverse-proxy
  directory:
    description: The directory of its files. In it, C(config) is what the container has as C(/etc/reverse-proxy).
    type: path
    default: /opt/reverse-proxy
  image:
    description: Its image, which has to be on the host. It needs C(wget), with which it is asked what it runs.
    type: str
    required: true
  network:
    description: The network that it shares with applications.
    type: str
    required: true
  definition:
    description: The Compose file.
    type: str
    default: ""
  config:
    description: The proxy's own file, which includes C(generation.caddy) or C(generation.conf), and C(sites).
    type: str
    default: ""
  page:
    description: The page for maintenance, for when there is none in the folder C(maintenance) yet.
    type: str
    default: ""
  app:
    description: The name of the application.
    type: str
    required: true
  domains:
    description: The names of the site.
    type: list
    elements: str
    default: []
  site:
    description: The configuration of the site.
    type: str
    default: ""
  certificate:
    description: Its certificate in PEM, with the intermediate ones behind it. It becomes C(certificates/APP.pem).
    type: str
    default: ""
  key:
    description: The key of O(certificate) in PEM. It becomes C(certificates/APP.key), with the mode 0600.
    type: str
    default: ""
  acme_ca:
    description: The certificate of a private ACME authority in PEM. It becomes C(certificates/APP.ca.pem).
    type: str
    default: ""
  docker_host:
    description:
      - The address of the Docker engine.
      - When not given, the environment variable E(DOCKER_HOST) of the managed host is used if it is set.
    type: str
    default: unix:///var/run/docker.sock
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
attributes:
  check_mode:
    details: The configuration is read by the image only if the host has that.
  diff_mode:
    details: Shows the file of the site, and no certificate or key.
requirements:
  - Compose 2
"""

EXAMPLES = r"""
- name: Serve the shop
  ptnextjs.docker_vps.reverse_proxy:
    kind: caddy
    image: caddy:2.11-alpine
    network: proxy
    definition: "{{ lookup('ansible.builtin.template', 'compose.yml.j2') }}"
    config: "{{ lookup('ansible.builtin.template', 'Caddyfile.j2') }}"
    app: shop
    domains: [shop.example.com]
    site: |
      shop.example.com {
        reverse_proxy shop-app:3000
      }

- name: Serve it no longer
  ptnextjs.docker_vps.reverse_proxy:
    state: site_absent
    kind: caddy
    image: caddy:2.11-alpine
    network: proxy
    app: shop
"""

RETURN = r"""
files:
  description: The files that were changed, also those that were removed, below the directory or its folder C(config).
  returned: success
  type: list
  elements: str
  sample: [generation.caddy, sites/shop.caddy]
action:
  description: What was done with the proxy, V(started), V(reloaded) or V(removed); empty when nothing was.
  returned: success
  type: str
  sample: reloaded
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..module_utils._core.reverse_proxy import KINDS, Site
from ..module_utils._engine.reverse_proxy import ProxyContainer
from ..module_utils._module.module_exit import finish
from ..module_utils._release.reverse_proxy import Params, run

_SECRET = ("certificate", "key", "acme_ca")


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    site = Site(given["app"], given["domains"], given["site"], given["certificate"], given["key"], given["acme_ca"])
    names = ("state", "kind", "name", "directory", "network", "definition", "config", "page")
    return Params(**{name: given[name] for name in names}, site=site)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "str", "required": True} for name in ("image", "network", "app")},
            **{name: {"type": "str", "default": ""} for name in ("definition", "config", "page", "site", *_SECRET)},
            "state": {"type": "str", "choices": ["present", "site_absent", "absent"], "default": "present"},
            "kind": {"type": "str", "choices": ["caddy", "nginx"], "required": True},
            "name": {"type": "str", "default": "reverse-proxy"},
            "directory": {"type": "path", "default": "/opt/reverse-proxy"},
            "domains": {"type": "list", "elements": "str", "default": []},
            "key": {"type": "str", "default": "", "no_log": True},
            "docker_host": {
                "type": "str",
                "default": "unix:///var/run/docker.sock",
                "fallback": (env_fallback, ["DOCKER_HOST"]),
            },
        },
        supports_check_mode=True,
    )
    p = module.params
    shown = {"module_args": {name: value for name, value in p.items() if name not in _SECRET}}
    proxy = ProxyContainer(p["name"], KINDS[p["kind"]], p["image"], p["docker_host"])
    finish(module, lambda: run(params_of(p), proxy, module.check_mode), shown)


if __name__ == "__main__":
    main()
