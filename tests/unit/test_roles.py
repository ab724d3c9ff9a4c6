# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house for roles: variables, specs, defaults and prefixes fit together."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.ptnextjs.docker_vps.plugins.filter.database_path import FilterModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import environment, validators
from ansible_collections.ptnextjs.docker_vps.tests.support import proxies, role_pages, sites, variables
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import (
    ROLES,
    all_tasks,
    role_file,
    spec_of_role,
    tasks_of,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from jinja2 import nodes
from jinja2.nativetypes import NativeEnvironment

MADE: Mapping[str, Any] = role_file("common", "vars/main.yml")
OWN = [role for role in ROLES if role != "common"]


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


def own_defaults(role: str) -> dict[str, Any]:
    """Return the defaults of what only plays and other roles tell a role."""
    path = ROOT / f"roles/{role}/defaults/main.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def test_everything_that_is_written_from_the_variables_is_up_to_date() -> None:
    stale = [path for path, text in variables.written().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python tests/support/variables.py"


def test_the_pages_and_metadata_of_roles_are_up_to_date() -> None:
    written = role_pages.written()
    stale = [path for path, text in written.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python tests/support/role_pages.py"
    assert len(written) == 2 * len(ROLES)


def test_the_examples_of_proxies_are_what_the_role_makes() -> None:
    stale = [path for path, text in proxies.written().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python tests/support/proxies.py"


def test_a_variable_says_what_it_needs_and_no_more() -> None:
    known = {"default", "type", "elements", "choices", "no_log", "kind", "required_by", "at_most", "env", "description"}
    for name, about in variables.variables().items():
        assert name.startswith("docker_vps_")
        assert {"default", "type", "description"} <= set(about) <= known, name
        assert ("elements" in about) is (about["type"] == "list"), name
        assert set(about.get("required_by", ())) <= set(OWN), name
        assert about.get("at_most", name) in variables.variables(), name


def test_a_default_is_written_in_its_type() -> None:
    plain = {name: about for name, about in variables.variables().items() if "{{" not in str(about["default"])}
    assert len(plain) > 130
    spec = {
        name: {key: about[key] for key in ("type", "elements", "choices") if key in about}
        for name, about in plain.items()
    }
    given = {name: about["default"] for name, about in plain.items()}
    checked = ArgumentSpecValidator(spec).validate(given, validate_role_argument_spec=True)
    assert checked.error_messages == []
    for name, value in given.items():
        assert type(checked.validated_parameters[name]) is type(value) or plain[name]["type"] == "float"


def test_every_variable_is_read_by_a_role_or_a_play() -> None:
    plays = [path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").rglob("*.yml")]
    contents = [content for role in OWN for content in variables.contents_of(role)]
    assert variables.read_by([*plays, *contents]) == list(variables.variables())


def test_nothing_names_a_variable_that_is_none() -> None:
    known = {*variables.variables(), "docker_vps_failure"}  # which hooks are given
    found = set()
    for folder in (".config", "docs", "examples", "inventories", "molecule", "playbooks", "roles"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".md", ".yml", ".j2") and "node_modules" not in path.parts:
                names = re.findall(r"(?<![\w.])docker_vps_[a-z_0-9]*[a-z0-9]\b(?!_)", path.read_text(encoding="utf-8"))
                found |= {f"{path}: {name}" for name in set(names) - known}
    assert found == set()


@pytest.mark.parametrize("role", OWN)
def test_the_spec_of_a_role_has_exactly_what_it_reads(role: str) -> None:
    spec = spec_of_role(role)
    read = variables.read_by(variables.contents_of(role))
    assert list(spec) == [*own_defaults(role), *read]
    for name, option in spec.items():
        assert not {"default", "required"} & set(option), name
        assert {"description", "type"} <= set(option), name


@pytest.mark.parametrize("role", OWN)
def test_each_task_file_without_an_underscore_is_an_entry_with_a_spec(role: str) -> None:
    entries = role_file(role, "meta/argument_specs.yml")["argument_specs"]
    files = {path.stem for path in (ROOT / "roles" / role / "tasks").iterdir()}
    assert set(entries) == {name for name in files if not name.startswith("_")}
    for name, about in entries.items():
        assert about["short_description"], name
        assert about["description"], name
        assert set(about["options"]) <= set(spec_of_role(role)) | {"reverse_proxy_only_looks"}, name


@pytest.mark.parametrize("role", OWN)
def test_what_an_entry_includes_is_known(role: str) -> None:
    """Its spec has the variables of the files that it names, so that a name must not be a template."""
    for entry in {*variables.entries(role)} - {*variables.WHOLE}:
        text = "".join(variables.contents_of_entry(role, entry))
        assert not re.search(r'(_tasks|^ +file): "\w*{{.*}}\.yml"$', text, re.MULTILINE), entry


def test_the_files_that_an_entry_reaches() -> None:
    spec = role_file("stack", "meta/argument_specs.yml")["argument_specs"]
    assert set(spec["absent"]["options"]) == {"docker_vps_app", "docker_vps_directory"}
    assert {"docker_vps_cutover", "docker_vps_rollback_to"} <= set(spec["rollback"]["options"])  # of _cutover.yml
    replica = role_file("replica", "meta/argument_specs.yml")["argument_specs"]["point_in_time"]["options"]
    assert {"docker_vps_replica_url", "docker_vps_replica_environment"} <= set(replica)  # of templates


@pytest.mark.parametrize("play", sorted((ROOT / "playbooks").rglob("*.yml")), ids=lambda play: play.stem)
def test_a_play_that_has_checked_all_variables_does_not_check_them_again(play: Path) -> None:
    """Ansible would by the spec of each entry, which is another task for each role."""
    content = yaml.safe_load(play.read_text(encoding="utf-8"))
    lists = [each.get("tasks") for each in content if "hosts" in each] or [content]
    for task in (task for tasks in lists for task in tasks_of(tasks)):
        role = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
        assert "tasks_from" not in role or role.get("rolespec_validate") is False, task["name"]


def files_of(play: Path) -> set[Path]:
    """Return the files of a play, with the tasks files that it names, and those that they name."""
    found: set[Path] = set()
    ahead = [play]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            names = re.findall(r"[\w/]+\.yml", path.read_text(encoding="utf-8"))
            ahead += [tasks for name in names if (tasks := ROOT / "playbooks/tasks" / Path(name).name).exists()]
    return found


@pytest.mark.parametrize("verb", sites.verbs())
def test_a_play_checks_what_it_reads(verb: str) -> None:
    paths = files_of(ROOT / f"playbooks/{verb}.yml")
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    roles = {role for names in re.findall(r"validate_roles: \[(.*)\]", text) for role in names.split(", ")}
    used = set(re.findall(r"name: ptnextjs\.docker_vps\.(\w+)\n", text)) & set(OWN)
    assert used, "no role at all"
    checked = {name for role in roles for name in spec_of_role(role)}
    checked |= set(re.findall(r"^ +- (docker_vps_\w+)$", text, re.MULTILINE))
    # Ansible itself reads some of them before any task, and flags are checked in each play.
    others = {"docker_vps_hosts", "docker_vps_serial", "docker_vps_max_fail_percentage"}
    read = [name for name in variables.read_by([text]) if variables.variables()[name]["type"] != "bool"]
    assert [name for name in read if name not in checked | others] == []


@pytest.mark.parametrize("path", sorted({*(ROOT / "roles").rglob("*"), *(ROOT / "playbooks").rglob("*.yml")}), ids=str)
def test_a_flag_is_read_as_true_or_false(path: Path) -> None:
    """With -e it is a string, of which each is true but the empty one."""
    if not path.is_file() or path.suffix == ".md" or {"meta", "defaults"} & {*path.parts}:
        return
    flags = [name for name, about in variables.variables().items() if about["type"] == "bool"]
    read = re.findall(rf"(?<![\w-])(?:{'|'.join(flags)})(?!\w|:|=)(?! \| bool).*", path.read_text(encoding="utf-8"))
    assert read == []


CONDITIONS = {"when", "until", "failed_when", "changed_when", "that"}
# Where a string would be an error, or count as true when it is 0. A filter and a test come with their arguments.
NUMERIC = (nodes.Compare, nodes.Operand, nodes.UnaryExpr, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call)
NUMERIC += (
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.And,
    nodes.Or,
    nodes.If,
    nodes.CondExpr,
)
CONVERTED = {"int", "float", "string", "default", "quoted"}


def templates_of(node: Any) -> Iterator[str]:
    """Yield the templates in what a YAML file holds, with conditions as such."""
    if isinstance(node, dict):
        for key, value in node.items():
            conditions = value if isinstance(value, list) else [value]
            bare = [one for one in conditions if key in CONDITIONS and isinstance(one, str) and "{{" not in one]
            yield from (f"{{{{ {one} }}}}" for one in bare)
            yield from templates_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from templates_of(value)
    elif isinstance(node, str) and "{{" in node:
        yield node


def unconverted(template: str) -> list[str]:
    """Return the numbers that a template compares, counts with or hands to a filter as they are given."""
    known = {name for name, about in variables.variables().items() if about["type"] in ("int", "float")}
    found = []
    for node in JINJA.parse(template).find_all(NUMERIC):
        if getattr(node, "name", getattr(getattr(node, "node", None), "name", "")) not in CONVERTED:
            found += [child.name for child in node.iter_child_nodes() if getattr(child, "name", "") in known]
    return found


JINJA = NativeEnvironment()
JINJA.filters = JINJA.tests = defaultdict(lambda: str)  # type: ignore[assignment]  # whatever Ansible has
READ = [
    path
    for path in sorted({*(ROOT / "roles").rglob("*"), *(ROOT / "playbooks").rglob("*")})
    if path.suffix in (".yml", ".j2") and not {"meta", "defaults"} & {*path.parts}
]


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of regular expressions
@pytest.mark.parametrize("path", READ, ids=str)
def test_a_number_is_read_as_a_number(path: Path) -> None:
    """With -e and in surveys of AWX it is a string."""
    text = path.read_text(encoding="utf-8")
    templates = [text] if path.suffix == ".j2" else templates_of(yaml.safe_load(text))
    assert [name for template in templates for name in unconverted(template)] == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ docker_vps_port }}", 0),
        ("{{ 'at ' ~ docker_vps_port }}", 0),
        ("{{ docker_vps_port | int + 1 }}", 0),
        ("{{ x | default(docker_vps_port) }}", 0),
        ("{{ docker_vps_port + 1 }}", 1),
        ("{{ docker_vps_port > 1 }}", 1),
        ("{{ x > docker_vps_port }}", 1),
        ("{{ x | y(docker_vps_port) }}", 1),
        ("{{ x[:docker_vps_port] }}", 1),
        ("{{ a if docker_vps_port else b }}", 1),
        ("{% if docker_vps_port %}x{% endif %}", 1),
        ("{{ a and docker_vps_port }}", 1),
    ],
)
def test_the_check_of_numbers_itself(template: str, found: int) -> None:
    assert len(unconverted(template)) == found


def test_every_key_of_the_environment_that_has_a_rule_is_judged_in_advance() -> None:
    keys = {about["env"]: name for name, about in variables.variables().items() if "env" in about}
    written = MADE["__docker_vps_env_values"]
    assert set(keys) == {key.name for key in environment.KEYS if key.required or key.wrong}
    assert {name: re.sub(r" \| (string|default\('', true\))", "", written[key]) for key, name in keys.items()} == {
        name: f"{{{{ {name} }}}}" for name in keys.values()
    }


@pytest.mark.parametrize("role", OWN)
def test_variables_of_a_role_bear_its_name(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in own_defaults(role))
    inner = ROOT / f"roles/{role}/vars/main.yml"
    made = set(yaml.safe_load(inner.read_text()) if inner.exists() else ())
    made |= {name for task in all_tasks(role) for name in names_made_by(task)}
    assert {name for name in made if not name.startswith((f"{role}_", f"__{role}_"))} == set()


def foreign(text: str, role: str) -> list[str]:
    """Return the variables of other roles that the content of a file mentions."""
    others = "|".join(other for other in OWN if other != role)
    return re.findall(rf"(?<![A-Za-z0-9_.])(?:__)?(?:{others})_(?!drill\b|version_min\b)[a-z0-9_]+", text)


@pytest.mark.parametrize("role", OWN)
def test_a_role_knows_no_other_one(role: str) -> None:
    assert [name for _path, text in role_texts(role) for name in foreign(text, role)] == []
    assert role_file(role, "meta/main.yml")["dependencies"] == ["ptnextjs.docker_vps.common"]


def test_the_check_of_prefixes_itself() -> None:
    assert foreign("{{ stack_image }} __image_look image_host docker_vps_app", "stack") == [
        "__image_look",
        "image_host",
    ]
    assert foreign("{{ stack_image }} ptnextjs.docker_vps.image: env_file:", "image") == ["stack_image"]


@pytest.mark.parametrize("role", ROLES)
def test_tasks_are_named_after_the_role(role: str) -> None:
    title = role.replace("_", " ").capitalize()
    for task in all_tasks(role):
        assert task["name"].startswith(f"{title} | "), task["name"]


def database_of(given: Mapping[str, Any]) -> str:
    """Return the database of a backup that is made of the variables of an inventory."""
    templates = NativeEnvironment()
    templates.filters["ptnextjs.docker_vps.database_path"] = FilterModule().filters()["database_path"]
    values = {"docker_vps_env": {}, "docker_vps_database_uri": "file:///data/payload.db", **given}
    values.setdefault("docker_vps_database_mount", "/data")
    values["docker_vps_backup_volumes"] = {"db": "shop-db", "media": "shop-media"}
    for name in ("__docker_vps_env", "__docker_vps_database", "__docker_vps_backup_database"):
        values[name] = templates.from_string(MADE[name]).render(values)
    return str(values["__docker_vps_backup_database"])


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
def test_backups_read_the_database_as_the_check_of_the_environment_does(uri: str) -> None:
    path = environment.database_path(uri, "/data")
    for given in ({"docker_vps_database_uri": uri}, {"docker_vps_env": {"DATABASE_URI": uri}}):
        assert database_of(given) == (f"db/{path}" if path else "")
    refused = [one for one in environment.problems({"DATABASE_URI": uri}, "/data") if one.startswith("DATABASE_URI")]
    assert bool(refused) is (not path and uri.startswith("file:"))


def test_the_database_is_known_by_default() -> None:
    assert database_of({}) == "db/payload.db"
    assert database_of({"docker_vps_env": {"PORT": 1}}) == "db/payload.db"
    elsewhere = {"docker_vps_database_mount": "/srv/db", "docker_vps_database_uri": "file:/srv/db/shop.db"}
    assert database_of(elsewhere) == "db/shop.db"


def made(name: str, given: Mapping[str, Any]) -> Any:
    """Return what roles make of the variables of an inventory."""
    defaults = {name: about["default"] for name, about in variables.variables().items()}
    templates = {**defaults, **MADE, **given}
    trusted = {key: trust_as_template(value) if isinstance(value, str) else value for key, value in templates.items()}
    return Templar(DataLoader(), variables=trusted).template(trusted[name])


def told(role: str, name: str, check_mode: bool, **given: Any) -> str:
    """Return what a role says in the end; ``given`` are results of tasks and variables."""
    return str(made(name, {**role_file(role, "vars/main.yml"), "ansible_check_mode": check_mode, **given}))


CHANGED, SAME = {"changed": True}, {"changed": False}
SITE = {"docker_vps_reverse_proxy": "caddy", "docker_vps_domains": ["a.example"]}
ABSENT = {**SITE, "docker_vps_reverse_proxy_state": "site_absent"}


@pytest.mark.parametrize(
    ("role", "given", "done", "dry_run"),
    [
        ("firewall", {"docker_vps_firewall": "absent", "__firewall_result": CHANGED},
         "Firewall: none of ours.", "Firewall: ours would be removed."),
        ("firewall", {"docker_vps_firewall": "absent", "__firewall_result": SAME},
         "Firewall: none of ours, as before.", "Firewall: none of ours, as before."),
        ("firewall", {"__firewall_result": {**CHANGED, "ssh_ports": [22]}},
         "Firewall: open to other hosts are 22/tcp for SSH, 80/tcp, 443/tcp, 443/udp.",
         "Firewall: open to other hosts would be 22/tcp for SSH, 80/tcp, 443/tcp, 443/udp."),
        ("reverse_proxy", {**ABSENT, "__reverse_proxy_done": {**CHANGED, "action": "reloaded"}},
         "Reverse proxy: caddy no longer serves a.example (reloaded).",
         "Reverse proxy: caddy would no longer serve a.example (would be reloaded)."),
        ("reverse_proxy", {**ABSENT, "__reverse_proxy_done": {**SAME, "action": ""}},
         "Reverse proxy: caddy no longer serves a.example, as before.",
         "Reverse proxy: caddy no longer serves a.example, as before."),
        ("reverse_proxy", {**SITE, "__reverse_proxy_done": {**CHANGED, "action": "started"}},
         "Reverse proxy: caddy serves a.example (started).",
         "Reverse proxy: caddy would serve a.example (would be started)."),
        ("reverse_proxy", {**SITE, "__reverse_proxy_done": {**SAME, "action": ""}},
         "Reverse proxy: caddy serves a.example, as before.", "Reverse proxy: caddy serves a.example, as before."),
    ],
)  # fmt: skip
def test_a_dry_run_says_what_would_be(role: str, given: dict[str, Any], done: str, dry_run: str) -> None:
    assert told(role, f"{role}_summary", check_mode=False, **given) == done
    assert told(role, f"{role}_summary", check_mode=True, **given) == dry_run


ENGINE: dict[str, Any] = {
    "__engine_lacks": {"packages": [], "engine_version": "26.1.5", "compose_version": "2.26", "buildx_version": "0.13"},
    "__engine_memory": {"content": "U3dhcFRvdGFsOiAwIGtC"},  # SwapTotal: 0 kB
    "docker_vps_deploy_user": "deploy",
    **{
        f"__engine_{task}": {"skipped": True, **SAME}
        for task in (
            "installed",
            "configured",
            "source",
            "started",
            "upgrades",
            "clock",
            "user",
            "key_place",
            "keys",
            "sudo",
        )
    },
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "Docker 26.1.5, Compose 2.26 and Buildx 0.13 are there as before"),
        ({"__engine_started": CHANGED}, "set up docker.service"),
        ({"docker_vps_swap_size": "2G"}, "set up 2G of swap in /swapfile"),
        ({"__engine_upgrades": CHANGED, "__engine_clock": CHANGED},
         "set up security updates, the service that keeps the clock right"),
        ({"__engine_keys": CHANGED, "__engine_user": CHANGED}, "set up the user deploy"),
        ({"__engine_sudo": CHANGED}, "set up the user deploy"),
        ({"__engine_configured": {**CHANGED, "options": ["dns"]}, "__engine_source": CHANGED},
         "configured dns; set up where apt finds Docker"),
    ],
)  # fmt: skip
def test_whatever_was_set_up_is_told(given: dict[str, Any], expected: str) -> None:
    assert told("engine", "engine_summary", check_mode=False, **{**ENGINE, **given}) == f"Engine: {expected}."
    dry_run = expected.replace("configured", "would configure").replace("set up", "would set up")
    assert told("engine", "engine_summary", check_mode=True, **{**ENGINE, **given}) == f"Engine: {dry_run}."
    assert told("engine", "engine_changed", check_mode=True, **{**ENGINE, **given}) == str(bool(given))


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, False),
        ({"__schedule_directories": CHANGED}, True),
        ({"__schedule_installed": CHANGED}, True),
        ({"__schedule_removed": {"results": [{**CHANGED, "item": "/x"}]}}, True),
        ({"__schedule_cron_written": SAME, "__schedule_removed": {"results": [{**SAME, "item": "/x"}]}}, False),
    ],
)
def test_whether_a_schedule_is_another_one(given: dict[str, Any], changes: bool) -> None:
    assert told("schedule", "schedule_changed", check_mode=True, **given) == str(changes)


