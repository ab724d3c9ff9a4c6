# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: by ansible-runner in a private directory, with a random user and the variables of AWX."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import yaml
from lab import ROOT, Played

CACHE = (ROOT / ".cache/awx").resolve()
USER = 1000670000
RUNNER = "/mnt"
"""Where a job finds its private directory."""
RUNNER_OF_IMAGE = "/runner"
"""Where it does in an execution environment, as in AWX."""


class _Unsafe(yaml.SafeDumper):
    """Writes strings as AWX does, so that Ansible never takes them for templates."""


_Unsafe.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


class Awx:
    """Where jobs run: their directories, and the site that they run."""

    def __init__(self, place: Path) -> None:
        self.place, self.number = place, 0

    def job(
        self,
        playbook: str,
        hosts: Mapping[str, Mapping[str, Any]],
        answers: Optional[Mapping[str, Any]] = None,
        *,
        files: Sequence[Path] = (),
        hooks: Sequence[Path] = (),
        home: Optional[str] = "/",
        passwd: bool = True,
        command_line: str = "",
        image: str = "",
    ) -> Job:
        """Begin a job of a playbook of the site.

        Args:
            hosts: those of the inventory, by name.
            answers: to its survey, and artifacts of jobs before.
            files: what it finds in its private directory, such as a key, for itself alone.
            hooks: what the site has in hooks.
            home: the variable HOME; None for none.
            passwd: whether its user has a line in passwd, which the entrypoint of ansible-builder's images writes.
            command_line: further arguments of ansible-playbook.
            image: the execution environment in whose container it runs, which says then what home and passwd are.
        """
        self.number += 1
        stage = self.place / str(self.number)
        private = stage / "runner"
        for name in ("inventory", "env", "cp"):
            (private / name).mkdir(parents=True)
        shutil.copytree(ROOT / "examples/site", private / "project")
        for verb in (ROOT / "playbooks").glob("*.yml"):
            imported = [{"ansible.builtin.import_playbook": f"ptnextjs.docker_vps.{verb.stem}"}]
            (private / "project" / verb.name).write_text(yaml.safe_dump(imported))
        (private / "project/hooks").mkdir()
        for hook in hooks:
            shutil.copy(hook, private / "project/hooks")
        meta = {"job_id": self.number, "user_name": "jane", "job_launch_type": "manual", "job_template_name": playbook}
        extra = {f"{brand}_{name}": value for brand in ("awx", "tower") for name, value in meta.items()}
        (private / "env/extravars").write_text(yaml.dump({**extra, **(answers or {})}, Dumper=_Unsafe))
        (private / "env/cmdline").write_text(command_line)
        listed = {"docker_vps": {"hosts": [*hosts]}, "_meta": {"hostvars": hosts}}
        script = private / "inventory/hosts"
        script.write_text(f"#! /usr/bin/env python3\nprint(r'''{json.dumps(listed)}''')\n")
        script.chmod(0o700)
        for file in files:
            shutil.copy(file, private)
        for path in [private, *private.rglob("*")]:
            os.chown(path, USER, 0)
            if path.is_file() and path.parent == private:
                path.chmod(0o600)
        for path in [private / "project", *(private / "project").rglob("*")]:
            path.chmod(0o777)
        if passwd:
            entry = f"runner:x:{USER}:0::{RUNNER}:/bin/bash\n"
            (stage / "passwd").write_text(Path("/etc/passwd").read_text() + entry)
        place = RUNNER_OF_IMAGE if image else RUNNER
        environment = {
            "LANG": "C.UTF-8",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{place}/cp",
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_FORCE_COLOR": "True",
            "AWX_ISOLATED_DATA_DIR": place,
            "JOB_ID": str(self.number),
        }
        if image:
            own = f"{RUNNER_OF_IMAGE}/requirements_collections"  # what AWX gets with the project, if anything
            environment["ANSIBLE_COLLECTIONS_PATH"] = f"{own}:~/.ansible/collections:/usr/share/ansible/collections"
        else:
            environment |= {
                "PATH": f"{CACHE}/venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin",
                "ANSIBLE_HOME": "/tmp/.ansible",  # as execution-environment.yml says
                "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.ansible/collections",
                **({} if home is None else {"HOME": home}),
            }
        (stage / "environment").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        arguments = (str(private), playbook, str(self.number))
        command = _in_image(stage, image, *arguments) if image else _isolated(stage, *arguments)
        return Job(stage, self.number, command)


def _isolated(stage: Path, _private: str, playbook: str, number: str) -> Sequence[str]:
    """Return the command of a job on this machine."""
    runner = ["ansible-runner", "run", RUNNER, "--playbook", playbook, "--ident", number]
    return [str(ROOT / "tests/awx/isolated.sh"), str(stage), f"awx-job-{number}", sys.base_prefix, *runner]


def _in_image(stage: Path, image: str, private: str, playbook: str, number: str) -> Sequence[str]:
    """Return the command of a job in a container, which is sent its private directory and sends back what happens."""
    runner = str(CACHE / "venv/bin/ansible-runner")
    container = ["docker", "run", "--rm", "--interactive", "--network", "host", "--user", f"{USER}:0"]
    container += ["--env-file", str(stage / "environment"), image]
    pipe = [
        [runner, "transmit", private, "--playbook", playbook, "--ident", number],
        [*container, "ansible-runner", "worker", "--private-data-dir", RUNNER_OF_IMAGE],
        [runner, "process", private, "--ident", number],
    ]
    return ["bash", "-o", "pipefail", "-c", " | ".join(map(shlex.join, pipe))]


class Job:
    """A job under way."""

    def __init__(self, stage: Path, number: int, command: Sequence[str]) -> None:
        self.stage, self.number = stage, number
        with (stage / "printed").open("wb") as printed:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def artifacts(self) -> Path:
        """What ansible-runner writes down."""
        return self.stage / "runner/artifacts" / str(self.number)

    def printed(self) -> str:
        """Return what it has printed so far, without colours."""
        out = self.artifacts / "stdout"
        text = out.read_text(errors="replace") if out.exists() else (self.stage / "printed").read_text(errors="replace")
        return "".join(part.partition("m")[2] if number else part for number, part in enumerate(text.split("\x1b[")))

    def ended(self, seconds: float = 300) -> Played:
        """Wait for its end."""
        code = self.process.wait(timeout=seconds)
        return Played(code, self.printed())

    def kept(self) -> dict[str, Any]:
        """Return what its plays kept with set_stats, which AWX makes artifacts of."""
        for path in sorted((self.artifacts / "job_events").glob("*.json"), reverse=True):
            event = json.loads(path.read_text())
            if event["event"] == "playbook_on_stats":
                found: dict[str, Any] = event["event_data"].get("artifact_data", {})
                return found
        return {}

    def cancel(self, patience: float = 2) -> None:
        """End it as AWX does: SIGTERM for the runner, and SIGKILL for all that is left."""
        with contextlib.suppress(ProcessLookupError):
            inside = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in inside:
                os.kill(int(pid), signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
