# SPDX-License-Identifier: GPL-3.0-or-later
"""The action validate_roles on the real roles, with Ansible's own task and templates."""

from __future__ import annotations

from pathlib import Path
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
from ansible_collections.ptnextjs.docker_vps.tests.support import variables
from ansible_collections.ptnextjs.docker_vps.tests.support.certificates import certificate
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
DEFAULTS = yaml.safe_load((ROOT / "roles/common/defaults/main.yml").read_text(encoding="utf-8"))
MADE = yaml.safe_load((ROOT / "roles/common/vars/main.yml").read_text(encoding="utf-8"))
MADE["__docker_vps_database"] = "payload.db"  # which a filter of this collection makes, for which plays have a loader


def trusting(value: Any) -> Any:
    """Return a value whose strings are templates."""
    if isinstance(value, dict):
        return {key: trusting(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusting(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


def validated(given: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    loader = DataLoader()
    task = Task()
    task.args, task.async_val, task.check_mode = arguments, 0, True
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    variables = {"inventory_hostname": "one", **DEFAULTS, **MADE, **given}
    trusted = {name: trusting(value) for name, value in variables.items()}
    action = ActionModule(task, connection, None, loader, Templar(loader=loader, variables=trusted), None)
    result: dict[str, Any] = action.run(task_vars=trusted)
    return result


def problems(given: dict[str, Any], **arguments: Any) -> list[str]:
    """Return the problems, which are also what the failure says."""
    result = validated(given, **arguments)
    assert result["changed"] is False
    assert result.get("failed", False) is bool(result["problems"])
    if result["problems"]:
        message = "Nothing was touched, because variables are wrong: " + " ".join(result["problems"])
        assert result["msg"] == message
    found: list[str] = result["problems"]
    return found


# What a role wants beyond its defaults.
WANTED = {
    "image": {"docker_vps_git_url": "https://git.example.com/site.git"},
    "env_file": {"docker_vps_server_url": "https://www.example.com"},
    "replica": {"docker_vps_replica_url": "s3://bucket/path"},
}


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_of_every_role_are_right(role: str) -> None:
    assert problems(WANTED.get(role, {}), roles=[role]) == []
    path = ROOT / f"roles/{role}/defaults/main.yml"
    own = yaml.safe_load(path.read_text()) if path.exists() else {}
    assert problems({**own, **WANTED.get(role, {})}, roles=[role]) == []


@pytest.mark.parametrize("role", sorted(WANTED))
def test_what_a_role_wants_is_asked_for_by_that_role_only(role: str) -> None:
    others = [other for other in ROLES if other != role]
    (problem,) = problems(
        {name: value for other in others for name, value in WANTED.get(other, {}).items()}, roles=ROLES
    )
    assert problem.startswith(
        ("docker_vps_server_url must be", "docker_vps_replica_url must be", "One of docker_vps_git_url")
    )
    assert (
        problems({name: value for other in others for name, value in WANTED.get(other, {}).items()}, roles=others) == []
    )


def test_every_kind_of_mistake_is_told_at_once() -> None:
    variables = {
        "docker_vps_port": 0,
        "docker_vps_health_interval": "30",
        "docker_vps_puid": 0,
        "docker_vps_contaner": "x",
        "docker_vps_hooks_on_failure": ["/nowhere/tell.yml", []],
        "nobody_else": 1,
    }
    asked = {"roles": ["env_file", "stack", "image"], "variables": ["docker_vps_hooks_on_failure"]}
    assert sorted(problems(variables, **asked)) == [
        "Nothing reads docker_vps_contaner; is docker_vps_container meant?",
        "One of docker_vps_git_url, docker_vps_source_path and docker_vps_image must be set, but none is set.",
        "docker_vps_health_interval must be a duration such as 30s or 1m30s, but is '30'.",
        "docker_vps_hooks_on_failure must hold paths of tasks files, and commands as lists of strings.",
        "docker_vps_hooks_on_failure names /nowhere/tell.yml, and there is no such file on the controller.",
        "docker_vps_port must be a port number between 1 and 65535, but is 0.",
        "docker_vps_puid must be a number between 1 and 4294967294 (never 0, which is root), but is 0.",
        "docker_vps_server_url must be an http:// or https:// address with a host name, but is ''.",
    ]


def test_two_sources_are_one_too_many() -> None:
    (problem,) = problems({**WANTED["image"], "docker_vps_image": "shop:1"}, roles=["image"])
    assert problem.endswith("must be set, but docker_vps_git_url and docker_vps_image are set.")


def test_the_environment_is_judged_before_anything_is_built() -> None:
    variables = {**WANTED["env_file"], "docker_vps_payload_secret": "tok-4711", "docker_vps_env": {"PGID": "0"}}
    (problem,) = problems({**variables, "docker_vps_database_uri": "file:///tmp/x.db"}, roles=["env_file"])
    assert problem.startswith("The environment is invalid: DATABASE_URI must name a file below /data/ ")
    assert "; PAYLOAD_SECRET has 8 characters and must have at least 32; " in problem
    assert "; PGID must be " in problem
    assert "tok-4711" not in problem


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
    found = problems({"docker_vps_env": yaml.safe_load(YAML), **WANTED["env_file"]}, roles=["env_file"])
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
    assert found == [
        *(f"{key} in docker_vps_env is {kind}, {hint.format(key)}" for key, kind in kinds.items()),
        "docker_vps_env has a key that is a date, not a string: put the key in quotes.",
    ]


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("image", "docker_vps_build_args"),
        ("backup", "docker_vps_backup_offsite_environment"),
        ("schedule", "docker_vps_notify_pings"),
    ],
)
def test_every_mapping_of_strings_is_judged(role: str, name: str) -> None:
    (problem,) = problems({name: {"KEY": 0o755}, **WANTED.get(role, {})}, roles=[role])
    assert problem.startswith(f"KEY in {name} is a number, not a string")


def test_build_secrets_are_judged() -> None:
    given = {**WANTED["image"], "docker_vps_build_secrets": {"npm": {"value": "tok-4711", "file": "/x"}}}
    (problem,) = problems(given, roles=["image"])
    assert problem.startswith("npm in docker_vps_build_secrets must be a string, or have either value or file")


@pytest.mark.parametrize(
    ("role", "written", "problem"),
    [
        ("image", "docker_vps_git_version: 1.10", "a number"),
        ("image", "docker_vps_git_version: 0123456", "a number"),
        ("image", "docker_vps_git_version: 2026-01-02", "a date"),
        ("image", "docker_vps_git_token: 12345678901234567890", "a number"),
        ("env_file", "docker_vps_email_from: NO", "true or false"),
        ("env_file", "docker_vps_payload_secret: 12345678901234567890123456789012", "a number"),
        ("schedule", "docker_vps_schedule_backup_calendar: 22:30", "a number"),
        ("logs", "docker_vps_logs_pattern: [a]", "a list"),
        ("preflight", "docker_vps_engine_version_min: 25.10", "a number"),
    ],
)
def test_a_string_that_yaml_made_something_else_of_is_refused(role: str, written: str, problem: str) -> None:
    name = written.partition(":")[0]
    expected = f'{name} is {problem}, not a string: put it in quotes, {name}: "…", or end its template with | string.'
    assert problems({**WANTED.get(role, {}), **yaml.safe_load(written)}, roles=[role]) == [expected]
    quoted = yaml.safe_load(written.replace(": ", ': "', 1) + '"')
    assert not any("not a string" in one for one in problems({**WANTED.get(role, {}), **quoted}, roles=[role]))


def test_items_of_a_list_are_text_as_well() -> None:
    (problem,) = problems({"docker_vps_smoke_test_command": ["chmod", 0o755, "x"]}, roles=["stack"])
    assert problem.startswith(
        'Item 2 of docker_vps_smoke_test_command is a number, not a string: put it in quotes, "…", or'
    )


def test_a_number_for_text_that_is_one_an_empty_value_and_a_choice_are_taken() -> None:
    written = """
        docker_vps_cpu_limit: 0.5
        docker_vps_memory_limit: 536870912
        docker_vps_restart_policy: no
        docker_vps_rollback_to:
    """
    assert problems(yaml.safe_load(written), roles=["stack"]) == []
    (problem,) = problems({"docker_vps_cpu_limit": True}, roles=["stack"])
    assert problem.startswith("docker_vps_cpu_limit is true or false, not a string")


def test_text_is_no_list_no_mapping_and_no_bool() -> None:
    (problem,) = problems({"docker_vps_aliases": "shop"}, roles=["stack"])
    assert problem.startswith("docker_vps_aliases must be a list, but is a string; with -e, give it as JSON")
    assert problems({"docker_vps_external_volumes": "false"}, roles=["stack"]) == []
    (problem,) = problems({"docker_vps_external_volumes": "flase"}, roles=["stack"])
    assert problem == "docker_vps_external_volumes must be true or false, but is 'flase'."
    (problem,) = problems({"docker_vps_build_args": '{"A": "b"}', **WANTED["image"]}, roles=["image"])
    assert problem.startswith("docker_vps_build_args must be a mapping, but is a string")


@pytest.mark.parametrize("name", ["docker_vps_aliases", "docker_vps_external_volumes", "docker_vps_build_args"])
def test_nothing_is_not_called_a_string(name: str) -> None:
    (problem,) = problems({name: None, **WANTED["image"]}, roles=["stack", "image"])
    assert problem.endswith(", but is empty: give it a value, or leave it out.")


def test_a_variable_that_cannot_be_read_is_named() -> None:
    variables = {"docker_vps_aliases": "{{ nowhere }}", "docker_vps_logs_since": "{{ 'x' }}"}
    (problem,) = problems(variables, roles=["stack"])
    assert problem.startswith("docker_vps_aliases cannot be read: ")
    assert "'nowhere' is undefined" in problem
    assert problem.endswith(".")
    # One that this play does not need may be in a vault whose password is not at hand.
    assert problems(variables, roles=["logs"]) == []
    with pytest.raises(AnsibleError, match="'nowhere' is undefined"):
        validated({"stack_image": "{{ nowhere }}"}, roles=["stack"])


def test_a_time_that_yaml_has_read_is_a_time() -> None:
    moment = yaml.safe_load("2026-01-31T12:00:00Z")
    assert problems({"docker_vps_logs_since": moment, "docker_vps_logs_until": moment}, roles=["logs"]) == []
    (problem,) = problems({"docker_vps_logs_since": yaml.safe_load("2026-01-31")}, roles=["logs"])
    assert problem.startswith("docker_vps_logs_since is a date, not a string")


def test_a_misspelt_flag_is_not_taken_for_false() -> None:
    variables = {"docker_vps_release_backup": "{{ 'ture' }}", "docker_vps_backup_prune": "No"}
    assert problems(variables, roles=[]) == ["docker_vps_release_backup must be true or false, but is 'ture'."]
    assert problems({"docker_vps_backup_prune": 1}, roles=[]) == []


def test_a_reservation_beyond_its_limit_is_told() -> None:
    (problem,) = problems({"docker_vps_memory_limit": "256M"}, roles=["stack"])
    assert problem == "docker_vps_memory_reservation (512M) must not be more than docker_vps_memory_limit (256M)."
    assert problems({"docker_vps_memory_limit": "auto", "docker_vps_cpu_limit": 0.5}, roles=["stack"]) == []


@pytest.mark.parametrize("variables", [{}, {"docker_vps_port": 0}])
def test_the_result_is_what_is_documented(variables: dict[str, Any]) -> None:
    documented = yaml.safe_load(RETURN)
    assert set(validated(variables, roles=["stack"])) - {"changed", "failed", "msg"} == set(documented)


def test_a_wrong_type_is_told() -> None:
    (problem,) = problems({"docker_vps_port": "http"}, roles=["stack"])
    assert problem.startswith("docker_vps_port must be a whole number, but is a string.")
    assert problem.endswith(".")


def test_a_wrong_choice_is_told() -> None:
    (problem,) = problems({"docker_vps_restart_policy": "sometimes"}, roles=["stack"])
    assert "docker_vps_restart_policy" in problem
    assert "unless-stopped" in problem


def test_templates_are_resolved_first() -> None:
    variables = {"base": 4, "docker_vps_port": "{{ base * 1000 }}", "docker_vps_network": "{{ 'a b' }}"}
    assert problems(variables, roles=["stack"]) == [
        "docker_vps_network must be a name of letters, digits, dots, dashes and underscores, but is 'a b'."
    ]


def test_no_secret_is_shown() -> None:
    secret = {
        "docker_vps_payload_secret": ["s3cr3t"],
        "docker_vps_env": "s3cr3t",
        "docker_vps_sendgrid_api_key": {"a": "s3cr3t"},
    }
    result = validated(secret, roles=["env_file"])
    assert result["failed"] is True
    assert "s3cr3t" not in str(result)


@pytest.mark.parametrize("arguments", [{}, {"roles": [], "wrods": []}, {"roles": {"a": 1}}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(AnsibleError):
        validated({}, **arguments)


def test_volumes_are_mounted_apart_from_each_other() -> None:
    further = {"docker_vps_volumes": {"shop-cache": "/data/cache"}}
    (problem,) = problems(further, roles=["stack"])
    assert problem.startswith(
        "docker_vps_volumes mounts shop-cache at /data/cache, and ptnextjs-db is mounted at /data."
    )
    assert problems({**further, "docker_vps_database_mount": "/srv"}, roles=["stack"]) == []
    (problem,) = problems({"docker_vps_volumes": {"shop-cache": "cache"}}, roles=["stack"])
    assert problem.startswith("docker_vps_volumes must be a mapping from names of volumes")
    none = {"docker_vps_media_volume": "", "docker_vps_volumes": {"shop-pub": "/app/public"}}
    assert problems(none, roles=["stack"]) == []
    (problem,) = problems({**none, "docker_vps_media_volume": "shop-media"}, roles=["stack"])
    assert "and shop-media is mounted at /app/public/media." in problem


def test_keys_that_are_given_as_files_are_judged() -> None:
    given = {"docker_vps_secret_keys": ["S3_KYE", "DATABASE_URI"], "docker_vps_env": {"PAYLOAD_SECRET_FILE": "/x"}}
    told = [
        "docker_vps_secret_keys names S3_KYE, which docker_vps_env does not have. Add them there, or take them out.",
        "docker_vps_secret_keys names DATABASE_URI, which is taken for secret when it has a password, and is read in "
        "the container's environment otherwise. Take it out.",
    ]
    assert problems(given, roles=["stack"]) == told
    both = "docker_vps_env has PAYLOAD_SECRET_FILE, which docker_vps_secrets: files adds. Take it out."
    assert problems({**given, "docker_vps_secrets": "files"}, roles=["stack"]) == [*told, both]


def test_what_a_reverse_proxy_cannot_serve(tmp_path: Path) -> None:
    def problems(**given: Any) -> list[str]:
        variables = {f"docker_vps_{name}": value for name, value in {"reverse_proxy": "caddy", **given}.items()}
        found: list[str] = validated(variables, roles=["reverse_proxy"])["problems"]
        return found

    text, key = certificate(tmp_path, "shop.test")
    pair = {"tls": "certificate", "tls_certificate": text, "tls_key": key}
    assert problems(domains=["shop.test"]) == problems(domains=["shop.test"], **pair) == []
    assert problems(domains=[]) == [
        "The reverse proxy needs a name for the site. Set docker_vps_domains or docker_vps_server_url."
    ]
    assert problems(domains=["Shop.test"])[0].startswith("docker_vps_domains must be a list of different names")
    assert problems(domains=["shop.test"], reverse_proxy="nginx")[0].startswith("Nginx gets no certificates by itself.")
    assert "is not for that name, and it is to be for blog.test" in problems(domains=["blog.test"], **pair)[0]
    assert problems(domains=["blog.test"], **pair, reverse_proxy_state="absent") == []


ABOUT = variables.variables()
SCALARS = sorted(name for name, about in ABOUT.items() if about["type"] in ("bool", "int", "float"))


def as_a_string(value: Any) -> str:
    """Return a value as ``-e name=value`` and a survey of AWX give it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", SCALARS)
def test_a_number_or_flag_may_be_a_string(name: str) -> None:
    """Surveys of AWX have no booleans, and -e has nothing but strings."""
    given = as_a_string(ABOUT[name]["default"])
    assert problems({name: given}, roles=[], variables=[name]) == []


@pytest.mark.parametrize("name", SCALARS)
def test_an_answer_that_was_left_empty_is_refused_by_its_name(name: str) -> None:
    found = problems({name: ""}, roles=[], variables=[name])
    assert len(found) == 1
    assert found[0].startswith(f"{name} must be ")


@pytest.mark.parametrize("given", ["true", "True", "yes", "on", "1", "false", "False", "no", "off", "0"])
def test_each_way_to_say_a_flag_is_taken(given: str) -> None:
    assert problems({"docker_vps_read_only": given}, roles=["stack"]) == []


@pytest.mark.parametrize("given", ["", "maybe", "2", "yes please"])
def test_what_is_no_flag_is_refused(given: str) -> None:
    (problem,) = problems({"docker_vps_read_only": given}, roles=["stack"])
    assert problem == f"docker_vps_read_only must be true or false, but is {given!r}."
