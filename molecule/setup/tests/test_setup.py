# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host that had nothing has now."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from testinfra.host import Host

CANARY = "canary-b7e6a2f3905f0c8d1e7a3b49629d84c1"  # of molecule.yml


def test_there_is_an_engine_that_starts_at_boot(host: Host) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled
    assert host.check_output("docker compose version --short")
    assert host.check_output("docker buildx version")


def test_it_is_configured(host: Host) -> None:
    found = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert found["log-opts"] == {"max-size": "10m", "max-file": "3"}
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "json-file"


def test_an_application_runs_there(host: Host) -> None:
    state = host.check_output("docker inspect --format '{{.State.Health.Status}}' ptnextjs-app")
    assert state == "healthy"


def test_a_neighbour_is_served_under_tls(host: Host, tmp_path: Path) -> None:
    """From this machine's network to the instance, under a name and with the authority of the proxy."""
    root = "/var/lib/docker/volumes/reverse-proxy-data/_data/caddy/pki/authorities/local/root.crt"
    (tmp_path / "root.crt").write_text(host.file(root).content_string)
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = subprocess.check_output(["docker", "inspect", "--format", form, "docker-vps-setup"], text=True).strip()
    url = "https://www.example.test/api/health"
    asked = [
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--include",
        "--cacert",
        str(tmp_path / "root.crt"),
    ]
    answer = subprocess.check_output([*asked, "--resolve", f"www.example.test:443:{address}", url], text=True)
    head, _blank, body = answer.partition("\n\n")
    assert head.split()[1] == "200"
    assert json.loads(body)["database"] == "connected"
    refused = subprocess.run([*asked, "--connect-timeout", "3", f"http://{address}:3000/"], check=False)
    assert refused.returncode in (7, 28)  # nobody is there, or nobody answers


def test_the_application_is_kept_from_what_it_does_not_need(host: Host) -> None:
    options = json.loads(host.check_output("docker inspect --format '{{json .HostConfig}}' ptnextjs-app"))
    assert (options["CapDrop"], options["ReadonlyRootfs"], options["Init"]) == (["ALL"], True, True)


def test_nobody_but_the_application_has_its_secret(host: Host) -> None:
    """Wherever the deploy, the engine and their logs could have left it. The pattern does not find itself."""
    told = json.loads(host.check_output("docker exec ptnextjs-app wget -q -O- http://localhost:3000/api/env"))
    assert told["PAYLOAD_SECRET"] == CANARY
    sought = f"'[{CANARY[0]}]{CANARY[1:]}'"
    pid = host.check_output("docker top ptnextjs-app -eo pid,comm | awk '$2 == \"node\" {print $1}'")
    places = "/proc/[0-9]*/cmdline /proc/[0-9]*/environ /tmp /var/tmp /var/log /run/log /etc /root"
    found = host.run(f"grep --recursive --text --files-with-matches --no-messages {sought} {places}")
    assert found.stdout.split() == [f"/proc/{pid}/environ"]
    journal = "journalctl --no-pager --output export --all"
    assert host.check_output(f"{journal} | grep --text --count 'Invoked with'") != "0"  # so modules are logged there
    described = "docker inspect $(docker ps --all --quiet) $(docker images --quiet | sort --unique)"
    for where in (journal, described, "docker logs ptnextjs-app 2>&1"):
        assert host.run(f"{where} | grep --text --count {sought}").stdout.strip() == "0", where
