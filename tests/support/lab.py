# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests on a real engine share: an application under a name of its own, and how to look at it."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

import messages
import plays
import yaml
from docker import DockerClient
from docker.errors import NotFound

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests/support"
STANDIN = ROOT / "examples/standin-app"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def run(*command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command and return its output; with ``check``, fail with that when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def docker(*arguments: str, check: bool = True) -> str:
    """Run a docker command and return its output."""
    return run("docker", *arguments, check=check).stdout.strip()


def inspect(name: str) -> Mapping[str, Any]:
    """Return what the engine knows about a container; asks the engine itself, since tests do it all the time."""
    try:
        with closing(DockerClient.from_env().api) as engine:
            found: Mapping[str, Any] = engine.inspect_container(name)
    except NotFound as error:
        raise AssertionError(str(error)) from error
    return found


def process(container: str, name: str) -> dict[str, str]:
    """Return what the kernel says of the one process in a container whose name begins so; see proc_pid_status(5)."""
    rows = [row.split(None, 1) for row in docker("top", container, "-eo", "pid,comm").splitlines()[1:]]
    (pid,) = [pid for pid, command in rows if command.startswith(name)]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _colon, value in (line.partition(":") for line in lines)}


def containers() -> list[str]:
    """Return the names of all containers, running or not."""
    with closing(DockerClient.from_env().api) as engine:
        return [name.lstrip("/") for one in engine.containers(all=True) for name in one["Names"]]


@functools.lru_cache(maxsize=None)
def image_of(script: str) -> str:
    """Make sure of an image by one of the scripts in tests/support and return its name."""
    return run(str(SUPPORT / script)).stdout.strip()


def until(true: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true answer, or fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Response:
    """An answer over HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def request(
    url: str,
    data: Optional[bytes] = None,
    headers: Optional[Mapping[str, str]] = None,
    method: Optional[str] = None,
    ask: Callable[..., Any] = urllib.request.urlopen,
) -> Response:
    """Ask over HTTP; an answer with an error status is an answer."""
    asked = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with ask(asked, timeout=30) as answer:
            return Response(answer.status, answer.read(), dict(answer.headers))
    except urllib.error.HTTPError as error:
        return Response(error.code, error.read(), dict(error.headers))


@dataclass(frozen=True)
class Played:
    """How ansible-playbook ended."""

    code: int
    output: str

    @property
    def recap(self) -> Mapping[str, int]:
        """The numbers of the recap of the only host, such as changed and failed."""
        line = self.output.rsplit("PLAY RECAP", 1)[-1]
        return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}

    @property
    def text(self) -> str:
        """The output with all white space folded, since the callback wraps sentences."""
        return " ".join(self.output.split())

    def succeeded(self) -> Played:
        """Return self, or fail with the output."""
        assert self.code == 0, self.output
        return self

    def failed(self) -> Played:
        """Return self, or fail with the output."""
        assert self.code != 0, self.output
        return self


def clean_environment() -> dict[str, str]:
    """Return the environment without what steers Ansible and Docker, such as what the Makefile sets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "DOCKER_"))}


