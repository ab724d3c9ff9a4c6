# SPDX-License-Identifier: GPL-3.0-or-later
"""A real stack for the doctor: the stand-in application behind a proxy, with a backup, on this machine's engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Mapping, Optional

import yaml
from lab import STANDIN, App, docker, image_of, inspect, request, run, until

NAME = "it-doctor"
ROWS = 12
NGINX = """
events {}
http {
    server {
        listen 80;
        location / { proxy_connect_timeout 2s; proxy_pass http://UPSTREAM; }
    }
}
"""


class Stack:
    """An application, its proxy, and how one looks at both."""

    def __init__(self, name: str, place: Path) -> None:
        self.place, self.proxy = place, f"{name}-proxy"
        self.port = 18088
        self.config = place / "nginx/nginx.conf"
        self.app = App(
            name,
            place,
            docker_vps_source_path=str(STANDIN),
            docker_vps_server_url=f"http://localhost:{self.port}",
            docker_vps_watch_url=f"http://localhost:{self.port}/api/health",
            docker_vps_health_start_interval="500ms",
            docker_vps_health_interval="2s",
            docker_vps_health_timeout="2s",
            docker_vps_health_retries=2,
            docker_vps_health_start_period="1s",
            docker_vps_health_wait=20,
            docker_vps_watch_proof_days=0,  # a drill proves it in tests of its own
            docker_vps_watch_disk=0,  # this machine's own disk is not looked at
            docker_vps_watch_disk_full=100,
            docker_vps_watch_images="0",
        )

    @property
    def container(self) -> str:
        return self.app.container

    @property
    def data(self) -> Path:
        return Path(json.loads(docker("volume", "inspect", f"{self.app.name}-db"))[0]["Mountpoint"])

    @property
    def database(self) -> Path:
        return self.data / "payload.db"

    def build(self) -> None:
        """Deploy everything anew."""
        self.remove()
        docker("network", "create", self.app.network)
        self.app.deploy().succeeded()
        for number in range(ROWS):
            self.app.post("/api/vendors", {"name": f"vendor {number}"})
        self.app.playbook("backup").succeeded()
        self.start_proxy()

    def start_proxy(self, upstream: str = "", *options: str) -> None:
        """Start the proxy anew; Nginx without a resolver looks its upstream up once."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(NGINX.replace("UPSTREAM", upstream or f"{self.container}:3000"))
        docker("rm", "--force", self.proxy, check=False)
        image = image_of("nginx_image.sh")
        publish = ("--publish", f"127.0.0.1:{self.port}:80", "--volume", f"{self.config.parent}:/etc/nginx:ro")
        docker(
            "create",
            "--name",
            self.proxy,
            "--network",
            self.app.network,
            *publish,
            *options,
            image,
            "nginx",
            "-g",
            "daemon off;",
        )
        docker("start", self.proxy, check=False)

    def remove(self) -> None:
        """Remove everything."""
        docker("rm", "--force", "--volumes", self.proxy, check=False)
        self.app.remove()

    def served(self) -> bool:
        try:
            return request(f"http://localhost:{self.port}/api/health").status == 200
        except OSError:
            return False

    def look(self, **variables: Any) -> Mapping[str, Any]:
        """Run the playbook and return its report, which has all that it found."""
        report = self.place / "report.json"
        report.unlink(missing_ok=True)
        self.app.playbook("doctor", docker_vps_doctor_report=str(report), **variables).succeeded()
        found: Mapping[str, Any] = json.loads(report.read_text())
        return found

    def compose(self, override: Optional[Mapping[str, Any]] = None) -> None:
        """Have Compose make the container by hand, as people do, from the definition with changes of theirs."""
        files = ["-f", str(self.app.directory / "compose.yml")]
        if override is not None:
            path = self.place / "override.yml"
            path.write_text(yaml.safe_dump(override))
            files += ["-f", str(path)]
        run("docker", "compose", *files, "-p", self.app.name, "up", "-d", "--force-recreate", check=False)

    def service(self, **changes: Any) -> None:
        """Have the container made with other words for the service."""
        self.compose({"services": {"app": changes}})

    def env(self, **values: Optional[str]) -> None:
        """Change the live env file by hand, and have the container made with it."""
        path = self.app.directory / ".env.production"
        text = path.read_text()
        for name, value in values.items():
            text = re.sub(rf"(?m)^{name}=.*\n", "" if value is None else f"{name}={value}\n", text)
        path.write_text(text)
        self.compose()

    def mend(self, command: str) -> None:
        """Run what a finding names: a playbook with its variables, or a command on the host."""
        word, *more = command.split()
        if word.endswith(".yml"):
            self.app.playbook(word[: -len(".yml")], *more).succeeded()
        else:
            done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def is_(self, wanted: str, seconds: float = 40) -> None:
        """Wait until the container is so: its state, or its health."""

        def right() -> bool:
            state = inspect(self.container)["State"]
            return wanted in (state["Status"], (state.get("Health") or {}).get("Status"))

        until(right, seconds, f"{self.container} is {wanted}")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def clear(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
