# SPDX-License-Identifier: GPL-3.0-or-later
"""configure.yml with the real modules of awx.awx, against a stand-in for AWX."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from lab import ROOT, Played, clean_environment
from server import Refused, Server

AWX = ROOT / ".cache/awx"
SITE = ROOT / "examples/site/awx"
WEBHOOK = {"name": "site webhook", "type": "webhook", "configuration": {"url": "http://x.example.com/"}}
TOLD = json.dumps({"awx_notifications": [WEBHOOK], "awx_galaxy_credentials": ["Ansible Galaxy"]})


def configure(server: Server, *arguments: str, playbook: Path = SITE / "configure.yml") -> Played:
    """Run the play."""
    environment = clean_environment() | {
        "ANSIBLE_COLLECTIONS_PATH": f"{AWX}/collections:{ROOT}/.ansible/collections",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "CONTROLLER_HOST": server.url,
        "CONTROLLER_OAUTH_TOKEN": "token",
        "CONTROLLER_VERIFY_SSL": "false",
    }
    command = [str(AWX / "venv/bin/ansible-playbook"), str(playbook), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=playbook.parent, check=False)
    return Played(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """AWX after the play."""
    made = Server()
    played = configure(made, "-e", TOLD).succeeded()
    assert played.recap["changed"] > 5
    yield made
    made.close()


def test_the_collection_is_the_one_that_is_pinned() -> None:
    (wanted,) = yaml.safe_load((SITE / "requirements.yml").read_text())["collections"]
    manifest = yaml.safe_load((AWX / "collections/ansible_collections/awx/awx/MANIFEST.json").read_text())
    assert wanted == {"name": "awx.awx", "version": manifest["collection_info"]["version"]}


def test_a_second_run_changes_nothing(server: Server) -> None:
    before = len(server.awx.writes)
    played = configure(server, "-e", TOLD).succeeded()
    assert played.recap["changed"] == 0
    assert server.awx.writes[before:] == []


def test_check_mode_writes_nothing() -> None:
    empty = Server()
    configure(empty, "--check")  # ends where a later object needs an earlier one
    assert empty.awx.writes == []
    empty.close()


def test_every_survey_is_there_as_it_was_written(server: Server) -> None:
    (generated,) = yaml.safe_load_all((SITE / "generated.yml").read_text().replace("!unsafe ", ""))
    for template in generated["awx_job_templates"]:
        made = server.awx.named("job_templates", f"site: {template['job']}")
        assert made["playbook"] == template["playbook"]
        assert server.awx.surveys.get(made["id"]) == template.get("survey")
        assert made["survey_enabled"] is ("survey" in template)


def test_a_scheduled_job_gets_what_the_survey_says(server: Server) -> None:
    health = server.awx.job("site: health", server.awx.named("schedules", "site: health").get("extra_data") or {})
    assert health == {"docker_vps_watch_fail": "critical"}
    assert server.awx.job("site: backup", {}) == {
        "docker_vps_backup_reason": "",
        "docker_vps_backup_accept_loss": "false",
    }
    assert server.awx.job("site: update_to", {"docker_vps_git_version": "v2"})["docker_vps_git_version"] == "v2"
    for answers in (
        {},
        {"docker_vps_git_version": ""},
        {"docker_vps_git_version": "v2", "docker_vps_lock_force": True},
    ):
        with pytest.raises(Refused):
            server.awx.job("site: update_to", answers)
    with pytest.raises(Refused, match="not allowed"):
        server.awx.job("site: update", {"docker_vps_git_version": "v2"})


def test_the_arrows_of_the_workflow(server: Server) -> None:
    nodes = {node["id"]: node["identifier"] for node in server.awx.objects["workflow_job_template_nodes"].values()}
    arrows = {
        (nodes[number], part.removesuffix("_nodes"), nodes[other])
        for (collection, number, part), others in server.awx.related.items()
        if collection == "workflow_job_template_nodes"
        for other in others
    }
    wanted = {("backup", "success", "update"), ("update", "success", "health"), ("health", "failure", "undo")}
    assert arrows == wanted
    assert server.awx.named("workflow_job_templates", "site: safe update")["ask_limit_on_launch"] is True
    for node in server.awx.objects["workflow_job_template_nodes"].values():
        job = server.awx.objects["job_templates"][node["unified_job_template"]]
        assert job["name"] == f"site: {node['identifier']}"


def test_credentials_have_types_and_no_content(server: Server) -> None:
    (made,) = [one for one in server.awx.objects["credentials"].values() if one["name"] == "site SSH"]
    assert not made.get("inputs")
    types = {one["name"]: one for one in server.awx.objects["credential_types"].values()}
    extra = types["docker_vps secrets"]["injectors"]["extra_vars"]
    assert extra["docker_vps_git_token"] == "{{ git_token }}"  # a template for AWX, which Ansible has left alone
    given = types["docker_vps off-site S3 key"]["injectors"]["extra_vars"]["docker_vps_backup_offsite_environment"]
    assert given["AWS_ACCESS_KEY_ID"] == "{{ id }}"


def test_what_is_attached(server: Server) -> None:
    def attached(collection: str, name: str, part: str) -> list[int]:
        return server.awx.related.get((collection, server.awx.named(collection, name)["id"], part), [])

    ssh, galaxy = (server.awx.named("credentials", name)["id"] for name in ("site SSH", "Ansible Galaxy"))
    webhook = server.awx.named("notification_templates", "site webhook")["id"]
    assert attached("organizations", "site", "galaxy_credentials") == [galaxy]
    assert attached("job_templates", "site: health", "credentials") == [ssh]
    assert attached("job_templates", "site: health", "notification_templates_error") == [webhook]
    assert attached("job_templates", "site: health", "notification_templates_success") == []
    assert attached("job_templates", "site: undo", "notification_templates_success") == [webhook]


def test_a_survey_with_booleans_is_not_made_silently(tmp_path: Path) -> None:
    """See that the stand-in refuses what AWX refuses, or these tests would prove nothing."""
    copy = Path(shutil.copytree(SITE, tmp_path / "awx"))
    text = (copy / "generated.yml").read_text()
    head, _templates, _rest = text.partition("awx_job_templates:\n")
    (backup,) = re.findall(r"(?ms)^  - job: backup\n.*?(?=^  - job:)", text)
    wrong = backup.replace("- 'false'", "- false").replace("default: 'false'", "default: false")
    assert wrong != backup
    (copy / "generated.yml").write_text(f"{head}awx_job_templates:\n{wrong}")
    refusing = Server()
    played = configure(refusing, playbook=copy / "configure.yml").failed()
    assert "item=backup" in played.text
    refusing.close()


def test_the_execution_environment_is_one_that_ansible_builder_takes(tmp_path: Path) -> None:
    shutil.copy(SITE / "execution-environment.yml", tmp_path)
    run_in: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True}
    environment = {**os.environ, "PATH": f"{AWX}/venv/bin:{os.environ['PATH']}"}
    build = ["ansible-galaxy", "collection", "build", str(ROOT), "--output-path", str(tmp_path)]
    built = subprocess.run(build, env=environment, check=False, **run_in)
    assert built.returncode == 0, built.stderr
    made = subprocess.run(
        ["ansible-builder", "create", "--output-filename", "Containerfile"], env=environment, check=False, **run_in
    )
    assert made.returncode == 0, made.stdout + made.stderr
    context = tmp_path / "context"
    assert (context / "_build/requirements.yml").is_file()
    (tarball,) = (context / "_build/galaxy").glob("ptnextjs-docker_vps-*.tar.gz")
    named = yaml.safe_load((context / "_build/requirements.yml").read_text())["collections"]
    assert [Path(one["name"]).name for one in named] == [tarball.name]
