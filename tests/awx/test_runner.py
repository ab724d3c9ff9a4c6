# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them, of the site's playbooks, on this machine behind sshd: surveys, artifacts, a cancelled job.

Each job template is run once at least, in an order in which each finds what it needs: a unit test says so.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import pytest
import yaml
from execution_environment import build_image, remove_image
from jobs import CACHE, RUNNER, RUNNER_OF_IMAGE, Awx, Job
from lab import ROOT, STANDIN, App, Played, commit, copied, docker, image_of, inspect, run, until
from servers import Machine

SITE = ROOT / "examples/site/awx"
CONNECTION = yaml.safe_load((SITE / "definitions.yml").read_text().replace("!unsafe ", ""))["awx_inventory_variables"]
GENERATED = yaml.safe_load((SITE / "generated.yml").read_text().replace("!unsafe ", ""))
TEMPLATES = {template["job"]: template for template in GENERATED["awx_job_templates"]}
SECRET = "canary-0b1f6f0c-of-a-credential-in-awx"
CREDENTIAL = dict.fromkeys(GENERATED["awx_secrets_type"]["injectors"]["extra_vars"], "")
"""What a credential of the type for secrets gives, of which nobody has filled in a field."""
ID = re.compile(r"\d{8}-\d{6}")
"""Of releases and backup sets."""


PROGRAMS = CACHE / "venv/bin"
HOOK = "{{ '/runner/project' if awx_job_id is defined else inventory_dir ~ '/..' }}/hooks/hook.yml"
"""What docs/awx.md says of paths."""


def encrypted(text: str, vault: Path) -> str:
    """Return a value of YAML that only the password in a file opens."""
    return run(str(PROGRAMS / "ansible-vault"), "encrypt_string", "--vault-password-file", str(vault), text).stdout


class Site:
    """An application on the machine, and jobs that reach it over SSH."""

    def __init__(self, app: App, machine: Machine, place: Path, keys: Path) -> None:
        self.app, self.machine, self.awx, self.keys = app, machine, Awx(place), keys

    def begin(
        self,
        job: str,
        *,
        home: str | None = "/",
        also: Any = None,
        variables: Any = None,
        command_line: str = "",
        image: str = "",
        files: Sequence[Path] = (),
        hooks: Sequence[Path] = (),
        **answers: Any,
    ) -> Job:
        """Begin a job of a template with its survey's defaults, these answers, and artifacts of jobs before."""
        place = RUNNER_OF_IMAGE if image else RUNNER
        template = TEMPLATES[job]
        spec = template.get("survey", {"spec": []})["spec"]
        given = {question["variable"]: question["default"] for question in spec if "default" in question}
        given |= {f"docker_vps_{name}": answer for name, answer in answers.items()}
        ssh = f"-F none -o UserKnownHostsFile={place}/known_hosts -o IdentitiesOnly=yes -o BatchMode=yes"
        host = {**self.app.host(), **self.machine.variables, **CONNECTION, **(variables or {})}
        host |= {"ansible_ssh_common_args": ssh, "ansible_ssh_private_key_file": f"{place}/user"}
        how: dict[str, Any] = {
            "files": (self.keys / "user", self.keys / "known_hosts", *files),
            "hooks": hooks,
            "home": home,
            "command_line": command_line,
            "image": image,
        }
        return self.awx.job(template["playbook"], {"vps": host}, {**given, **(also or {})}, **how)

    def ran(self, job: str, **asked: Any) -> tuple[Played, dict[str, Any]]:
        """Run a job to its end; return how it ended, and what it kept for this host."""
        begun = self.begin(job, **asked)
        played, kept = begun.ended(), begun.kept()
        shown = [path for path in begun.artifacts.rglob("*") if path.is_file() and SECRET in path.read_text()]
        assert not shown, f"a secret can be read in {shown}"
        for values in [values for name, hosts in kept.items() if name.startswith("vps_") for values in hosts.values()]:
            other = [
                value for value in values.values() if not isinstance(value, (int, float)) and not ID.fullmatch(value)
            ]
            assert not other, f"artifacts are ids and numbers: {other}"
        return played, kept

    def health(self) -> str:
        """Return what the engine says of the container."""
        state: str = inspect(self.app.container)["State"].get("Health", {}).get("Status", "")
        return state


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that nothing is deployed on yet."""
    scratch = tmp_path_factory.mktemp("awx")
    with tempfile.TemporaryDirectory(prefix="it-awx-") as place:
        Path(place).chmod(0o755)  # the user of jobs has to get there
        app = App("it-awx", scratch, docker_vps_source_path=str(STANDIN), docker_vps_health_start_interval="500ms")
        app.remove()
        machine = Machine(scratch / "ssh")
        try:
            yield Site(app, machine, Path(place), scratch / "ssh")
        finally:
            machine.close()
            app.remove()


@pytest.fixture(scope="module")
def vps(site: Site) -> Iterator[dict[str, Any]]:
    """A machine of its own with systemd and an engine, as the variables by which jobs reach it."""
    name = "it-awx-vps"
    how = ("--detach", "--privileged", "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp")
    docker("rm", "--force", "--volumes", name, check=False)
    docker("run", *how, "--name", name, image_of("instance_image.sh"))
    try:
        inside = ("docker", "exec", "--interactive", name, "bash", "-c")
        until(lambda: run(*inside, "systemctl is-system-running", check=False).stdout.strip() != "", 60, "its start")
        key = (site.keys / "user.pub").read_text()
        run(*inside, "ssh-keygen -A && mkdir -p -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys", input=key)
        until(lambda: run(*inside, "systemctl start ssh", check=False).returncode == 0, 60, "the start of sshd")
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        with (site.keys / "known_hosts").open("a") as known:
            known.write(f"{address} {docker('exec', name, 'cat', '/etc/ssh/ssh_host_ed25519_key.pub')}\n")
        python = "/usr/bin/python3"
        yield {
            "ansible_host": address,
            "ansible_port": 22,
            "ansible_user": "root",
            "ansible_python_interpreter": python,
        }
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application in git, with the tag v1."""
    sources = copied(STANDIN, tmp_path_factory.mktemp("git") / "app")
    commit(sources)
    run("git", "-C", str(sources), "tag", "v1")
    return sources


