# SPDX-License-Identifier: GPL-3.0-or-later
"""What examples/site has, from which new_site writes sites."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.tests.support import sites

WORKFLOW: Any = yaml.safe_load((sites.SITE / "ci/github.yml").read_text(encoding="utf-8"))
PIPELINE = sites.gitlab_jobs(sites.SITE)
OWN = {"requirements.yml"}  # at the top of a site, and no playbook


def test_a_site_has_a_playbook_for_each_verb_and_no_other() -> None:
    assert {path.stem for path in sites.SITE.glob("*.yml") if path.name not in OWN} == {*sites.verbs()}
    stale = [path for path, text in sites.written().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python tests/support/sites.py"


def test_the_readme_names_files_and_playbooks_that_there_are() -> None:
    text = (sites.SITE / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.]+\.(?:yml|cfg|txt|example))`", text))
    named |= set(
        re.findall(r"(?:ansible-playbook|--requirement|--requirements-file|ansible-vault encrypt) (\S+)", text)
    )
    made = {"vault.yml", "VERB.yml", "requirements.txt"}
    assert len(named) > 8
    assert {name for name in named - made if not (sites.SITE / name).exists()} == set()


def test_git_is_never_given_what_is_secret_or_belongs_to_a_machine(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text((sites.SITE / ".gitignore").read_text(encoding="utf-8"))
    kept = ["deploy.yml", "prod/group_vars/all/vault.yml", "collections/requirements.yml", "ci/gitlab.yml"]
    secret = [
        ".vault-password",
        "prod/vault-password.txt",
        "id_ed25519",
        "deploy.key",
        "tls/www.pem",
        ".env.production",
    ]
    machine = [
        ".ansible/tmp/x",
        ".venv/bin/pip",
        "collections/ansible_collections/x",
        "deploy.retry",
        "x/__pycache__/y",
    ]
    for name in (*kept, *secret, *machine):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    git = ("git", "-C", str(tmp_path))
    subprocess.run([*git, "init", "--quiet"], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    assert {*listed.stdout.split()} == {*kept, ".gitignore"}


def test_the_vault_sample_holds_no_secret_and_every_variable_that_is_named() -> None:
    sample = yaml.safe_load((sites.SITE / "prod/group_vars/all/vault.yml.example").read_text(encoding="utf-8"))
    assert {*sample.values()} == {""}
    named = re.findall(r"vault_\w+", (sites.SITE / "prod/group_vars/docker_vps.yml").read_text(encoding="utf-8"))
    assert {*named} == {*sample}


def test_a_job_in_ci_may_read_alone_and_two_never_overlap() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"] == {"group": "prod", "cancel-in-progress": False}
    # A pull request of somebody else must not get at the secrets.
    assert set(WORKFLOW["on"]) == {"push", "workflow_dispatch"}
    (job,) = WORKFLOW["jobs"].values()
    assert "permissions" not in job
    assert job["environment"] == "prod"
    assert job["timeout-minutes"] > 0
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_secrets_of_ci_are_in_the_environment_of_one_step() -> None:
    (job,) = WORKFLOW["jobs"].values()
    assert not {"env"} & {*WORKFLOW, *job}
    with_secrets = [step for step in job["steps"] if "secrets." in str(step)]
    assert [step["name"] for step in with_secrets] == ["Deploy"]
    for step in job["steps"]:
        # What an expression holds would be read as shell.
        assert "${{" not in step.get("run", "")
        assert not re.search(r"ssh-keyscan|StrictHostKeyChecking=(no|accept-new)|set -x|HOST_KEY_CHECKING", str(step))
    checkout = job["steps"][0]
    assert checkout["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("step", [step for step in WORKFLOW["jobs"]["deploy"]["steps"] if "run" in step], ids=str)
def test_a_step_of_ci_is_shell(step: dict[str, str]) -> None:
    checked = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    played = [shlex.split(line)[1] for line in step["run"].splitlines() if line.startswith("ansible-playbook ")]
    assert all((sites.SITE / name).exists() for name in played)


def test_a_pipeline_deploys_from_the_default_branch_and_tries_in_merge_requests() -> None:
    assert {*PIPELINE} == {"deploy", "dry-run"}
    deploy, dry_run = PIPELINE["deploy"], PIPELINE["dry-run"]
    assert deploy["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
    assert deploy["environment"] == "prod"
    assert "OPTIONS" not in deploy["variables"]
    # Without the key there is no job that could fail for the lack of it.
    assert dry_run["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event" && $SSH_KEY'}]
    assert dry_run["environment"] == {"name": "prod", "action": "access"}, "or it would count as a deployment"
    assert "--check" in dry_run["variables"]["OPTIONS"].split()


@pytest.mark.parametrize("name", PIPELINE)
def test_jobs_of_a_pipeline_never_overlap_nor_show_what_is_secret(name: str) -> None:
    job = PIPELINE[name]
    assert (job["resource_group"], job["interruptible"]) == ("prod", False)
    assert re.fullmatch(r"\d+ minutes", job["timeout"])
    # A directory that all may write to, as runners make it, has no configuration unless it is named.
    assert job["variables"]["ANSIBLE_CONFIG"] == "$CI_PROJECT_DIR/ansible.cfg"
    assert not re.search(r"ssh-keyscan|StrictHostKeyChecking=(no|accept-new)|set -x|HOST_KEY_CHECKING", str(job))
    assert "StrictHostKeyChecking=yes" in str(job["script"])
    # A variable of the type File has a path; what the file holds goes nowhere, but for the key's way to the agent.
    assert re.findall(r".*(?:cat|tr|cp|echo|printf) .*\$.*", "\n".join(job["script"])) == [
        """  { tr -d "\\r" < "$SSH_KEY"; echo; } | ssh-add -"""
    ]
    for lines in (job["before_script"], job["script"]):
        checked = subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_a_pipeline_and_a_workflow_install_and_play_the_same() -> None:
    (job,) = WORKFLOW["jobs"].values()
    steps = "\n".join(step.get("run", "") for step in job["steps"])
    for name in PIPELINE:
        lines = "\n".join([*PIPELINE[name]["before_script"], *PIPELINE[name]["script"]])
        for pattern in (
            r"--requirement(?:s-file)? (\S+)",
            r"ansible-playbook (\S+ -i \S+)",
            r"StrictHostKeyChecking=\w+",
        ):
            assert re.findall(pattern, lines) == re.findall(pattern, steps) != []
    heads = [(sites.SITE / f"ci/{forge}.yml").read_text(encoding="utf-8") for forge in ("github", "gitlab")]
    assert {tuple(re.findall(r"(?m)^#   ([A-Z_]+) ", head)) for head in heads} == {
        ("SSH_KEY", "KNOWN_HOSTS", "VAULT_PASSWORD")
    }
