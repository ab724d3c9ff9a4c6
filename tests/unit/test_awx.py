# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX as code: surveys are as the variables are, every answer is right for its play, and schedules are right."""

from __future__ import annotations

import ast
import datetime
import re
from typing import Any, Iterator, Mapping

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.tests.support import awx, sites, variables
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import tasks_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.action.test_validate_roles import WANTED, problems
from ansible_collections.ptnextjs.docker_vps.tests.unit.test_roles import made
from dateutil.rrule import rrulestr
from zoneinfo import ZoneInfo

SITE = ROOT / "examples/site/awx"


class Loader(yaml.SafeLoader):
    """Reads what is not a template for Ansible as plain text."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def read(name: str) -> Any:
    return yaml.load((SITE / name).read_text(encoding="utf-8"), Loader)


GENERATED, DEFINITIONS, VARIABLES = read("generated.yml"), read("definitions.yml"), read("variables.yml")
TEMPLATES = {template["job"]: template for template in GENERATED["awx_job_templates"]}
SCHEDULES = {schedule["job"]: schedule["rrule"] for schedule in DEFINITIONS["awx_schedules"]}
OWN = [path.name for path in (ROOT / "roles").iterdir() if path.name != "common"]
QUESTIONS = [
    (job, question) for job, template in TEMPLATES.items() for question in template.get("survey", {"spec": []})["spec"]
]


def test_what_is_written_is_up_to_date() -> None:
    stale = [path for path, text in awx.written().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python tests/support/awx.py"


def test_every_playbook_has_a_job_template() -> None:
    playbooks = {f"{verb}.yml" for verb in sites.verbs()}
    assert playbooks == {template["playbook"] for template in TEMPLATES.values()} - {"awx/undo.yml"}
    assert (SITE / "undo.yml").is_file()


def test_every_job_is_run_as_awx_runs_it() -> None:
    """See that tests/awx runs each: by a call of ``ran`` or ``begin``, or by a parameter ``job`` of such a test."""
    run: set[str] = set()
    for call in ast.walk(ast.parse((ROOT / "tests/awx/test_runner.py").read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            first, *further = [*call.args, None]
            if call.func.attr in ("ran", "begin") and isinstance(first, ast.Constant):
                run.add(first.value)
            elif call.func.attr == "parametrize" and isinstance(first, ast.Constant) and first.value == "job":
                run |= {*ast.literal_eval(further[0])}
    assert run == {*TEMPLATES}


@pytest.mark.parametrize(("job", "question"), QUESTIONS, ids=lambda value: str(value)[:40])
def test_awx_accepts_a_question_and_its_default(job: str, question: Mapping[str, Any]) -> None:
    """Make sure of what AWX refuses: it makes no survey at all then, or leaves the default out."""
    kinds = {"text": str, "password": str, "multiplechoice": str, "integer": int, "float": (int, float)}
    assert question["type"] in kinds
    assert isinstance(question["required"], bool)
    assert ("default" in question) is not question["required"]
    if "default" in question:
        assert isinstance(question["default"], kinds[question["type"]])
        assert not isinstance(question["default"], bool)
    if question["type"] == "multiplechoice":
        assert all(isinstance(choice, str) for choice in question["choices"])
        assert question["default"] in question["choices"]
    if question["type"] in ("text", "password"):
        assert len(question.get("default", "x")) >= question["min"]
    assert (question["type"] == "password") is bool(variables.variables()[question["variable"]].get("no_log"))


@pytest.mark.parametrize("job", sorted(set(SCHEDULES) | {"backup", "update", "health", "undo"}))
def test_what_runs_by_itself_needs_no_answer(job: str) -> None:
    assert [question for of, question in QUESTIONS if of == job and question["required"]] == []


KINDS = [GENERATED["awx_secrets_type"], *DEFINITIONS["awx_offsite_types"]]
MOMENTS = ("docker_vps_restore_point_in_time", "docker_vps_logs_since", "docker_vps_logs_until")


def handed_on(answer: Any) -> Any:
    """Return what a play gets of an answer: AWX marks strings with ``!unsafe``, which Ansible reads as YAML."""
    return yaml.safe_load(answer) if isinstance(answer, str) else answer


def answers(question: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the answers that AWX lets through; numbers also as strings, as people give with -e."""
    yield from [question["default"]] if "default" in question else []
    if question["type"] == "multiplechoice":
        yield from question["choices"]
    elif question["type"] in ("integer", "float"):
        yield from (question["min"], question["max"], str(question["min"]))
    elif question["variable"] in MOMENTS:
        yield from ("", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00")
    elif question["min"] == 0:
        yield ""


def validated_by(playbook: str) -> Mapping[str, list[str]]:
    """Return the roles and variables that a play checks."""
    (play,) = yaml.safe_load((ROOT / "playbooks" / playbook).read_text(encoding="utf-8"))
    asked: dict[str, list[str]] = {"roles": [], "variables": []}
    files = [play["tasks"]]
    for task in [task for tasks in files for task in tasks_of(tasks)]:
        file = task.get("ansible.builtin.import_tasks", "")
        if file.endswith("tasks/release.yml"):
            files.append(yaml.safe_load((ROOT / "playbooks/tasks/release.yml").read_text(encoding="utf-8")))
            asked["roles"] += ["preflight", "proxy_network", "env_file", "image", "stack"]
        asked["roles"] += task.get("vars", {}).get("validate_roles", [])
        asked["variables"] += task.get("vars", {}).get("validate_variables", [])
    return asked


@pytest.mark.parametrize(("job", "question"), QUESTIONS, ids=lambda value: str(value)[:40])
def test_every_answer_is_right_for_its_play(job: str, question: Mapping[str, Any]) -> None:
    if job == "undo":
        return
    asked = validated_by(TEMPLATES[job]["playbook"])
    assert asked["roles"]
    wanted = {name: value for values in WANTED.values() for name, value in values.items()}
    for answer in answers(question):
        for given in (answer, handed_on(answer)):
            found = problems({**wanted, question["variable"]: given}, **asked)
            assert found == [], given


def test_an_empty_field_of_a_credential_is_right_for_every_role() -> None:
    wanted = {name: value for values in WANTED.values() for name, value in values.items()}
    kind = GENERATED["awx_secrets_type"]
    for name in kind["injectors"]["extra_vars"]:
        for empty in ("", handed_on("")):
            assert problems({**wanted, name: empty}, roles=sorted(OWN)) == []
    for kind in DEFINITIONS["awx_offsite_types"]:
        assert {*kind["inputs"]["required"]} == {field["id"] for field in kind["inputs"]["fields"]}


def test_a_number_for_a_version_is_refused_with_its_name() -> None:
    (problem,) = problems({**WANTED["image"], "docker_vps_git_version": handed_on("1.10")}, roles=["image"])
    assert problem.startswith("docker_vps_git_version is a number, not a string")


@pytest.mark.parametrize(("given", "in_awx"), [({}, False), ({"awx_job_id": 4711}, True)])
def test_whether_awx_runs_a_play(given: Mapping[str, Any], in_awx: bool) -> None:
    assert made("__docker_vps_in_awx", given) is in_awx


def test_whether_awx_runs_a_play_is_asked_in_a_single_place() -> None:
    files = [path for place in ("playbooks", "roles") for path in (ROOT / place).rglob("*.yml")]
    asking = [path for path in files if re.search(r"\b(awx|tower)_job_id\b", path.read_text(encoding="utf-8"))]
    assert asking == [ROOT / "roles/common/vars/main.yml"]


NAMES = {"maintenance", "fleet", *(f"vps_{job}" for job in TEMPLATES)}
"""What plays keep: later jobs of a workflow get it as extra variables, which win over everything."""


def test_what_plays_keep_for_workflows_has_names_of_its_own() -> None:
    kept: set[str] = set()
    for path in [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").rglob("tasks/*.yml")]:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        plays = [entry for entry in content if "tasks" in entry]
        for task in tasks_of([task for play in plays for task in play["tasks"]] if plays else content):
            data = task.get("ansible.builtin.set_stats", {}).get("data", {})
            kept |= {*data} if isinstance(data, dict) else {"vps_*"}
            own = {*task.get("vars", {}), *task.get("ansible.builtin.set_fact", {}), task.get("register")}
            assert own & NAMES == set(), path
    assert kept == {"maintenance", "fleet", "vps_*"}
    assert not {*variables.variables()} & NAMES


def test_what_the_workflow_branches_on_is_what_update_keeps() -> None:
    text = (ROOT / "playbooks/tasks/released.yml").read_text(encoding="utf-8")
    assert "release: " in text
    assert "vps_update | default({})" in (SITE / "undo.yml").read_text(encoding="utf-8")


# Schedules

SPRING, AUTUMN = datetime.date(2027, 3, 28), datetime.date(2027, 10, 31)  # when clocks in Europe change
UTC = datetime.timezone.utc


def runs(rule: str, day: datetime.date) -> list[datetime.datetime]:
    """Return the runs of the three days around a day."""
    middle = datetime.datetime(day.year, day.month, day.day, tzinfo=UTC)
    near = datetime.timedelta(days=1)
    return rrulestr(rule).between(middle - near, middle + 2 * near - datetime.timedelta(seconds=1), inc=True)


@pytest.mark.parametrize("rule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_rule_is_one_that_awx_takes_and_computes_right(rule: str) -> None:
    assert re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=[A-Z]+;INTERVAL=\d+(;BY[A-Z]+=\w+)*", rule)
    assert "SECONDLY" not in rule
    assert not re.search(r"BYDAY=\d", rule)
    assert not ("BYHOUR" in rule and re.search("HOURLY|MINUTELY", rule))


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_no_run_is_skipped_or_comes_twice_when_clocks_change(day: datetime.date) -> None:
    looks = runs(SCHEDULES["health"], day)
    assert {later - earlier for earlier, later in zip(looks, looks[1:])} == {datetime.timedelta(minutes=5)}
    assert len(looks) == len(set(looks)) == 3 * 288
    local = [look.astimezone(ZoneInfo("Europe/Berlin")) for look in looks if look.date() == day]
    assert len(local) == 288  # though the local day has 23 or 25 hours
    assert [run.isoformat()[-14:] for run in runs(SCHEDULES["backup"], day)] == ["02:00:00+00:00"] * 3


def test_the_rules_of_weeks_and_months() -> None:
    begin, end = datetime.datetime(2027, 1, 1, tzinfo=UTC), datetime.datetime(2028, 1, 1, tzinfo=UTC)
    drills = rrulestr(SCHEDULES["restore_drill"]).between(begin, end)
    assert [(run.month, run.day, run.hour) for run in drills] == [(month, 1, 5) for month in range(1, 13)]
    weeks = rrulestr(SCHEDULES["maintenance"]).between(begin, end)
    assert {(run.isoweekday(), run.hour, run.minute) for run in weeks} == {(7, 3, 30)}
    assert len(weeks) == 52


# The rest


def test_what_is_named_is_there() -> None:
    assert {*SCHEDULES} == {*VARIABLES["awx_schedules_on"]} <= {*TEMPLATES}
    assert {*DEFINITIONS["awx_told_of_success"]} <= {*TEMPLATES}
    nodes = {node["identifier"]: node for node in DEFINITIONS["awx_workflow"]}
    named = {
        other["identifier"] for node in nodes.values() for ways in node.get("related", {}).values() for other in ways
    }
    assert named <= {*nodes} <= {*TEMPLATES}
    for name, node in nodes.items():
        assert node["unified_job_template"]["name"] == f"{{{{ awx_site }}}}: {name}"


def test_no_secret_is_in_the_files() -> None:
    for kind in KINDS:
        assert all("default" not in field for field in kind["inputs"]["fields"])
    assert all({*credential} == {"name", "type"} for credential in VARIABLES["awx_credentials"])
    assert VARIABLES["awx_notifications"] == []


def test_credentials_give_variables_that_there_are() -> None:
    for kind in KINDS:
        fields = {field["id"]: field for field in kind["inputs"]["fields"]}
        for name, given in kind["injectors"]["extra_vars"].items():
            about = variables.variables()[name]
            for template in given.values() if isinstance(given, dict) else [given]:
                field = fields.pop(template.strip("{} "))
                assert field.get("secret", False) or not about.get("no_log") or isinstance(given, dict)
        assert fields == {}


def test_the_execution_environment_has_the_versions_of_the_collection_and_no_others() -> None:
    wanted = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    environment = read("execution-environment.yml")
    dependencies = environment["dependencies"]
    assert environment["version"] == 3
    assert [dependencies["ansible_core"]["package_pip"], *dependencies["python"]] == wanted
    assert dependencies["ansible_runner"]["package_pip"] == "ansible-runner"
    assert [one["type"] for one in dependencies["galaxy"]["collections"]] == ["file"]


def test_jobs_have_the_collections_of_the_image_alone() -> None:
    """See that AWX gets none: what it gets, with a credential of the organization, wins over the image's."""
    assert (ROOT / "examples/site/requirements.yml").is_file()  # which AWX reads
    assert VARIABLES["awx_galaxy_credentials"] == []


def test_the_hosts_are_told_what_the_ignored_settings_say() -> None:
    settings = (ROOT / "examples/site/ansible.cfg").read_text(encoding="utf-8")
    told = DEFINITIONS["awx_inventory_variables"]
    assert told["ansible_pipelining"] is True
    assert "pipelining = true" in settings
    assert f"ssh_args = {told['ansible_ssh_args']}" in settings
