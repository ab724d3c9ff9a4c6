# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house for roles: spec, defaults, ranges, prefixes and wiring fit together."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.ptnextjs.docker_vps.plugins.filter.database_path import FilterModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import environment, validators
from ansible_collections.ptnextjs.docker_vps.tests.support import messages
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import ROLES, all_tasks, role_file, spec_of_role
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from jinja2.nativetypes import NativeEnvironment

WIRING: Mapping[str, Any] = yaml.safe_load((ROOT / "playbooks/roles/wiring/vars/main.yml").read_text(encoding="utf-8"))


def role_texts(role: str) -> Iterator[tuple[Path, str]]:
    for folder in ("tasks", "templates", "defaults", "vars", "handlers", "meta"):
        for path in sorted((ROOT / "roles" / role / folder).rglob("*")):
            if path.is_file():
                yield path, path.read_text(encoding="utf-8")


def names_made_by(task: Mapping[str, Any]) -> set[str]:
    """Return the variables that a task sets."""
    made = {*task.get("vars", {}), *task.get("ansible.builtin.set_fact", {})}
    made |= {task["register"]} if "register" in task else set()
    return {name for name in made if not name.startswith("ansible_")}


@pytest.mark.parametrize("role", ROLES)
def test_the_spec_of_a_role_has_exactly_its_defaults(role: str) -> None:
    assert list(spec_of_role(role)) == list(role_file(role, "defaults/main.yml"))


@pytest.mark.parametrize("role", ROLES)
def test_values_stand_in_the_defaults_only(role: str) -> None:
    for name, option in spec_of_role(role).items():
        assert not {"default", "required"} & set(option), name
        assert {"description", "type"} <= set(option), name
        assert option["type"] != "list" or "elements" in option, name


@pytest.mark.parametrize("role", ROLES)
def test_the_spec_of_a_role_takes_its_defaults(role: str) -> None:
    defaults = role_file(role, "defaults/main.yml")
    checked = ArgumentSpecValidator(spec_of_role(role)).validate(defaults, validate_role_argument_spec=True)
    assert checked.error_messages == []
    # Not even converted: a default is written in its type.
    assert checked.validated_parameters == defaults
    for name, value in defaults.items():
        assert type(checked.validated_parameters[name]) is type(value) or spec_of_role(role)[name]["type"] == "float"


@pytest.mark.parametrize("role", ROLES)
def test_the_ranges_of_a_role_fit_it(role: str) -> None:
    ranges, spec, defaults = (
        role_file(role, "meta/ranges.yml"),
        spec_of_role(role),
        role_file(role, "defaults/main.yml"),
    )
    named = [name for names in ranges["kinds"].values() for name in names]
    assert set(named) <= set(spec)
    assert len(named) == len(set(named))
    required = {"env_file_server_url", "replica_url"}
    judged = {kind: [name for name in names if name not in required] for kind, names in ranges["kinds"].items()}
    assert validators.wrong(judged, defaults, os.path.isdir) == []
    assert validators.excess(ranges.get("at_most", {}), defaults) == []
    for chooser, needs in ranges.get("needs", {}).items():
        assert set(needs) <= set(spec[chooser]["choices"])
        assert set(needs.values()) <= set(spec)


def test_every_key_of_the_environment_that_has_a_rule_is_judged_in_advance() -> None:
    sources = role_file("env_file", "meta/ranges.yml")["environment"]
    written = next(
        task["vars"]["__env_file_values"]
        for task in all_tasks("env_file")
        if "__env_file_values" in task.get("vars", {})
    )
    assert set(sources["keys"]) == {key.name for key in environment.KEYS if key.required or key.wrong}
    templates = {written[key].replace(" | string", "") for key in sources["keys"]}
    assert templates == {f"{{{{ {name} }}}}" for name in sources["keys"].values()}
    assert {*sources["keys"].values(), sources["extra"], sources["mount"]} <= set(spec_of_role("env_file"))


@pytest.mark.parametrize("role", ROLES)
def test_variables_of_a_role_bear_its_name(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in role_file(role, "defaults/main.yml"))
    inner = ROOT / f"roles/{role}/vars/main.yml"
    made = set(yaml.safe_load(inner.read_text()) if inner.exists() else ())
    made |= {name for task in all_tasks(role) for name in names_made_by(task)}
    assert {name for name in made if not name.startswith((f"{role}_", f"__{role}_"))} == set()