REPLICA = {f"__replica_{task}": SAME for task in ("place", "host_place", "secrets", "configured", "written", "started")}


@pytest.mark.parametrize(
    ("changed", "done", "dry_run", "changes"),
    [
        ((), "runs as before", "runs as before", False),
        (("place",), "runs as before", "runs as before", True),
        (("secrets", "started"), "was started", "would be started", True),
        # A dry run does not ask Compose, to which the old files would be given.
        (("secrets",), "runs as before", "would be started", True),
        (("configured",), "runs as before", "would be started", True),
        (("started",), "was started", "would be started", True),
    ],
)
def test_whatever_makes_the_replication_anew_is_told(
    changed: tuple[str, ...], done: str, dry_run: str, changes: bool
) -> None:
    given = {**REPLICA, "docker_vps_replica_url": "s3://x", **{f"__replica_{task}": CHANGED for task in changed}}
    assert told("replica", "replica_summary", check_mode=False, **given).startswith(f"Litestream {done}: ")
    assert told("replica", "replica_summary", check_mode=True, **given).startswith(f"Litestream {dry_run}: ")
    assert told("replica", "replica_changed", check_mode=True, **given) == str(changes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"web-1", "example.com"}),
        ({"ansible_host": "192.0.2.1", "docker_vps_build_on": "controller"}, {"web-1", "192.0.2.1", "example.com"}),
        ({"docker_vps_build_on": "elsewhere"}, {"web-1", "elsewhere", "example.com"}),
        ({"docker_vps_build_on": "builder"}, {"web-1", "builder", "build.example.net", "example.com"}),
        (
            {"docker_vps_domains": ["*.example.org"], "docker_vps_watch_time_server": "time"},
            {"web-1", "example.org", "time"},
        ),
        ({"docker_vps_backup_offsite_repository": "rest:https://u:p@kept:8000/x"}, {"web-1", "example.com", "kept"}),
        ({"docker_vps_backup_offsite_repository": "sftp:u@kept:/srv/x"}, {"web-1", "example.com", "kept"}),
        ({"docker_vps_backup_offsite_repository": "s3:https://kept/x"}, {"web-1", "example.com", "kept"}),
        ({"docker_vps_backup_offsite_repository": "/srv/x"}, {"web-1", "example.com"}),
    ],
)
def test_a_report_for_strangers_names_no_machine(given: Mapping[str, Any], expected: set[str]) -> None:
    host = {"inventory_hostname": "web-1", "hostvars": {"builder": {"ansible_host": "build.example.net"}}}
    site = {"docker_vps_server_url": "https://example.com"}
    assert (
        set(made("__stack_private_names", {**role_file("stack", "vars/main.yml"), **host, **site, **given})) == expected
    )


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
    assert made("__docker_vps_build_args", {"docker_vps_server_url": "https://a", **given}) == {
        "NEXT_PUBLIC_SERVER_URL": "https://a",
        **expected,
    }


