# SPDX-License-Identifier: GPL-3.0-or-later
"""The action validate_roles on the real roles, with Ansible's own task and templates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar, trust_as_template
from ansible_collections.ptnextjs.docker_vps.plugins.action.validate_roles import ActionModule
from ansible_collections.ptnextjs.docker_vps.plugins.modules.validate_roles import RETURN
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def validated(variables: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    loader = DataLoader()
    task = Task()
    task.args, task.async_val, task.check_mode = arguments, 0, True
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    trusted = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in variables.items()}
    action = ActionModule(task, connection, None, loader, Templar(loader=loader, variables=trusted), None)
    result: dict[str, Any] = action.run(task_vars=trusted)
    return result


def problems(variables: dict[str, Any], **arguments: Any) -> list[str]:
    """Return the problems, which are also what the failure says."""
    result = validated(variables, **arguments)
    assert result["changed"] is False
    assert result.get("failed", False) is bool(result["problems"])
    if result["problems"]:
        told = "Nothing was touched, because variables are wrong: " + " ".join(result["problems"])
        assert result["msg"] == told
    found: list[str] = result["problems"]
    return found


# What a role wants beyond its defaults.
WANTED = {
    "image": {"image_git_url": "https://git.example.com/site.git"},
    "env_file": {"env_file_server_url": "https://www.example.com"},
    "replica": {"replica_url": "s3://bucket/path"},
}


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_of_every_role_are_right(role: str) -> None:
    assert problems(WANTED.get(role, {}), roles=[role]) == []
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    assert problems({**defaults, **WANTED.get(role, {})}, roles=[role]) == []


def test_every_kind_of_mistake_is_told_at_once() -> None:
    variables = {"stack_port": 0, "stack_health_interval": "30", "env_file_puid": 0, "app_nmae": "x", "app_port": 1}
    asked = {"roles": ["env_file", "stack"], "prefix": "app_", "words": ["app_name", "app_port"], "also": ["It rains."]}
    assert problems(variables, **asked) == [
        "Nothing reads app_nmae; is app_name meant?",
        "env_file_server_url must be an http:// or https:// address with a host name, but is ''.",
        "env_file_puid must be a number between 1 and 4294967294 (never 0, which is root), but is 0.",
        "stack_port must be a port number between 1 and 65535, but is 0.",
        "stack_health_interval must be a duration such as 30s or 1m30s, but is '30'.",
        "It rains.",
    ]


def test_the_environment_is_judged_before_anything_is_built() -> None:
    variables = {**WANTED["env_file"], "env_file_payload_secret": "tok-4711", "env_file_extra": {"PGID": "0"}}
    (told,) = problems({**variables, "env_file_database_uri": "file:///tmp/x.db"}, roles=["env_file"])
    assert told.startswith("The environment is not right: DATABASE_URI must name a file below /data/ ")
    assert "; PAYLOAD_SECRET has 8 characters and must have at least 32; " in told
    assert "; PGID must be " in told
    assert "tok-4711" not in told


YAML = """
version: 1.10
mode: 0755
time: 22:30
number: 3000
power: 1e3
switch: NO
day: 2026-01-02
moment: 2026-01-02T03:04:05Z
nothing:
list: [a]
mapping: {a: b}
data: !!binary aGVsbG8=
2026-01-02: key
right: "1.10"
"""


def test_a_value_that_yaml_made_something_else_of_is_refused_by_its_key() -> None:
    told = problems({"env_file_extra": yaml.safe_load(YAML), **WANTED["env_file"]}, roles=["env_file"])
    hint = 'not a string: put the value in quotes, {0}: "…", or end its template with | string.'
    kinds = {
        **dict.fromkeys(("version", "mode", "time", "number"), "a number"),
        "switch": "true or false",
        **dict.fromkeys(("day", "moment"), "a date"),
        "nothing": "empty",
        "list": "a list",
        "mapping": "a mapping",
        "data": "binary data",
    }
    assert told == [
        *(f"{key} in env_file_extra is {kind}, {hint.format(key)}" for key, kind in kinds.items()),
        "env_file_extra has a key that is a date, not a string: put the key in quotes.",
    ]


@pytest.mark.parametrize(
    ("role", "name"),
    [("image", "image_build_args"), ("backup", "backup_offsite_environment"), ("schedule", "schedule_notify_pings")],
)
def test_every_mapping_of_strings_is_judged(role: str, name: str) -> None:
    (told,) = problems({name: {"KEY": 0o755}, **WANTED.get(role, {})}, roles=[role])
    assert told.startswith(f"KEY in {name} is a number, not a string")


@pytest.mark.parametrize(
    ("role", "written", "told"),
    [
        ("image", "image_git_version: 1.10", "a number"),
        ("image", "image_git_version: 0123456", "a number"),
        ("image", "image_git_version: 2026-01-02", "a date"),
        ("image", "image_git_token: 12345678901234567890", "a number"),
        ("env_file", "env_file_email_from: NO", "true or false"),
        ("env_file", "env_file_payload_secret: 12345678901234567890123456789012", "a number"),
        ("schedule", "schedule_backup_calendar: 22:30", "a number"),
        ("logs", "logs_pattern: [a]", "a list"),
        ("preflight", "preflight_engine_version_min: 25.10", "a number"),
    ],
)
def test_text_that_yaml_made_something_else_of_is_refused(role: str, written: str, told: str) -> None:
    name = written.partition(":")[0]
    expected = f'{name} is {told}, not a string: put it in quotes, {name}: "…", or end its template with | string.'
    assert problems({**WANTED.get(role, {}), **yaml.safe_load(written)}, roles=[role]) == [expected]
    quoted = yaml.safe_load(written.replace(": ", ': "', 1) + '"')
    assert not any("not a string" in one for one in problems({**WANTED.get(role, {}), **quoted}, roles=[role]))


def test_items_of_a_list_are_text_as_well() -> None:
    (told,) = problems({"stack_smoke_test_command": ["chmod", 0o755, "x"]}, roles=["stack"])
    assert told.startswith('Item 2 of stack_smoke_test_command is a number, not a string: put it in quotes, "…", or')


def test_a_number_for_text_that_is_one_an_empty_value_and_a_choice_are_taken() -> None:
    written = "{stack_cpu_limit: 0.5, stack_memory_limit: 536870912, stack_restart: no, stack_revision: }"
    assert problems(yaml.safe_load(written), roles=["stack"]) == []
    (told,) = problems({"stack_cpu_limit": True}, roles=["stack"])
    assert told.startswith("stack_cpu_limit is true or false, not a string")


def test_text_is_no_list_no_mapping_and_no_bool() -> None:
    (told,) = problems({"stack_aliases": "shop"}, roles=["stack"])
    assert told.startswith("stack_aliases must be a list, but is text; with -e, give it as JSON")
    (told,) = problems({"stack_external_volumes": "false"}, roles=["stack"])
    assert told.startswith("stack_external_volumes must be true or false, but is text")
    (told,) = problems({"image_build_args": '{"A": "b"}', **WANTED["image"]}, roles=["image"])
    assert told.startswith("image_build_args must be a mapping, but is text")


@pytest.mark.parametrize("name", ["stack_aliases", "stack_external_volumes", "image_build_args"])
def test_nothing_is_not_called_text(name: str) -> None:
    role = name.partition("_")[0]
    (told,) = problems({name: None, **WANTED.get(role, {})}, roles=[role])
    assert told.endswith(", but is empty: give it a value, or leave it out.")


def test_a_word_that_cannot_be_read_is_named() -> None:
    variables = {"app_env": "{{ nowhere }}", "app_name": "{{ 'x' }}", "stack_port": "{{ app_env }}"}
    (told,) = problems(variables, roles=["stack"], words=["app_env", "app_name"], prefix="app_")
    assert told.startswith("app_env cannot be read: ")
    assert "'nowhere' is undefined" in told
    assert told.endswith(".")
    # One that this play does not need may be in a vault whose password is not at hand.
    assert (
        problems({**variables, "stack_port": 4000}, roles=["stack"], words=["app_env", "app_name"], prefix="app_") == []
    )
    with pytest.raises(AnsibleError, match="'nowhere' is undefined"):
        validated({"stack_port": "{{ nowhere }}"}, roles=["stack"], prefix="app_")


def test_a_misspelt_flag_is_not_taken_for_false() -> None:
    flags = ["app_backup", "app_prune", "app_keep", "app_other"]
    variables = {"app_backup": "{{ 'ture' }}", "app_prune": "No", "app_keep": True, "app_hidden": "x"}
    assert problems(variables, roles=[], flags=flags) == ["app_backup must be true or false, but is 'ture'."]
    assert problems({"app_backup": None, "app_prune": 1}, roles=[], flags=flags) == []


def test_a_variable_that_the_play_sets_itself_has_no_effect_in_an_inventory() -> None:
    inventory = {"stack_port": 4000, "stack_container": "given-with-e"}
    variables = {"stack_port": "{{ word }}", "word": 3000, "stack_container": "given-with-e"}
    variables |= {"inventory_hostname": "one", "hostvars": {"one": inventory}}
    (told,) = problems(variables, roles=["stack"], wired=["stack_port", "stack_container", "stack_image"])
    assert told.startswith("stack_port has no effect in this play; set the variable that stands for it instead")
    app = {"app_port": 3000, "stack_port": "{{ app_port }}"}
    asked = {"roles": ["stack"], "wired": ["stack_port"], "prefix": "app_", "words": ["app_port"]}
    (told,) = problems({**variables, **app}, **asked)
    assert told.startswith("stack_port has no effect in this play; set app_port instead")


def test_a_problem_is_told_of_the_variable_in_the_inventory_and_once() -> None:
    wiring = {
        "stack_port": "{{ __app_port }}",
        "env_file_port": "{{ app_port | default(3000) }}",
        "stack_container": "{{ __app_name ~ '-app' }}",
        "__app_port": "{{ app_env.PORT | default(app_port) }}",
        "__app_name": "{{ app_name }}",
    }
    given = {"app_port": 0, "app_env": {}, "app_name": "a b", "inventory_hostname": "one", "hostvars": {"one": {}}}
    told = problems(
        {**WANTED["env_file"], **wiring, **given},
        roles=["env_file", "stack"],
        prefix="app_",
        words=["app_port", "app_env", "app_name"],
        wired=["stack_port", "env_file_port", "stack_container"],
    )
    assert told == [
        "app_port must be a port number between 1 and 65535, but is 0.",
        "app_name must be a name of letters, digits, dots, dashes and underscores, but is 'a b-app'.",
    ]


def test_a_reservation_beyond_its_limit_is_told() -> None:
    (told,) = problems({"stack_memory_limit": "256M"}, roles=["stack"])
    assert told == "stack_memory_reservation (512M) must not be more than stack_memory_limit (256M)."
    assert problems({"stack_memory_limit": "auto", "stack_cpu_limit": 0.5}, roles=["stack"]) == []


@pytest.mark.parametrize("variables", [{}, {"stack_port": 0}])
def test_the_result_is_what_is_documented(variables: dict[str, Any]) -> None:
    told = yaml.safe_load(RETURN)
    assert set(validated(variables, roles=["stack"])) - {"changed", "failed", "msg"} == set(told)


def test_words_are_not_looked_at_without_a_prefix() -> None:
    assert problems({"app_nmae": "x"}, roles=[], words=["app_name"]) == []


def test_a_wrong_type_is_told() -> None:
    (told,) = problems({"stack_port": "http"}, roles=["stack"])
    assert told.startswith("stack_port must be a whole number, but is a string.")
    assert told.endswith(".")


def test_a_wrong_choice_is_told() -> None:
    (told,) = problems({"stack_restart": "sometimes"}, roles=["stack"])
    assert "stack_restart" in told
    assert "unless-stopped" in told


def test_a_choice_says_what_it_needs() -> None:
    assert problems({"image_source": "path"}, roles=["image"]) == [
        "image_path must not be empty with image_source=path."
    ]
    assert problems({"image_source": "path", "image_path": "/"}, roles=["image"]) == []


def test_templates_are_resolved_first() -> None:
    variables = {"base": 4, "stack_port": "{{ base * 1000 }}", "stack_container": "{{ 'a b' }}"}
    assert problems(variables, roles=["stack"]) == [
        "stack_container must be a name of letters, digits, dots, dashes and underscores, but is 'a b'."
    ]


def test_no_secret_is_shown() -> None:
    secret = {
        "env_file_payload_secret": ["s3cr3t"],
        "env_file_extra": "s3cr3t",
        "env_file_sendgrid_api_key": {"a": "s3cr3t"},
    }
    result = validated(secret, roles=["env_file"])
    assert result["failed"] is True
    assert "s3cr3t" not in str(result)


@pytest.mark.parametrize("arguments", [{}, {"roles": [], "wrods": []}, {"roles": {"a": 1}}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(AnsibleError):
        validated({}, **arguments)