def foreign(text: str, role: str) -> list[str]:
    """Return the variables of other roles, and of inventories, that a text mentions."""
    prefixes = [*(other for other in ROLES if other != role), "docker_vps"]
    return re.findall(rf"(?<![A-Za-z0-9_.])(?:__)?(?:{'|'.join(prefixes)})_[a-z0-9_]+", text)


def told(role: str) -> Iterator[str]:
    """Yield the variables of inventories that messages of a role tell people to change."""
    for one in messages.in_tasks():
        if one.file.startswith(f"roles/{role}/"):
            yield from re.findall(r"docker_vps_[a-z_]+", re.sub(r"<\w[^>]*>", " ", one.text))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_knows_no_other_one(role: str) -> None:
    read = Counter(name for _path, text in role_texts(role) for name in foreign(text, role))
    assert read - Counter(told(role)) == Counter()


def test_the_check_of_prefixes_itself() -> None:
    assert foreign("{{ stack_port }} __image_look stack_image docker_vps_app", "stack") == [
        "__image_look",
        "docker_vps_app",
    ]
    assert foreign("{{ stack_port }} ptnextjs.docker_vps.image: env_file:", "image") == ["stack_port"]


@pytest.mark.parametrize("role", ROLES)
def test_tasks_are_named_after_the_role(role: str) -> None:
    title = role.replace("_", " ").capitalize()
    for task in all_tasks(role):
        assert task["name"].startswith(f"{title} | "), task["name"]


def test_the_wiring_sets_only_variables_that_roles_have() -> None:
    known = {name for role in ROLES for name in role_file(role, "defaults/main.yml")}
    assert {name for name in WIRING if not name.startswith("__docker_vps_")} <= known


def wired(given: Mapping[str, Any]) -> str:
    """Return the database of a backup that the wiring makes of the words of an inventory."""
    templates = NativeEnvironment()
    templates.filters["ptnextjs.docker_vps.database_path"] = FilterModule().filters()["database_path"]
    variables = {**given, "backup_volumes": {"db": "shop-db", "media": "shop-media"}}
    for name in ("__docker_vps_database", "backup_database"):
        variables[name] = templates.from_string(WIRING[name]).render(variables)
    return str(variables["backup_database"])


@pytest.mark.parametrize(
    "uri",
    [
        "file:///data/payload.db",
        "file:/data/payload.db",
        "file:/data/my%20shop.db",
        "file:/data//payload.db",
        "file:/data/sub/payload.db",
        "file://localhost/data/payload.db",
        "file:/data",
        "file:/data/../payload.db",
        "file:/app/payload.db",
        "file://data/payload.db",
        "postgres://db.example.com/site",
    ],
)
def test_the_wiring_reads_the_database_as_the_check_of_the_environment_does(uri: str) -> None:
    path = environment.database_path(uri, "/data")
    for given in ({"docker_vps_database_uri": uri}, {"docker_vps_env": {"DATABASE_URI": uri}}):
        assert wired(given) == (f"db/{path}" if path else "")
    refused = [one for one in environment.problems({"DATABASE_URI": uri}, "/data") if one.startswith("DATABASE_URI")]
    assert bool(refused) is (not path and uri.startswith("file:"))