@pytest.mark.parametrize(
    ("address", "path", "asked"),
    [
        ("", "/", ""),
        ("", "/admin", ""),
        ("https://a/shop", "/", "https://a/shop"),
        ("https://a", "/admin", "https://a/admin"),
        ("https://a/shop/", "/admin?x=1", "https://a/shop/admin?x=1"),
    ],
)
def test_the_page_that_is_asked_for_as_visitors_do(address: str, path: str, asked: str) -> None:
    given = {"docker_vps_server_url": address, "docker_vps_public_check_path": path}
    assert made("__docker_vps_public_url", given) == asked
    assert made("docker_vps_watch_url", given) == asked


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
    assert made("__docker_vps_preflight_commands", given) == expected


FURTHER = {"docker_vps_app": "shop", "docker_vps_volumes": {"shop-cache": "/srv/cache"}}
NO_UPLOADS = {"docker_vps_app": "shop", "docker_vps_media_volume": ""}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("docker_vps_backup_volumes", {}, {"db": "ptnextjs-db", "media": "ptnextjs-media"}),
        ("docker_vps_backup_volumes", FURTHER, {"db": "shop-db", "media": "shop-media", "shop-cache": "shop-cache"}),
        ("docker_vps_backup_volumes", NO_UPLOADS, {"db": "shop-db"}),
        ("docker_vps_drill_mounts", {}, {"db": "/data", "media": "/app/public/media"}),
        (
            "docker_vps_drill_mounts",
            FURTHER,
            {"db": "/data", "media": "/app/public/media", "shop-cache": "/srv/cache"},
        ),
        ("docker_vps_drill_mounts", NO_UPLOADS, {"db": "/data"}),
        ("docker_vps_backup_uploads_query", {}, "SELECT filename FROM media WHERE filename IS NOT NULL"),
        ("docker_vps_backup_uploads_query", NO_UPLOADS, ""),
        ("__docker_vps_own_volumes", FURTHER, ["shop-db", "shop-media", "shop-cache"]),
        ("__docker_vps_own_volumes", NO_UPLOADS, ["shop-db"]),
        ("__docker_vps_own_volumes", {**FURTHER, "docker_vps_external_volumes": True}, []),
        # Which validation tells.
        ("docker_vps_backup_volumes", {"docker_vps_volumes": "x"}, {"db": "ptnextjs-db", "media": "ptnextjs-media"}),
    ],
)
def test_what_is_made_of_the_volumes(name: str, given: Mapping[str, Any], expected: Any) -> None:
    assert made(name, given) == expected