def from_git(repository: Path) -> dict[str, Any]:
    """Return what an inventory says of it."""
    address = {"docker_vps_git_url": f"file://{repository}", "docker_vps_git_version": "v1"}
    return {"docker_vps_source_path": "", **address}


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The execution environment."""
    yield build_image()
    remove_image()


def test_a_host_is_set_up_and_works_on_time(site: Site, vps: Mapping[str, Any]) -> None:
    played, kept = site.ran("setup", variables=vps)
    assert played.succeeded().recap["changed"] > 0
    assert site.ran("setup", variables=vps, home=None)[0].succeeded().recap["changed"] == 0
    site.ran("schedule", variables=vps)[0].succeeded()
    units = ("docker", "exec", "it-awx-vps", "systemctl", "list-unit-files", f"{site.app.name}-*.timer")
    assert f"{site.app.name}-backup.timer" in run(*units).stdout
    site.ran("schedule", variables=vps, home=None, schedule_state="absent")[0].succeeded()
    assert site.app.name not in run(*units, check=False).stdout
    assert kept == {}


def test_a_deploy_says_what_is_live(site: Site) -> None:
    secrets = {**CREDENTIAL, "docker_vps_payload_secret": SECRET}
    played, kept = site.ran("deploy", home=None, also=secrets)
    played.succeeded()
    assert site.app.env_keys()["PAYLOAD_SECRET"] == SECRET
    assert "Ansible is being run in a world writable directory" in played.text  # so ansible.cfg says nothing
    assert site.machine.log().count("Accepted publickey") == 1
    record = site.app.record()
    assert record["deployed_by"] == f"jane@awx job {site.awx.number}"
    assert kept == {"vps_deploy": {"vps": {"release": record["id"], "downtime": record["downtime"]}}}


def test_an_update_that_had_nothing_to_do_keeps_nothing(site: Site) -> None:
    played, kept = site.ran("update")
    assert played.succeeded().recap["changed"] == 0
    assert kept == {}


def test_a_dry_run_keeps_nothing(site: Site) -> None:
    played, kept = site.ran("update", command_line="--check", variables={"docker_vps_env": {"ROUND": "dry"}})
    assert played.succeeded().recap["changed"] > 0
    assert kept == {}


def test_a_backup_says_which_set_it_made(site: Site) -> None:
    played, kept = site.ran("backup", backup_reason="before a change", backup_accept_loss="false")
    played.succeeded()
    made = kept["vps_backup"]["vps"]
    assert (site.app.backups / f"manifest-{made['set']}.json").exists() or list(
        site.app.backups.glob(f"*{made['set']}*")
    )
    assert isinstance(made["bytes"], int)
    assert made["downtime"] == 0


@pytest.mark.parametrize("home", [None, "/"])
@pytest.mark.parametrize("job", ["audit", "backup_list", "doctor", "logs", "releases", "restore_drill", "status"])
def test_a_job_with_the_defaults_of_its_survey_succeeds(site: Site, job: str, home: str | None) -> None:
    played, kept = site.ran(job, home=home, command_line="-vvv")
    played.succeeded()
    assert "ESTABLISH SSH CONNECTION" in played.text
    assert " PUT " not in played.text  # as pipelining is on, no module is copied to the host first
    wanted = {"audit": "findings", "doctor": "findings", "releases": "release", "restore_drill": "set"}
    if job in wanted:
        assert wanted[job] in kept[f"vps_{job}"]["vps"]


def test_a_set_is_exported_to_the_answer(site: Site, tmp_path: Path) -> None:
    played, kept = site.ran("backup_export", export_directory=str(tmp_path / "exported"))
    played.succeeded()
    assert [*(tmp_path / "exported").glob(f"*{kept['vps_backup_export']['vps']['set']}*")]


def test_jobs_that_put_something_live_with_the_defaults_of_their_surveys(site: Site) -> None:
    site.ran("restart")[0].succeeded()
    played, kept = site.ran("rotate_secret")
    played.succeeded()
    assert kept["vps_rotate_secret"]["vps"]["release"] == site.app.record()["id"]
    played, kept = site.ran("maintenance", variables={"docker_vps_maintenance_base": "keep"}, home=None)
    played.succeeded()
    assert [*kept["maintenance"]] == ["vps"]


DRY: Mapping[str, Mapping[str, str]] = {
    "backup": {},
    "backup_export": {"export_directory": "/srv/exported"},
    "deploy": {},
    "maintenance": {},
    "remove": {"remove_confirm": "it-awx", "remove_data": "true"},
    "restart": {},
    "restore": {"restore_stop_app": "true"},
    "rollback": {},
    "rotate_secret": {},
    "start": {},
    "stop": {},
}


@pytest.mark.parametrize("verb", DRY)
def test_a_dry_run_keeps_nothing_and_needs_no_other_home(site: Site, verb: str) -> None:
    """Run with the home that they have not elsewhere here; what looks only, and the other jobs, are run with both."""
    home = "/" if verb in ("deploy", "maintenance") else None
    played, kept = site.ran(verb, home=home, command_line="--check", **DRY[verb])
    played.succeeded()
    assert [name for name in kept if name.startswith("vps_")] == []


def test_a_page_is_hidden_by_start_after_a_maintenance_job_of_the_same_workflow(site: Site, tmp_path: Path) -> None:
    flag = tmp_path / "flags/on"
    shown = {"docker_vps_maintenance_flag": str(flag)}
    site.ran("stop", variables=shown)[0].succeeded()
    assert flag.exists()
    site.ran("start", variables=shown, also={"maintenance": {"vps": {"freed": 1}}})[0].succeeded()
    assert not flag.exists()


def test_a_version_is_tried_for_once_and_a_long_silent_build_shows_life(site: Site, repository: Path) -> None:
    before = site.app.record()["id"]
    build = (repository / "build.js").read_text()
    silence = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20000)"
    (repository / "build.js").write_text(f"{build}\n{silence}\n")
    new = commit(repository)
    variables = from_git(repository)
    played, kept = site.ran("update_to", variables=variables, git_version=new)
    assert re.search(r"(?m)^vps \| .*, \d\d s$", played.succeeded().output), played.output
    assert site.app.record()["revision"] == new
    assert kept["vps_update"]["vps"]["release"] == site.app.record()["id"] > before
    site.ran("update", variables=variables, home=None)[0].succeeded()
    assert site.app.record()["revision"] != new
    played, kept = site.ran("rollback", variables=variables, rollback_to=before)
    played.succeeded()
    assert kept["vps_rollback"]["vps"]["rolled_back_to"] == before


def test_the_database_is_replicated(site: Site, tmp_path: Path) -> None:
    variables = {
        "docker_vps_replica_image": image_of("litestream_image.sh"),
        "docker_vps_replica_url": f"file://{tmp_path}/replica",
    }
    try:
        played, _kept = site.ran("replica", variables=variables)
        assert played.succeeded().recap["changed"] > 0
        assert site.ran("replica", variables=variables, home=None)[0].succeeded().recap["changed"] == 0
        assert inspect(f"{site.app.name}-litestream")["State"]["Running"]
    finally:
        docker("rm", "--force", f"{site.app.name}-litestream", check=False)
        docker("network", "rm", f"{site.app.name}-litestream_default", check=False)
        run("rm", "-rf", f"{site.app.directory}-litestream")


def test_jobs_in_the_execution_environment(site: Site, image: str, repository: Path, tmp_path: Path) -> None:
    """See that a container does what this machine did, with another Ansible and another Python."""
    inside = docker(
        "run", "--rm", "--user", "1000670000:0", image, "ansible-galaxy", "collection", "list", "--format", "json"
    )
    (collections,) = json.loads(inside).values()
    assert {"ptnextjs.docker_vps", "community.docker"} <= {*collections}
    vault, hook, mark = (tmp_path / name for name in ("vault", "hook.yml", "mark"))
    vault.write_text("sesame")
    value = encrypted("image", vault).partition("\n")[2].replace(" ", "")
    hook.write_text(yaml.safe_dump([{"ansible.builtin.file": {"path": str(mark), "state": "touch", "mode": "0600"}}]))
    variables = {
        **from_git(repository),
        "docker_vps_env": {"ROUND": {"__ansible_vault": value}},  # as AWX keeps a value of an inventory
        "docker_vps_hooks_before_cutover": [HOOK],
    }
    how: dict[str, Any] = {"files": [vault], "hooks": [hook]}
    how["command_line"] = f"--vault-password-file {RUNNER_OF_IMAGE}/vault"
    played, kept = site.ran("update", image=image, variables=variables, **how)
    played.succeeded()
    assert mark.exists()
    record = site.app.record()
    assert site.app.env_keys()["ROUND"] == "image"
    assert record["deployed_by"] == f"jane@awx job {site.awx.number}"
    released = {"release": record["id"], "set": record["backup"], "downtime": record["downtime"]}
    assert kept == {"vps_update": {"vps": released}}
    played, kept = site.ran("backup", image=image)
    assert ID.fullmatch(kept["vps_backup"]["vps"]["set"]), played.succeeded()
    assert "1 host" in site.ran("status", image=image)[0].succeeded().text
    played, kept = site.ran("restore", image=image)
    assert kept == {"vps_restore": {"vps": {"rows_lost": 0}}}, played.failed()


def test_awx_reads_the_inventory_without_the_passwords_of_vaults(tmp_path: Path) -> None:
    """See what docs/awx.md says: AWX reads it by ansible-inventory, which cannot open an encrypted file."""
    site = copied(ROOT / "examples/site", tmp_path / "site")
    vault = tmp_path / "vault"
    vault.write_text("sesame")
    listed = (str(PROGRAMS / "ansible-inventory"), "-i", str(site / "prod/hosts.yml"), "--list", "--export")
    with (site / "prod/group_vars/docker_vps.yml").open("a") as variables:
        variables.write(f"\ndocker_vps_payload_secret: {encrypted('secret', vault)}\n")
    assert "__ansible_vault" in run(*listed).stdout
    secrets = site / "prod/group_vars/all/vault.yml"
    encrypt = (str(PROGRAMS / "ansible-vault"), "encrypt", "--vault-password-file", str(vault))
    run(*encrypt, f"{secrets}.example", "--output", str(secrets))
    refused = run(*listed, check=False)
    assert refused.returncode != 0
    assert "vault secrets found" in refused.stderr


def test_health_says_how_many_findings_there_are_and_fails_with_the_reason(site: Site) -> None:
    site.ran("backup")[0].succeeded()  # without one, that is critical
    played, kept = site.ran("health")
    played.succeeded()
    assert kept["vps_health"]["vps"]["critical"] == 0
    docker("stop", site.app.container)
    played, kept = site.ran("health", home=None, watch_fail="warning")
    docker("start", site.app.container)
    until(lambda: site.health() == "healthy", 30, "health")
    assert played.failed().recap["failed"] == 1
    assert kept["vps_health"]["vps"]["findings"] >= 1
    assert "1 finding of severity warning or higher: app-state" in played.text.rsplit("FAILED!", 1)[-1]


def test_a_restore_takes_answers_as_strings(site: Site) -> None:
    played, kept = site.ran("restore", restore_stop_app="false")
    assert "runs" in played.failed().text
    assert kept["vps_restore"]["vps"] == {"rows_lost": 0}
    played, kept = site.ran("restore", restore_stop_app="true")
    played.succeeded()
    assert kept["vps_restore"]["vps"]["set"]
    assert kept["vps_restore"]["vps"]["downtime"] > 0


def test_an_update_that_is_cancelled_settles_itself_and_the_next_job_goes_on(site: Site) -> None:
    """See that the host ends what was begun: it finishes the cutover, or undoes it."""
    before = site.app.record()["id"]
    changed = {"docker_vps_env": {"ROUND": "cancelled"}, "docker_vps_monitor": 15}
    job = site.begin("update", variables=changed)
    releases = site.app.directory / "releases"
    until(lambda: [*releases.glob("*/journal.json")] or job.process.poll() is not None, 120, "the cutover")
    assert job.process.poll() is None, job.printed()
    job.cancel()
    until(lambda: not [*releases.glob("*/journal.json")], 60, "the end of the watcher")
    until(lambda: site.health() == "healthy", 60, "health")
    assert site.app.get("/api/health").status == 200
    assert ("ROUND" in site.app.env_keys()) is (site.app.record()["id"] != before)
    refused, kept = site.ran("update", variables=changed)
    assert f"jane@awx job {job.number}" in refused.failed().text
    assert "docker_vps_lock_force" in refused.text
    assert kept == {}
    played, kept = site.ran("update", variables={**changed, "docker_vps_monitor": 1}, lock_force="true")
    played.succeeded()
    live = site.app.record()["id"]
    assert live != before
    assert kept in ({}, {"vps_update": {"vps": {**kept.get("vps_update", {}).get("vps", {}), "release": live}}})
    assert site.app.env_keys()["ROUND"] == "cancelled"


@pytest.mark.parametrize(
    "kept", [{}, {"vps_update": {}}, {"vps_update": {"vps": {"downtime": 1}}}, {"vps_update": {"other": {}}}]
)
def test_without_an_update_of_the_workflow_nothing_is_undone(site: Site, kept: Any) -> None:
    before = site.app.record()["id"]
    played, _kept = site.ran("undo", also=kept)
    assert "This workflow's update put nothing live on vps" in played.failed().text
    assert site.app.record()["id"] == before


def test_an_update_of_the_workflow_is_undone(site: Site) -> None:
    live = site.app.record()["id"]
    played, kept = site.ran("undo", also={"vps_update": {"vps": {"release": live}}})
    played.succeeded()
    assert kept["vps_rollback"]["vps"]["rolled_back_to"] < live
    assert kept["vps_rollback"]["vps"]["rows_lost"] == 0
    assert site.app.env_keys()["ROUND"] != "cancelled"


def test_a_removal_that_nobody_confirmed_removes_nothing(site: Site) -> None:
    site.ran("remove")[0].failed()
    assert site.health() == "healthy"
    site.ran("remove", remove_confirm=site.app.name, remove_data="true")[0].succeeded()
    assert not site.app.directory.exists()


@pytest.mark.parametrize("home", [None, "/", "/tmp"])
def test_a_user_without_a_name_can_look(site: Site, home: str | None) -> None:
    """See what a job does whose user has no line in passwd, as without an entrypoint; ssh would not start."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    job = site.awx.job("status.yml", {"here": local}, home=home, passwd=False)
    played = job.ended().succeeded()
    assert ("1 without an answer" in played.text) is (home != "/tmp")