def test_the_wiring_knows_the_database_by_default() -> None:
    assert wired({}) == "db/payload.db"
    assert wired({"docker_vps_env": {"PORT": 1}}) == "db/payload.db"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"docker_vps_env": {"NEXT_PUBLIC_A": "a", "TOKEN": "secret", "X_NEXT_PUBLIC_B": "b"}}, {"NEXT_PUBLIC_A": "a"}),
        ({"docker_vps_env": {"NEXT_PUBLIC_A": "a"}, "docker_vps_build_args": {"NEXT_PUBLIC_A": "b", "C": "c"}},
         {"NEXT_PUBLIC_A": "b", "C": "c"}),
        # The application gets that of docker_vps_env, too.
        ({"docker_vps_env": {"NEXT_PUBLIC_SERVER_URL": "https://b"}}, {"NEXT_PUBLIC_SERVER_URL": "https://b"}),
        # Refused where the environment is judged.
        ({"docker_vps_env": {"NEXT_PUBLIC_A": 1.1}}, {}),
        ({"docker_vps_env": "NEXT_PUBLIC_A=a"}, {}),
    ],
)  # fmt: skip
def test_public_variables_are_given_to_the_build_and_others_are_not(
    given: Mapping[str, Any], expected: Mapping[str, str]
) -> None:
    variables = {"__docker_vps_server_url": "https://a", **given}
    for name in ("__docker_vps_public", "image_build_args"):
        variables[name] = Templar(DataLoader(), variables=variables).template(trust_as_template(WIRING[name]))
    assert variables["image_build_args"] == {"NEXT_PUBLIC_SERVER_URL": "https://a", **expected}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"docker_vps_source_path": "/src", "docker_vps_git_key": "k"}, []),
        ({"docker_vps_git_url": "https://git.example.com/site.git", "docker_vps_git_token": "t"}, ["git"]),
        ({"docker_vps_git_url": "/srv/git:site"}, ["git"]),
        ({"docker_vps_git_url": "git@git.example.com:site.git"}, ["git", "ssh"]),
        ({"docker_vps_git_url": "ssh://git@git.example.com:22/site.git"}, ["git", "ssh"]),
        ({"docker_vps_git_url": "git@host:site", "docker_vps_git_key": "k"}, ["git", "ssh", "ssh-keygen"]),
        ({"docker_vps_git_url": "git@host:site", "docker_vps_git_key_file": "/k"}, ["git", "ssh", "ssh-keygen"]),
        (
            {"docker_vps_git_url": "https://h/a", "docker_vps_git_submodule_keys": {"a": "k"}},
            ["git", "ssh", "ssh-keygen"],
        ),
    ],
)
def test_the_host_needs_what_the_address_of_the_sources_asks_for(given: dict[str, Any], expected: list[str]) -> None:
    variables = {name: trust_as_template(text) for name, text in WIRING.items() if re.match("image_(source|git)", name)}
    variables |= given
    commands = Templar(DataLoader(), variables=variables).template(trust_as_template(WIRING["preflight_commands"]))
    assert commands == expected


@pytest.mark.parametrize(
    ("timeout", "limit"), [("10s", 9), ("1m30s", 89), ("1.5h", 5399), ("2s", 1), ("2s500ms", 1), ("0.05m", 2)]
)
def test_a_health_check_ends_before_its_timeout_and_in_whole_seconds(timeout: str, limit: int) -> None:
    template = trust_as_template(role_file("stack", "vars/main.yml")["__stack_probe_limit"])
    found = Templar(DataLoader(), variables={"stack_health_timeout": timeout}).template(template)
    assert int(found) == limit


@pytest.mark.parametrize(
    ("name", "given", "fits"),
    [
        ("stack_health_timeout", "2s", True),
        ("stack_health_timeout", "1s", False),  # of which nothing is left for a probe that ends a second before
        ("stack_health_timeout", "500ms", False),
        ("stack_stop_grace_period", "10s", True),
        ("stack_stop_grace_period", "500ms", False),  # which the engine would cut to 0, a kill at once
        ("stack_stop_grace_period", "1500ms", False),
    ],
)
def test_durations_of_which_something_would_be_lost_are_refused(name: str, given: str, fits: bool) -> None:
    ranges = {kind: [name] for kind, names in role_file("stack", "meta/ranges.yml")["kinds"].items() if name in names}
    assert (validators.wrong(ranges, {name: given}, os.path.isdir) == []) is fits


def test_the_plays_have_the_defaults_of_the_roles() -> None:
    given = r"\{\{ docker_vps_\w+ \| default\(('[^']*'|[\d.]+|true|false|\[[^]]*\])\)( \| bool)? \}\}"
    found = {name: re.fullmatch(given, str(text).strip()) for name, text in WIRING.items() if not name.startswith("__")}
    wired = {name: yaml.safe_load(match[1]) for name, match in found.items() if match}
    assert {"schedule_backup_calendar", "schedule_drill_cron", "stack_monitor", "backup_keep_daily"} <= {*wired}
    defaults = {name: value for role in ROLES for name, value in role_file(role, "defaults/main.yml").items()}
    assert wired == {name: defaults[name] for name in wired}


def test_the_wiring_names_no_role_variable_twice_and_uses_what_it_defines() -> None:
    text = (ROOT / "playbooks/roles/wiring/vars/main.yml").read_text(encoding="utf-8")
    names = re.findall(r"^([a-z_]+):", text, re.MULTILINE)
    assert len(names) == len(set(names)) == len(WIRING)
    own = {name for name in names if name.startswith("__")}
    others = "".join(path.read_text() for path in (ROOT / "playbooks").rglob("*.yml"))
    assert {name for name in own if len(re.findall(rf"\b{name}\b", others)) < 2} == set()
    assert set(re.findall(r"\b__docker_vps_[a-z_]+", others)) == own
