# SPDX-License-Identifier: GPL-3.0-or-later
"""A real stack for the doctor: the stand-in application behind a proxy, with a backup, on this machine's engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

import yaml
from lab import ROOT, STANDIN, App, docker, image_of, inspect, request, run, until

ROWS = 12
HEALTHY_WITHIN = 60  # seconds
THRESHOLDS = {"proof": 0, "disk": 0, "disk_full": 101, "disk_floor": 0, "images": 0}
"""This machine's own disk and images are not checked, and a drill proves backups in tests of its own."""
NGINX = """
events {}
http {
    server {
        listen 80;
        location / { proxy_connect_timeout 2s; proxy_pass http://UPSTREAM; }
    }
}
"""
MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ptnextjs.docker_vps.plugins.modules import host_doctor_info
with patch_module_args(json.loads(sys.argv[1])):
    host_doctor_info.main()
"""


class Stack:
    """An application, its proxy, and how one checks at both, breaks and fixes them."""

    def __init__(self, name: str, place: Path, port: int = 18088) -> None:
        self.place, self.proxy, self.port = place, f"{name}-proxy", port
        self.config = place / "nginx/nginx.conf"
        self.app = App(
            name,
            place,
            docker_vps_source_path=str(STANDIN),
            docker_vps_watch_url=f"http://localhost:{port}/api/health",
            docker_vps_health_start_interval="500ms",
            docker_vps_health_interval="2s",
            docker_vps_health_timeout="2s",
            docker_vps_health_retries=2,
            docker_vps_health_start_period="1s",
            docker_vps_monitor=0,
            **{f"docker_vps_watch_{words}": 0 for words in ("proof_days", "disk", "disk_full", "disk_floor")},
            docker_vps_watch_images="0",
            docker_vps_schedule_python=sys.executable,
        )
        self.given: dict[str, Any] = {}

    @property
    def container(self) -> str:
        """The name of the container."""
        return self.app.container

    @property
    def database(self) -> Path:
        """The database on this machine."""
        return Path(json.loads(docker("volume", "inspect", f"{self.app.name}-db"))[0]["Mountpoint"]) / "payload.db"

    def build(self) -> None:
        """Deploy everything anew, with data and a backup."""
        self.remove()
        docker("network", "create", self.app.network)
        self.app.deploy().succeeded()
        for number in range(ROWS):
            self.app.post("/api/vendors", {"name": f"vendor {number}"})
        self.app.playbook("backup").succeeded()
        self.start_proxy()

    def install_command(self) -> None:
        """Install docker-vps on this machine, without timers."""
        command = {"ansible.builtin.import_role": {"name": "ptnextjs.docker_vps.schedule", "tasks_from": "_install"}}
        self.app.play(yaml.safe_dump([command])).succeeded()

    def start_proxy(self, upstream: str = "") -> None:
        """Start the proxy again; Nginx without a resolver looks its upstream up once."""
        self.configure(upstream)
        docker("rm", "--force", self.proxy, check=False)
        publish = ("--publish", f"127.0.0.1:{self.port}:80", "--volume", f"{self.config.parent}:/etc/nginx:ro")
        command = (image_of("nginx_image.sh"), "nginx", "-g", "daemon off;")
        docker("run", "--detach", "--name", self.proxy, "--network", self.app.network, *publish, *command)

    def configure(self, upstream: str = "") -> None:
        """Write the configuration of the proxy."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(NGINX.replace("UPSTREAM", upstream or f"{self.container}:3000"))

    def remove(self) -> None:
        """Remove everything."""
        docker("rm", "--force", "--volumes", self.proxy, check=False)
        self.app.remove()
        docker("volume", "rm", "--force", f"{self.app.name}-other")
        docker("rmi", "--force", f"{self.app.name}-arm:1", check=False)

    def served(self) -> bool:
        """Return whether visitors get the page."""
        try:
            return request(f"http://localhost:{self.port}/api/health").status == 200
        except OSError:
            return False

    def look(self, prefix: Sequence[str] = (), **more: Any) -> tuple[Mapping[str, Any], float]:
        """Run the module in a process of its own, as Ansible does; return its result, and the seconds that it took."""
        given = {
            "app": self.app.name,
            "network": self.app.network,
            "url": f"http://localhost:{self.port}/api/health",
            "health_wait": 30,
            "thresholds": THRESHOLDS,
            **self.given,
            **more,
        }
        environment = {**os.environ, "PYTHONPATH": str(ROOT / ".ansible/collections")}
        began = time.monotonic()
        command = [*prefix, sys.executable, "-c", MODULE, json.dumps(given)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        result: Mapping[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result, seconds

    def compose(self, edit: Optional[Callable[[dict[str, Any]], object]] = None) -> None:
        """Have Compose make the container by hand, as people do, from the definition with a change of theirs.

        The definition is put back, so that the container alone is another.
        """
        path = self.app.directory / "compose.yml"
        text = path.read_text()
        definition = yaml.safe_load(text)
        if edit:
            edit(definition)
        path.write_text(yaml.safe_dump(definition))
        up = ("up", "--detach", "--force-recreate", "--remove-orphans")
        run("docker", "compose", "-f", str(path), "-p", self.app.name, *up, check=False)
        path.write_text(text)

    def service(self, **changes: Any) -> None:
        """Have the container made with other words for the service; None takes one away."""

        def edit(definition: dict[str, Any]) -> None:
            definition["services"]["app"].update(changes)

        self.compose(edit)

    def check(self, **changes: Any) -> None:
        """Have the container made with another health check, whose failures count at once."""
        changes = {"start_period": "1s", **changes}
        self.compose(lambda definition: definition["services"]["app"]["healthcheck"].update(changes))

    def env(self, **values: Optional[str]) -> None:
        """Change the live env file by hand, and have the container made with it."""
        path = self.app.directory / ".env.production"
        text = path.read_text()
        for name, value in values.items():
            text = re.sub(rf"(?m)^{name}=.*\n", "", text) + ("" if value is None else f"{name}={value}\n")
        path.write_text(text)
        self.compose()

    def fix(self, command: str) -> None:
        """Run what a finding names: a playbook with its variables, or a command on the host."""
        word, *more = command.split()
        if word.endswith(".yml"):
            self.app.playbook(word[: -len(".yml")], *more).succeeded()
        else:
            done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def becomes(self, wanted: str, seconds: float = HEALTHY_WITHIN) -> None:
        """Wait until the container is so: its state, or its health."""

        def right() -> bool:
            state = inspect(self.container)["State"]
            return wanted in (state["Status"], (state.get("Health") or {}).get("Status"))

        until(right, seconds, f"{self.container} is {wanted}")

    def is_well(self) -> bool:
        """Return whether the container is healthy."""
        try:
            state = inspect(self.container)["State"]
        except AssertionError:
            return False
        return bool(state["Running"] and not state["Paused"] and state["Health"]["Status"] == "healthy")
