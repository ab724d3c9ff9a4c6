# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them, of the site's playbooks, on this machine behind sshd: surveys, artifacts, a cancelled job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from jobs import Awx, Job
from lab import ROOT, STANDIN, App, Played, docker, inspect, until
from servers import Machine

SITE = ROOT / "examples/site/awx"
CONNECTION = yaml.safe_load((SITE / "definitions.yml").read_text().replace("!unsafe ", ""))["awx_inventory_variables"]
TEMPLATES = {
    template["job"]: template
    for template in yaml.safe_load((SITE / "generated.yml").read_text().replace("!unsafe ", ""))["awx_job_templates"]
}


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
        **answers: Any,
    ) -> Job:
        """Begin a job of a template with its survey's defaults, these answers, and artifacts of jobs before."""
        template = TEMPLATES[job]
        spec = template.get("survey", {"spec": []})["spec"]
        given = {question["variable"]: question["default"] for question in spec if "default" in question}
        given |= {f"docker_vps_{name}": answer for name, answer in answers.items()}
        ssh = "-F none -o UserKnownHostsFile=/mnt/known_hosts -o IdentitiesOnly=yes -o BatchMode=yes"
        host = {**self.app.host(), **self.machine.variables, **CONNECTION, **(variables or {})}
        host |= {"ansible_ssh_common_args": ssh, "ansible_ssh_private_key_file": "/mnt/user"}
        files = (self.keys / "user", self.keys / "known_hosts")
        given |= also or {}
        return self.awx.job(
            template["playbook"], {"vps": host}, given, files=files, home=home, command_line=command_line
        )

    def ran(self, job: str, **asked: Any) -> tuple[Played, dict[str, Any]]:
        """Run a job to its end; return how it ended, and what it kept for this host."""
        begun = self.begin(job, **asked)
        played = begun.ended()
        return played, begun.kept()

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


def test_a_deploy_says_what_is_live(site: Site) -> None:
    played, kept = site.ran("deploy", home=None)
    played.succeeded()
    assert "Ansible is being run in a world writable directory" in played.text  # so ansible.cfg says nothing
    assert site.machine.log().count("Accepted publickey") == 1
    record = site.app.record()
    assert record["deployed_by"] == "jane@awx job 1"
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


@pytest.mark.parametrize(
    "job", ["audit", "backup_list", "doctor", "logs", "releases", "restart", "restore_drill", "status"]
)
def test_a_job_with_the_defaults_of_its_survey_succeeds(site: Site, job: str) -> None:
    played, kept = site.ran(job, home=None)
    played.succeeded()
    wanted = {"audit": "findings", "doctor": "findings", "releases": "release", "restore_drill": "set"}
    if job in wanted:
        assert wanted[job] in kept[f"vps_{job}"]["vps"]


def test_a_set_is_exported_to_the_answer(site: Site, tmp_path: Path) -> None:
    played, kept = site.ran("backup_export", export_directory=str(tmp_path / "exported"))
    played.succeeded()
    assert [*(tmp_path / "exported").glob(f"*{kept['vps_backup_export']['vps']['set']}*")]


def test_jobs_that_put_something_live_with_the_defaults_of_their_surveys(site: Site) -> None:
    played, kept = site.ran("rotate_secret")
    played.succeeded()
    assert kept["vps_rotate_secret"]["vps"]["release"] == site.app.record()["id"]
    played, kept = site.ran("maintenance", variables={"docker_vps_maintenance_base": "keep"}, home=None)
    played.succeeded()
    assert [*kept["maintenance"]] == ["vps"]


def test_a_page_is_hidden_by_start_after_a_maintenance_job_of_the_same_workflow(site: Site, tmp_path: Path) -> None:
    flag = tmp_path / "flags/on"
    shown = {"docker_vps_maintenance_flag": str(flag)}
    site.ran("stop", variables=shown)[0].succeeded()
    assert flag.exists()
    site.ran("start", variables=shown, also={"maintenance": {"vps": {"freed": 1}}})[0].succeeded()
    assert not flag.exists()


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
    assert "ROUND" not in site.app.env_keys()


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
