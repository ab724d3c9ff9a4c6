# SPDX-License-Identifier: GPL-3.0-or-later
"""From a host that has nothing but sshd to the reference application under TLS, with two plays."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Mapping

import pytest
from bare_host import PYTHON, MakeHost, visit
from lab import ROOT, App, image_of, request
from payload import ACTIONS_KEY, PICTURE, Site

NAME = "www.example.test"
AUTHORITY = "/var/lib/docker/volumes/reverse-proxy-data/_data/caddy/pki/authorities/local/root.crt"
CADDY = {"docker_vps_reverse_proxy": "caddy"}


@pytest.fixture
def variables(repository: Mapping[str, str], tmp_path: Path) -> dict[str, Any]:
    """Return those of the reference application, which is built here, as on a host that is too small for it."""
    app = App(
        "it-site",
        tmp_path,
        docker_vps_source_path=str(ROOT / "examples/payload-app"),
        docker_vps_payload_secret="c0ffee5eed5a1ad0" * 4,
        docker_vps_server_actions_key=ACTIONS_KEY,
        docker_vps_server_url=f"https://{NAME}",
        docker_vps_network="proxy",
        docker_vps_build_on="controller",
        docker_vps_read_only=True,
        docker_vps_secrets="files",
        docker_vps_tls="internal",
        docker_vps_reverse_proxy_image=image_of("proxy_image.sh"),
        docker_vps_health_wait=60,
    )
    return {**app.variables, **repository, "ansible_python_interpreter": PYTHON}


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_bare_host_becomes_a_site_under_tls(suite: str, make_host: MakeHost, variables: Mapping[str, Any]) -> None:
    host = make_host(suite, python=False, variables=variables)
    host.sh("ssh-keygen -A && systemctl start ssh")
    host.setup().succeeded()
    host.load(variables["docker_vps_reverse_proxy_image"])
    host.setup(**CADDY).succeeded()
    assert host.setup(**CADDY).succeeded().recap["changed"] == 0
    host.playbook("deploy").succeeded()
    assert host.playbook("deploy").succeeded().recap["changed"] == 0

    opener = visit(host.address(), host.sh(f"cat {AUTHORITY}"))
    site = Site(App("it-site", host.scratch), f"https://{NAME}", functools.partial(request, ask=opener.open))
    health = site.ask("/api/health")
    assert (health.status, health.json["database"]) == (200, "connected")
    site.fill()
    assert site.ask(site.picture).body == PICTURE
    assert site.ask(f"/_next/image?url={site.picture.replace('/', '%2F')}&w=64&q=75").status == 200
    assert host.reached() == [22, 80, 443]
    options = json.loads(host.sh("docker inspect --format '{{json .HostConfig}}' it-site-app"))
    assert (options["CapDrop"], options["ReadonlyRootfs"], options["SecurityOpt"]) == (
        ["ALL"],
        True,
        ["no-new-privileges:true"],
    )