def play(playbook: Path, inventory: Path, *arguments: str, cwd: Path = ROOT, **environment: str) -> Played:
    """Run ansible-playbook without a terminal."""
    clean = clean_environment() | {"ANSIBLE_CONFIG": str(cwd / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **environment}
    output, ours = os.pipe()
    try:
        begun = plays.begin([str(playbook), "-i", str(inventory), *arguments], cwd, clean, ours)
    finally:
        os.close(ours)
    with open(output, encoding="utf-8", errors="replace") as printed:
        text = printed.read()
    code = begun.wait()
    assert messages.OPEN not in text, text  # a remedy that nobody has worded
    if code and playbook.parent == ROOT / "playbooks":
        failures = failures_in(text)
        wrong = [fault for _host, message in failures for fault in messages.faults(message)]
        # Once where it failed, and once where the play ends.
        wrong += [f"shown more than twice: {one}" for one in set(failures) if failures.count(one) > 2]
        assert not wrong, "\n".join([*wrong, text])
    return Played(code, text)


def failures_in(output: str) -> list[tuple[str, str]]:
    """Return host and message of each failure in the output of a play (callback_result_format: yaml)."""
    found = re.findall(r"(?m)^fatal: \[(.*?)\]: FAILED! =>[ \n]*\n((?:    .*\n|\n(?=    ))+)", output)
    results = [(host, yaml.safe_load(result)) for host, result in found]
    return [(host, str(result["msg"])) for host, result in results if "msg" in result]


def deploy_all(apps: Mapping[str, App], *arguments: str, playbook: str = "deploy") -> Mapping[str, Played]:
    """Play a playbook for applications at once, each as a host; return the failures and the recap of each."""
    hosts = {name: app.host() for name, app in apps.items()}
    inventory = next(iter(apps.values())).scratch / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"docker_vps": {"hosts": hosts}}, allow_unicode=True))
    how = {"docker_vps_serial": ["100%"], "docker_vps_max_fail_percentage": 100}
    played = play(ROOT / f"playbooks/{playbook}.yml", inventory, "-e", json.dumps(how), *arguments)
    printed, recap = played.output.split("PLAY RECAP", 1)
    parts = re.split(r"(?m)^fatal: \[([^]]+)\]", printed)
    recaps = {line.split()[0]: f"PLAY RECAP {line}" for line in recap.splitlines() if "ok=" in line}
    texts = {name: "".join(text for of, text in zip(parts[1::2], parts[2::2]) if of == name) for name in apps}
    return {name: Played(played.code, texts[name] + recaps[name]) for name in apps}


def build(hosts: Mapping[str, Mapping[str, Any]], place: Path, *arguments: str, **environment: str) -> Played:
    """Build the images of hosts by the role image alone, all in one play, which prints the cautions, too."""
    role = {"ansible.builtin.import_role": {"name": "ptnextjs.docker_vps.image"}}
    tasks = [role, {"ansible.builtin.debug": {"var": "image_ready.cautions"}}]
    (place / "images.json").write_text(json.dumps({"docker_vps": {"hosts": hosts}}))
    (place / "images.yml").write_text(json.dumps([{"hosts": "docker_vps", "gather_facts": False, "tasks": tasks}]))
    return play(place / "images.yml", place / "images.json", *arguments, **environment)