@pytest.mark.parametrize(
    ("timeout", "limit"), [("10s", 9), ("1m30s", 89), ("1.5h", 5399), ("2s", 1), ("2s500ms", 1), ("0.05m", 2)]
)
def test_a_health_check_ends_before_its_timeout_and_in_whole_seconds(timeout: str, limit: int) -> None:
    template = trust_as_template(role_file("stack", "vars/main.yml")["__stack_probe_limit"])
    found = Templar(DataLoader(), variables={"docker_vps_health_timeout": timeout}).template(template)
    assert int(found) == limit


@pytest.mark.parametrize(
    ("name", "given", "fits"),
    [
        ("docker_vps_health_timeout", "2s", True),
        ("docker_vps_health_timeout", "1s", False),  # of which nothing is left for a probe that ends a second before
        ("docker_vps_health_timeout", "500ms", False),
        ("docker_vps_stop_grace_period", "10s", True),
        ("docker_vps_stop_grace_period", "500ms", False),  # which the engine would cut to 0, a kill at once
        ("docker_vps_stop_grace_period", "1500ms", False),
    ],
)
def test_durations_of_which_something_would_be_lost_are_refused(name: str, given: str, fits: bool) -> None:
    assert (validators.wrong({variables.variables()[name]["kind"]: [name]}, {name: given}, bool) == []) is fits
