# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house for modules: what is documented is what they take and return."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Mapping, Optional

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import (
    export,
    offsite,
    offsite_info,
    set_import,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command import units, watch
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.notify import Notify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import HealthRules, WantedHealth
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import Needs
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Visit
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import apt_packages, engine_config
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.host_info import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules import (
    app_remove,
    app_status_info,
    backup_info,
    backup_prune,
    base_images,
    build_context,
    container_health,
    container_logs,
    deploy_lock,
    env_file,
    host_info,
    image_export,
    image_import,
    image_pull,
    image_push,
    notification,
    public_url_info,
    release_cutover,
    release_info,
    release_recover,
    release_rollback,
    release_start,
    volume_backup,
    volume_restore,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import (
    COLLECTION,
    MODULES,
    PACKAGE,
    PLUGINS,
    PYTHON,
    ROLES,
    all_tasks,
    attributes_of,
    docs,
    options_of,
    role_file,
    text_of,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import (
    ROOT,
    FakeClock,
    FakeEngine,
    FakeHost,
    FakeHostEngine,
    seen,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock, Shop, database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import FakeDisk, FakeImageEngine, built
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, Site
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeRepository, publish_packed
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._backup.test_drill import NAME as DRILLED
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._backup.test_drill import World
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_app_status import (
    Engine as StatusEngine,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_app_status import watched
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_apt_packages import (
    Apt as Packages,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_apt_source import (
    Host as Sources,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_container_logs import (
    NOW,
    FakeLogEngine,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_doctor import Practice
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_engine_config import (
    Service,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_engine_setup import (
    Bare,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_engine_setup import (
    seen as seen_on,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_firewall import (
    Host as Closing,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_host_audit import (
    World as Audited,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_image_pull import (
    FakeRegistryEngine,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_image_sbom import (
    World as SbomWorld,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_maintenance import Maintained
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_reverse_proxy import (
    SHOP as SHOP_SITE,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_reverse_proxy import (
    Container as FrontContainer,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_reverse_proxy import (
    World as ProxyWorld,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_watch import Watched
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._store.test_sqlite_upkeep import filled
from ansible_collections.ptnextjs.docker_vps.tests.unit.repositories import Author, Host


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_documented(module: str) -> None:
    documentation = docs(module, "DOCUMENTATION")
    assert documentation["module"] == module
    assert re.fullmatch(r"\d+\.\d+\.\d+", documentation["version_added"])
    assert not documentation["short_description"].endswith(".")
    assert attributes_of(module)["check_mode"]["support"] == "full"
    for name, entry in docs(module, "RETURN").items():
        assert {"description", "returned", "type"} <= set(entry), name
        for inner in entry.get("contains", {"": entry}).values():
            assert {"description", "type", "sample"} <= set(inner), name


def test_what_only_reads_is_named_so() -> None:
    fragment = f"{COLLECTION}.attributes.info"
    reading = [
        module for module in MODULES if fragment in docs(module, "DOCUMENTATION")["extends_documentation_fragment"]
    ]
    assert reading == [module for module in MODULES if module.endswith("_info")]


PLUGIN_FILES = [path for path in PYTHON if path.split("/")[0] in ("lookup", "filter")]


@pytest.mark.parametrize("path", PLUGIN_FILES)
def test_a_plugin_is_documented(path: str) -> None:
    documentation = yaml.safe_load(text_of(path, "DOCUMENTATION"))
    assert documentation["name"] == Path(path).stem
    assert f"{COLLECTION}.{Path(path).stem}" in text_of(path, "EXAMPLES")
    assert yaml.safe_load(text_of(path, "EXAMPLES"))
    assert yaml.safe_load(text_of(path, "RETURN"))


def test_the_action_group_has_all_modules() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["docker_vps"] == MODULES


LONGEST = 30  # lines of a function in a module


class Asked(Exception):
    """Carries what a module wanted from AnsibleModule."""


def asked_by(module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what a module gives to AnsibleModule."""

    def record(**arguments: Any) -> None:
        raise Asked(arguments)

    code = importlib.import_module(f"{PACKAGE}.plugins.modules.{module}")
    if not hasattr(code, "main"):
        return {"argument_spec": asked_by_action(module), "supports_check_mode": True}
    monkeypatch.setattr(code, "AnsibleModule", record)
    with pytest.raises(Asked) as caught:
        code.main()
    arguments: dict[str, Any] = caught.value.args[0]
    return arguments


def asked_by_action(module: str) -> dict[str, Any]:
    """Return what the action wants that is all there is of a module."""
    action = importlib.import_module(f"{PACKAGE}.plugins.action.{module}").ActionModule

    class Recorder(action):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            self._task = SimpleNamespace(async_val=0, check_mode=True)
            self._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=""))
            self._supports_check_mode = True

        def validate_argument_spec(self, argument_spec: Any) -> None:
            raise Asked(argument_spec)

    with pytest.raises(Asked) as caught:
        Recorder().run()
    spec: dict[str, Any] = caught.value.args[0]
    return spec


def documented(option: Mapping[str, Any]) -> dict[str, Any]:
    """Return what documentation says about an option, as an argument spec has it."""
    keys = ("type", "default", "choices", "elements", "required", "aliases")
    described = {key: option[key] for key in keys if key in option}
    inner = option.get("options") or option.get("suboptions")
    return {**described, "options": {name: documented(one) for name, one in inner.items()}} if inner else described


@pytest.mark.parametrize("module", MODULES)
def test_a_module_reads_parameters_and_exits_and_all_else_is_below(module: str) -> None:
    tree = ast.parse((PLUGINS / f"modules/{module}.py").read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.FunctionDef) for node in tree.body):
        assert (PLUGINS / f"action/{module}.py").exists()
        return
    assert not any(isinstance(node, ast.ClassDef) for node in tree.body)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [one.name for one in functions] in (["main"], ["params_of", "main"])
    lengths = {one.name: (one.end_lineno or 0) - one.lineno + 1 for one in functions}
    assert max(lengths.values()) <= LONGEST, lengths
    imported = [name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names]
    assert "run" in imported
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.endswith("_json")]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_takes_exactly_its_documented_options(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = asked_by(module, monkeypatch)
    spec = arguments["argument_spec"]
    options = options_of(module)
    described = {name: documented(option) for name, option in options.items()}
    assert {name: documented(option) for name, option in spec.items()} == described
    assert arguments["supports_check_mode"] is True
    for name, option in spec.items():
        assert set(option) <= {*documented(option), "no_log", "fallback"}, name
        for variable in option.get("fallback", (None, ()))[1]:
            assert f"E({variable})" in str(options[name]["description"])


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_use_its_options(module: str) -> None:
    tasks = docs(module, "EXAMPLES")
    options = options_of(module)
    names = {*options, *(alias for option in options.values() for alias in option.get("aliases", ()))}
    required = {name for name, option in options.items() if option.get("required")}
    assert tasks
    for task in tasks:
        assert task["name"]
        assert required <= set(task[f"{COLLECTION}.{module}"]) <= names


def uses(task: Mapping[str, Any]) -> Optional[str]:
    """Return which module of ours a task uses."""
    return next((key.rsplit(".", 1)[1] for key in task if key.startswith(f"{COLLECTION}.")), None)


def given_by_name(task: Mapping[str, Any], module: str) -> Mapping[str, Any]:
    """Return the options that a task takes from a variable of the role common, by its module_defaults."""
    template = task.get("module_defaults", {}).get(f"{COLLECTION}.{module}", "")
    named: Mapping[str, Any] = role_file("common", "vars/main.yml")
    return named[template.strip("{} ")] if isinstance(template, str) and template else {}


@pytest.mark.parametrize("role", [role for role in ROLES if all_tasks(role)])
def test_roles_use_our_modules_by_their_options(role: str) -> None:
    tasks = [task for task in all_tasks(role) if uses(task)]
    assert tasks
    for task in tasks:
        module = str(uses(task))
        given = {*(task[f"{COLLECTION}.{module}"] or {}), *given_by_name(task, module)}
        assert given <= set(options_of(module)), task["name"]
        assert {name for name, option in options_of(module).items() if option.get("required")} <= given, task["name"]


def result_of_app_remove(place: Path) -> dict[str, Any]:
    site = Site(place)
    site.deploy("shop:1")
    volumes = {"db": "shop-db", "media": "shop-media"}
    owned = (str(site.home), str(site.home / ".env.production"), ("shop",), tuple(volumes.values()))
    params = app_remove.Params("shop", *owned, str(place / "backups"), "vps", True, "shop", False, volumes)
    return app_remove.run(params, site.engine, check_mode=False)


def result_of_app_status_info(place: Path) -> dict[str, Any]:
    site = Site(place)
    site.deploy("shop:1")
    engine = StatusEngine(site)
    watched(site, "it hangs")
    world = app_status_info.StatusWorld(site.releases, site.sets, lambda: engine, lambda app: {}, site.clock)
    return app_status_info.run(app_status_info.Params("shop", APP), world)


def result_of_container_health(place: Path) -> dict[str, Any]:
    clock = FakeClock()
    engine = FakeEngine(clock, {"app": [(0, seen("starting")), (2.5, seen("healthy"))]}, lines={"app": ["x"]})
    params = container_health.Params(("app",), HealthRules(WantedHealth.HEALTHY), 60, 50)
    return container_health.run(params, engine, clock, check_mode=False)


def result_of_container_logs(place: Path) -> dict[str, Any]:
    given = {"container": "app", "tail": 2, "since": "", "until": "", "pattern": "", "env_file": None, "wait": 0}
    params = container_logs.params_of(given, NOW)
    return container_logs.run(params, FakeLogEngine([(1, "one"), (2, "two"), (3, "three")]), FakeClock())


def result_of_deploy_lock(place: Path) -> dict[str, Any]:
    owner = {"who": "me@here", "purpose": "deploy", "controller": "here", "process": "1:2", "host": "vps"}
    given = {"path": str(place / "deploy.lock"), "owner": owner, "max_age": 3600.0, "force": False, "gone": []}
    given |= {"backups": None, "wait": 0.0}
    taken = deploy_lock.run(deploy_lock.params_of(given), 1_790_000_000.0, False, lambda: {"live": ""})
    return {**taken, "recovered": [], "began": 1.5, "ended": 2.5}  # of the action


def result_of_notification(place: Path) -> dict[str, Any]:
    params = notification.Params(Notify(command=("/nowhere",)), {"job": "deploy", "success": False})
    return notification.run(params, check_mode=False)


def result_of_env_file(place: Path) -> dict[str, Any]:
    owner = place.stat()
    values = {"DATABASE_URI": "file:/data/x.db", "NEXT_PUBLIC_SERVER_URL": "http://x", "PUID": "1", "PGID": "1"}
    params = env_file.Params(str(place / ".env"), values, "/data", owner.st_uid, owner.st_gid, True)
    env_file.run(params, lambda: "0123456789abcdef" * 4, check_mode=False)
    changed = env_file.Params(params.path, {**values, "PUID": "2"}, "/data", owner.st_uid, owner.st_gid, True)
    return env_file.run(changed, lambda: "", check_mode=True)


def result_of_host_info(place: Path) -> dict[str, Any]:
    engine = FakeHostEngine(
        networks={"proxy": {"Driver": "bridge", "Scope": "local"}}, images={"app": ["app:1"]}, containers={"app": {}}
    )
    params = Params(
        Needs("", "", False, 0, 0, ""),
        ("git",),
        ("app",),
        (),
        ("proxy",),
        ("app",),
        ("/etc/hostname",),
        environment={"values": {}, "data_mount": "/data", "owner": "0", "group": "0"},
    )
    return host_info.run(params, lambda: engine, FakeHost(files={"/etc/hostname": ("9f86d081", "0644")}))


def result_of_host_audit(place: Path) -> dict[str, Any]:
    return Audited(place).audit()


def result_of_host_doctor_info(place: Path) -> dict[str, Any]:
    practice = Practice(place)
    practice.clinic.containers["shop-app"]["State"].update(Status="paused", Paused=True)
    return practice.look()


def result_of_host_watch(place: Path) -> dict[str, Any]:
    watched = Watched(place)
    watched.fake.state = {}
    return watch.run(watched.params, watched.world, watch.NEVER, check_mode=False)


def result_of_host_maintenance(place: Path) -> dict[str, Any]:
    maintained = Maintained(place)
    filled(maintained.db / "payload.db")
    maintained.engine.add_image("sha256:9", 5)
    return maintained.maintain()


def result_of_image_export(place: Path) -> dict[str, Any]:
    params = image_export.Params("shop:1", str(place))
    result = image_export.run(params, FakeImageEngine(images={"shop:1": built(b"base")}), check_mode=False)
    return {**result, "source": str(place)}  # of the action


def result_of_image_import(place: Path) -> dict[str, Any]:
    exported = result_of_image_export(place)
    params = image_import.Params("shop:1", layout_of(exported["image"]), str(place / "imports"))
    return {**image_import.run(params, FakeImageEngine(), FakeDisk(), check_mode=False), "sent": 0}  # of the action


NO_ACCOUNT = {"registry_username": "", "registry_password": ""}


def result_of_image_pull(place: Path) -> dict[str, Any]:
    params = image_pull.Params("ghcr.io/acme/site:1", "shop-app", image_pull.login_of(NO_ACCOUNT, "ghcr.io/x"))
    return image_pull.run(params, FakeRegistryEngine(), check_mode=False)


def result_of_image_push(place: Path) -> dict[str, Any]:
    params = image_push.Params("shop-app:1", "ghcr.io/acme/site", image_push.login_of(NO_ACCOUNT, "ghcr.io/acme/site"))
    return image_push.run(params, FakeRegistryEngine(), check_mode=False)


def result_of_image_sbom(place: Path) -> dict[str, Any]:
    world = SbomWorld(place)
    world.registry.answer = {"lodash": [{}]}
    return world.run(scan=True)


def result_of_base_images(place: Path) -> dict[str, Any]:
    return base_images.run(base_images.Params("FROM ghcr.io/acme/site:1", {}), FakeRegistryEngine(), check_mode=False)


def result_of_build_context(place: Path) -> dict[str, Any]:
    params = build_context.Params(str(place), archive=None, context=str(place), dockerfile="", ignore="", docker_cli="")
    return build_context.run(params, str, check_mode=False)


def result_of_volume_backup(place: Path) -> dict[str, Any]:
    shop = Shop(place)
    params = volume_backup.Params("shop", {"db": "shop-db", "media": "shop-media"})
    return volume_backup.run(params, shop.sets, lambda: shop.engine, shop.clock, False)


def result_of_volume_restore(place: Path) -> dict[str, Any]:
    shop = Shop(place)
    shop.back_up()
    return volume_restore.run(
        volume_restore.Params("shop", stop_app=True), shop.sets, lambda: shop.engine, shop.clock, False
    )


def result_of_backup_info(place: Path) -> dict[str, Any]:
    shop = Shop(place)
    shop.back_up()
    return backup_info.run(backup_info.Params(), shop.sets, shop.clock)


def result_of_backup_prune(place: Path) -> dict[str, Any]:
    shop = Shop(place)
    shop.back_up()
    return backup_prune.run(backup_prune.Params(Policy()), shop.sets, lambda: shop.engine, shop.clock, False)


def result_of_backup_offsite(place: Path) -> dict[str, Any]:
    sets = Sets(str(place / "backups"), "shop")
    publish_packed(sets, db=b"x")
    return offsite.run(offsite.Params(), sets, FakeRepository(), FakeWallClock(), False)


def result_of_backup_offsite_info(place: Path) -> dict[str, Any]:
    sets, repository = Sets(str(place / "backups"), "shop"), FakeRepository()
    publish_packed(sets, db=b"x")
    offsite.run(offsite.Params(), sets, repository, FakeWallClock(), False)
    return offsite_info.run(offsite_info.Params("shop"), repository)


def result_of_backup_import(place: Path) -> dict[str, Any]:
    file = place / "payload.db"
    database(file)
    params = set_import.Params(str(file), "db", "payload.db", "shop-db", "")
    return set_import.run(params, Sets(str(place / "backups"), "shop"), FakeWallClock(), False)


def result_of_backup_export(place: Path) -> dict[str, Any]:
    sets = Sets(str(place / "backups"), "shop")
    publish_packed(sets, db=b"x")
    return export.run(export.Params("latest", str(place / "export")), sets, FakeWallClock(), False)


def result_of_backup_drill(place: Path) -> dict[str, Any]:
    world = World(place)
    world.engine.on["start", DRILLED] = lambda: None
    return world.drill()


def result_of_release_cutover(place: Path) -> dict[str, Any]:
    site = Site(place)
    for number in range(1, 4):
        site.deploy(f"shop:{number}", retain_releases=2, proxy_reload_command=["false"])
    site.engine.add_image("shop:4")
    return release_cutover.run(
        site.params("shop:4", retain_releases=2, proxy_reload_command=["false"]), site.sets, site.world, False
    )


def result_of_release_info(place: Path) -> dict[str, Any]:
    site = Site(place)
    site.deploy("shop:1")
    (place / "opt/releases" / site.live().id / "journal.json").write_text("{}")
    return release_info.run(release_info.Params(APP), site.releases, site.engine)


def result_of_git_checkout(place: Path) -> dict[str, Any]:
    author = Author(place / "author", place / "site.git")
    author.push(page="first")
    return Host(place / "source", str(author.bare))()


def result_of_release_recover(place: Path) -> dict[str, Any]:
    site = Site(place)
    site.deploy("shop:1")
    return release_recover.run("shop", True, site.world, check_mode=False)


def result_of_release_rollback(place: Path) -> dict[str, Any]:
    site = Site(place)
    for number in range(1, 5):
        site.deploy(f"shop:{number}", backup=site.backing_up())
    how = site.params("", retain_releases=2, proxy_reload_command=["false"])
    return release_rollback.run(release_rollback.Params("", "restore", how), site.sets, site.world, False)


def result_of_release_start(place: Path) -> dict[str, Any]:
    site = Site(place)
    site.deploy("shop:1")
    return release_start.run(release_start.Params("shop", APP), site.world, check_mode=False)


def result_of_systemd_units(place: Path) -> dict[str, Any]:
    text = "[Timer]\nOnCalendar=daily\n"
    (place / "shop-verify.timer").write_text(text)
    asked = units.Params({"shop-backup.timer": text}, ["shop-backup.timer", "shop-verify.timer"], str(place))
    return units.run(asked, lambda *arguments: "", check_mode=False)


def result_of_apt_source(place: Path) -> dict[str, Any]:
    return Sources(place).run()


def result_of_apt_packages(place: Path) -> dict[str, Any]:
    return apt_packages.run(apt_packages.Params(["git"], []), Packages(), check_mode=False)


def result_of_engine_config(place: Path) -> dict[str, Any]:
    path = place / "docker/daemon.json"
    return engine_config.run(engine_config.Params({"debug": True}, str(path)), Service(path), check_mode=False)


def result_of_engine_setup_info(place: Path) -> dict[str, Any]:
    return dict(seen_on(Bare()))


def result_of_public_url_info(place: Path) -> dict[str, Any]:
    given = {
        "url": "https://www.example.com/",
        "text": "",
        "container": "app",
        "here": False,
        "asked_from": "",
        "fail": False,
    }
    served = Visit(None, "answers 200", "203.0.113.9", 200, 61.3)
    return public_url_info.run(public_url_info.params_of(given), lambda *_asked: served)


def result_of_firewall(place: Path) -> dict[str, Any]:
    return Closing(place).run()


def result_of_reverse_proxy(place: Path) -> dict[str, Any]:
    return ProxyWorld(place / "front", FrontContainer(place / "front")).run(SHOP_SITE)


RESULTS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "app_remove": result_of_app_remove,
    "app_status_info": result_of_app_status_info,
    "apt_packages": result_of_apt_packages,
    "apt_source": result_of_apt_source,
    "engine_config": result_of_engine_config,
    "engine_setup_info": result_of_engine_setup_info,
    "backup_export": result_of_backup_export,
    "backup_import": result_of_backup_import,
    "backup_drill": result_of_backup_drill,
    "backup_info": result_of_backup_info,
    "backup_offsite": result_of_backup_offsite,
    "backup_offsite_info": result_of_backup_offsite_info,
    "backup_prune": result_of_backup_prune,
    "base_images": result_of_base_images,
    "build_context": result_of_build_context,
    "container_health": result_of_container_health,
    "container_logs": result_of_container_logs,
    "deploy_lock": result_of_deploy_lock,
    "env_file": result_of_env_file,
    "firewall": result_of_firewall,
    "git_checkout": result_of_git_checkout,
    "notification": result_of_notification,
    "public_url_info": result_of_public_url_info,
    "host_audit": result_of_host_audit,
    "host_doctor_info": result_of_host_doctor_info,
    "host_watch": result_of_host_watch,
    "host_info": result_of_host_info,
    "host_maintenance": result_of_host_maintenance,
    "image_export": result_of_image_export,
    "image_import": result_of_image_import,
    "image_pull": result_of_image_pull,
    "image_push": result_of_image_push,
    "image_sbom": result_of_image_sbom,
    "release_cutover": result_of_release_cutover,
    "release_info": result_of_release_info,
    "release_rollback": result_of_release_rollback,
    "release_recover": result_of_release_recover,
    "reverse_proxy": result_of_reverse_proxy,
    "release_start": result_of_release_start,
    "systemd_units": result_of_systemd_units,
    "volume_backup": result_of_volume_backup,
    "volume_restore": result_of_volume_restore,
}
TYPES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "float": (float, int),
    "int": (int,),
    "str": (str,),
    "list": (list,),
    "dict": (dict,),
}
COMMON = {"changed", "diff", "warnings"}


def compare(value: Any, entry: Mapping[str, Any], where: str) -> None:
    """Compare a returned value with its documentation, down to its last field."""
    assert type(value) in TYPES[entry["type"]], where
    for one in value if "elements" in entry else ():
        assert type(one) in TYPES[entry["elements"]], where
        if "contains" in entry:
            assert list(one) == list(entry["contains"]), where
            for key, inner in entry["contains"].items():
                compare(one[key], inner, f"{where}.{key}")


# What runs on the controller alone; the tests of these actions say what they return.
ACTIONS = ("image_build", "new_site", "source_digest", "status_page", "validate_roles")


@pytest.mark.parametrize("module", [module for module in MODULES if module not in ACTIONS])
def test_results_are_what_is_documented(module: str, tmp_path: Path) -> None:
    result = RESULTS[module](tmp_path)
    described = docs(module, "RETURN")
    assert set(result) - COMMON == set(described)
    assert isinstance(result["changed"], bool)
    for key, entry in described.items():
        compare(result[key], entry, key)
        assert isinstance(entry.get("sample", []), TYPES[entry["type"]]), key