class App:
    """An application on this machine's engine, with names, a directory and a network of its own."""

    def __init__(self, name: str, scratch: Path, **variables: Any) -> None:
        self.name, self.scratch = name, scratch
        self.directory = Path("/opt") / name
        self.backups = Path("/var/backups") / name
        self.container = f"{name}-app"
        self.network = f"{name}-net"
        self.variables: dict[str, Any] = {
            "docker_vps_app": name,
            "docker_vps_network": self.network,
            "docker_vps_server_url": "http://localhost:8080",
            "docker_vps_base_image": image_of("base_image.sh"),
            "docker_vps_base_refresh": "never",  # no registry has it
            "docker_vps_build_ca": CA_BUNDLE,
            "docker_vps_health_wait": 30,
            "docker_vps_build_disk": "1G",
            "docker_vps_monitor": 1,
            "docker_vps_public_check": "off",  # most have no proxy
            **variables,
        }

    def inventory(self, **variables: Any) -> Path:
        """Write an inventory with the application's variables and these, and return its path."""
        hosts = {"local": self.host(**variables)}
        path = self.scratch / f"{self.name}.yml"
        path.write_text(yaml.safe_dump({"docker_vps": {"hosts": hosts}}, allow_unicode=True))
        return path

    def host(self, **variables: Any) -> dict[str, Any]:
        """Return this machine as a host of an inventory, with the application's words and these."""
        host: dict[str, Any] = {"ansible_connection": "local"}
        host["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
        host["ansible_become"] = os.geteuid() != 0
        return {**host, **{name: value for name, value in {**self.variables, **variables}.items() if value is not None}}

    def deploy(self, *arguments: str, environment: Optional[Mapping[str, str]] = None, **variables: Any) -> Played:
        """Run the playbook deploy with the application's variables and these; None leaves a variable out."""
        return self.playbook("deploy", *arguments, environment=environment, **variables)

    def playbook(
        self, name: str, *arguments: str, environment: Optional[Mapping[str, str]] = None, **variables: Any
    ) -> Played:
        """Run one of our playbooks with the application's variables and these; None leaves a variable out."""
        return play(ROOT / f"playbooks/{name}.yml", self.inventory(**variables), *arguments, **(environment or {}))

    def play(self, tasks: str, *arguments: str, **variables: Any) -> Played:
        """Run tasks given as YAML on the same inventory."""
        playbook = self.scratch / "play.yml"
        steps = yaml.safe_load(tasks)
        playbook.write_text(yaml.safe_dump([{"hosts": "docker_vps", "gather_facts": False, "tasks": steps}]))
        return play(playbook, self.inventory(**variables), *arguments)

    def stack(self, entry: str) -> Played:
        """Run an entry of the role stack alone: absent or main, which is Compose's "down" or "up"."""
        compose = yaml.safe_load((self.directory / "compose.yml").read_text())
        variables = {"stack_image": compose["services"]["app"]["image"]}
        role = {"name": "ptnextjs.docker_vps.stack", "tasks_from": entry}
        return self.play(yaml.safe_dump([{"ansible.builtin.import_role": role, "vars": variables}]))

    def url(self, path: str) -> str:
        """Return a URL at the container's address on its network."""
        address = inspect(self.container)["NetworkSettings"]["Networks"][self.network]["IPAddress"]
        return f"http://{address}:{self.variables.get('docker_vps_port', 3000)}{path}"

    def get(self, path: str) -> Response:
        """Ask the application itself, past any proxy."""
        return request(self.url(path))

    def post(self, path: str, data: Any) -> Response:
        """Send JSON to the application itself."""
        return request(self.url(path), json.dumps(data).encode(), {"Content-Type": "application/json"})

    def becomes_healthy(self, seconds: float = 10) -> None:
        """Wait for the engine's first verdict on the container, and check that it is healthy.

        A release counts as healthy when its check succeeds, up to a start interval before the engine runs that check.
        """

        def verdict() -> str:
            status: str = inspect(self.container)["State"]["Health"]["Status"]
            return "" if status == "starting" else status

        assert until(verdict, seconds, "a verdict on the health") == "healthy"

    def record(self) -> dict[str, Any]:
        """Return what is written down of the live release."""
        found: dict[str, Any] = json.loads((self.directory / "releases/current/release.json").read_text())
        return found

    def env_keys(self) -> dict[str, str]:
        """Return the environment that the running container was given."""
        return dict(pair.split("=", 1) for pair in inspect(self.container)["Config"]["Env"])

    def remove(self) -> None:
        """Remove the application with all its data."""
        containers = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}").split()
        containers += docker("ps", "-aq", "--filter", f"network={self.network}").split()
        for container in dict.fromkeys(containers):
            docker("rm", "--force", "--volumes", container, check=False)
        volumes = [f"{self.name}-db", f"{self.name}-media", *self.variables.get("docker_vps_volumes", {})]
        docker("volume", "rm", "--force", *volumes)
        docker("network", "rm", self.network, check=False)
        # By name: the same image may also have the name of another application.
        for image in docker("images", "--format", "{{.Repository}}:{{.Tag}}", self.container).split():
            docker("rmi", image)
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.backups, ignore_errors=True)


MakeApp = Callable[..., App]


def copied(source: Path, to: Path, **files: str) -> Path:
    """Copy an application's sources and replace or add files in the copy."""
    shutil.copytree(source, to, ignore=shutil.ignore_patterns("node_modules", ".next", "data", "*.db*"))
    for name, text in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_text(text)
    return to


def commit(path: Path) -> str:
    """Commit everything in a directory, which becomes a git repository, and return the commit's id."""
    git = ("git", "-C", str(path), "-c", "user.name=Test", "-c", "user.email=test@example.com")
    if not (path / ".git").exists():
        run(*git, "init", "--quiet", "--initial-branch=main")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--allow-empty", "--message=State")
    return run(*git, "rev-parse", "HEAD").stdout.strip()
