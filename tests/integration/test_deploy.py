# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook deploy from nothing to healthy, again, in check mode, and with everything that can go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import PROBE, as_test
from lab import ROOT, STANDIN, App, MakeApp, copied, deploy_all, docker, inspect, play, run

SECRET = "7f3d9c0e51b24a86" * 4
OTHER_COMPOSE = "5.6.1"


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application with one vendor."""
    variables = {"docker_vps_health_start_interval": None}  # by default
    app = make_app("it-deploy", docker_vps_env={"API_TOKEN": "tok-sesame-4711"}, **variables)
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "before"}).status == 201
    return app


def vendors(app: App) -> list[str]:
    return [row["name"] for row in app.get("/api/vendors").json["docs"]]


def test_check_mode_on_a_clean_host_tells_what_would_happen_and_touches_nothing(make_app: MakeApp) -> None:
    app = make_app("it-clean", docker_vps_payload_secret=SECRET, docker_vps_env={"API_TOKEN": "tok-sesame-4711"})
    played = app.deploy("--check", "--diff", "-vvv").succeeded()
    assert played.recap["changed"] >= 4
    assert "API_TOKEN=(new value)" in played.output
    assert SECRET not in played.output
    assert "tok-sesame-4711" not in played.output
    assert not app.directory.exists()
    assert app.network not in docker("network", "ls", "--format", "{{.Name}}").split()
    assert not docker("images", "--quiet", app.container)


def test_it_is_healthy_and_as_specified(app: App) -> None:
    health = app.get("/api/health")
    assert (health.status, health.json["status"], health.json["vendorCount"]) == (200, "healthy", 1)
    facts = inspect(app.container)
    host = facts["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["PortBindings"] == {}
    assert {port.split("/")[0] for port in facts["Config"]["ExposedPorts"]} == {"3000"}
    assert (host["NanoCpus"], host["Memory"], host["MemoryReservation"]) == (10**9, 2**30, 2**29)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    mounts = {mount["Destination"]: mount["Name"] for mount in facts["Mounts"]}
    assert mounts == {"/data": "it-deploy-db", "/app/public/media": "it-deploy-media"}
    check = facts["Config"]["Healthcheck"]
    seconds = {key: check[key] / 1e9 for key in ("Interval", "Timeout", "StartPeriod", "StartInterval")}
    assert seconds == {"Interval": 30, "Timeout": 10, "StartPeriod": 40, "StartInterval": 2}
    assert check["Retries"] == 3
    assert check["Test"] == as_test(PROBE, [], "http://127.0.0.1:3000/api/health", 9)
    compose = (app.directory / "compose.yml").read_text()
    assert "version:" not in compose
    assert "ports:" not in compose


def test_the_env_file_is_private_and_its_secret_generated(app: App) -> None:
    path = app.directory / ".env.production"
    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, 0)
    secret = app.env_keys()["PAYLOAD_SECRET"]
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in (app.directory / "compose.yml").read_text()
    assert secret not in docker("history", "--no-trunc", inspect(app.container)["Config"]["Image"])


def test_a_second_run_changes_nothing(app: App) -> None:
    started = inspect(app.container)["State"]["StartedAt"]
    played = app.deploy().succeeded()
    assert played.recap["changed"] == 0
    assert inspect(app.container)["State"]["StartedAt"] == started


def test_another_compose_alone_recreates_nothing(app: App, tmp_path: Path) -> None:
    """Neither a newer one than has made the container, nor an older one."""
    run(str(ROOT / "tests/support/compose.sh"), OTHER_COMPOSE, str(tmp_path / "cli-plugins"))
    other = {"DOCKER_CONFIG": str(tmp_path)}
    versions = [run("docker", *how, "compose", "version").stdout for how in ([], ["--config", str(tmp_path)])]
    assert OTHER_COMPOSE not in versions[0]
    assert OTHER_COMPOSE in versions[1]
    for made_by, then in (({}, other), (other, {})):
        app.deploy(environment=made_by, docker_vps_env={"MADE": str(bool(made_by))}).succeeded()
        made = inspect(app.container)
        for how in (["--check"], []):
            played = app.deploy(*how, environment=then, docker_vps_env={"MADE": str(bool(made_by))}).succeeded()
            assert played.recap["changed"] == 0
        now = inspect(app.container)
        assert (now["Id"], now["State"]["StartedAt"]) == (made["Id"], made["State"]["StartedAt"])
        assert (OTHER_COMPOSE in made["Config"]["Labels"]["com.docker.compose.version"]) is bool(made_by)
    app.deploy().succeeded()


def test_check_mode_on_a_deployed_host_tells_the_truth_and_no_secret(app: App) -> None:
    secret = app.env_keys()["PAYLOAD_SECRET"]
    same = app.deploy("--check", "--diff", "-vvv").succeeded()
    assert same.recap["changed"] == 0
    other = app.deploy("--check", "--diff", "-vvv", docker_vps_memory_limit="768M", docker_vps_puid=1001).succeeded()
    assert other.recap["changed"] == 2
    assert "PUID=(new value)" in other.output
    assert '+          memory: "768M"' in other.output
    assert inspect(app.container)["HostConfig"]["Memory"] == 2**30
    for played in (same, other):
        assert secret not in played.output
        assert "tok-sesame-4711" not in played.output


def test_a_changed_environment_restarts_it_and_keeps_secret_and_data(app: App) -> None:
    secret = app.env_keys()["PAYLOAD_SECRET"]
    played = app.deploy("--diff", "-vvv", docker_vps_env={"API_TOKEN": "tok-radish-9000"}).succeeded()
    assert app.env_keys()["API_TOKEN"] == "tok-radish-9000"
    assert app.env_keys()["PAYLOAD_SECRET"] == secret
    assert vendors(app) == ["before"]
    previous = app.directory / ".env.production.previous"
    assert "tok-sesame-4711" in previous.read_text()
    assert previous.stat().st_mode & 0o777 == 0o600
    for hidden in (secret, "tok-radish-9000", "tok-sesame-4711"):
        assert hidden not in played.output
    app.deploy().succeeded()


def test_the_summary_says_where_it_is_and_how_long_each_phase_took(app: App) -> None:
    text = app.deploy().succeeded().text
    release = inspect(app.container)["Config"]["Image"].split(":")[1]
    assert f"at http://{app.container}:3000" in text
    assert f"release {release}" in text
    for phase in ("preflight", "network", "environment", "image", "stack and health"):
        assert f"{phase} " in text.split("Seconds:")[1]


def test_tags_run_one_phase(app: App) -> None:
    played = app.deploy("--tags", "env_file", docker_vps_env={"API_TOKEN": "tok-tagged"}).succeeded()
    assert played.recap["changed"] == 1
    assert app.env_keys()["API_TOKEN"] == "tok-sesame-4711"
    app.deploy().succeeded()


def test_a_stack_without_an_image_asked_for_keeps_the_live_one(app: App, sources: Path) -> None:
    live = inspect(app.container)["Config"]["Image"]
    copied(STANDIN, sources, **{"other.js": "// newer\n"})
    variables = {"docker_vps_source_path": str(sources), "docker_vps_env": {"API_TOKEN": "tok-kept"}}
    app.deploy("--tags", "env_file,stack", **variables).succeeded()
    assert app.env_keys()["API_TOKEN"] == "tok-kept"
    assert inspect(app.container)["Config"]["Image"] == live
    assert app.deploy("--skip-tags", "image", **variables).succeeded().recap["changed"] == 0
    app.deploy().succeeded()


def test_phases_one_by_one_on_a_clean_host(make_app: MakeApp) -> None:
    app = make_app("it-tags")
    for phase in ("image", "proxy_network", "env_file", "stack"):
        if phase == "image":
            # The stack needs the image too, so that its phase alone makes it; here it is made first.
            app.play("- ansible.builtin.import_role: {name: ptnextjs.docker_vps.image}").succeeded()
        else:
            app.deploy("--tags", phase).succeeded()
    assert app.get("/api/health").status == 200
    assert app.deploy().succeeded().recap["changed"] == 0


def test_a_second_application_needs_only_other_names(app: App, make_app: MakeApp) -> None:
    other = make_app("it-second", docker_vps_network=app.network, docker_vps_memory_limit="auto")
    other.network = app.network
    played = deploy_all({"first": app, "second": other})
    assert played["first"].succeeded().recap["changed"] == 0
    assert played["second"].succeeded().recap["changed"] >= 3
    assert other.get("/api/health").json["vendorCount"] == 0
    assert vendors(app) == ["before"]
    address = inspect(other.container)["NetworkSettings"]["Networks"][app.network]
    assert other.container in address["DNSNames"]
    memory = int(docker("info", "--format", "{{.MemTotal}}"))
    wanted = 2**31 if memory > 3.5 * 2**30 else 2**30 if memory > 1.75 * 2**30 else 2**29
    assert inspect(other.container)["HostConfig"]["Memory"] == wanted


def test_data_survives_down_and_up_by_the_role(app: App) -> None:
    assert app.stack("absent").succeeded().recap["changed"] == 1
    assert not docker("ps", "--all", "--quiet", "--filter", f"name=^{app.container}$")
    assert app.stack("absent").succeeded().recap["changed"] == 0
    app.stack("main").succeeded()
    assert vendors(app) == ["before"]


def test_groups_that_mix_two_applications_on_one_host_are_refused(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app("it-mixed")
    variables = {**app.host(), "docker_vps_app": None}
    groups = {
        "shop": {"hosts": {"vps1": {name: value for name, value in variables.items() if value is not None}}},
        "blog": {"hosts": {"vps1": {}}},
        "docker_vps": {"children": {"shop": {}, "blog": {}}, "vars": {"docker_vps_server_url": "http://localhost"}},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(groups))
    (tmp_path / "group_vars").mkdir()
    for group in ("shop", "blog"):
        mixed = {"docker_vps_app": f"it-mixed-{group}", "docker_vps_server_url": "http://localhost:80"}
        (tmp_path / f"group_vars/{group}.yml").write_text(yaml.safe_dump(mixed))
    inventory = tmp_path / "hosts.yml"
    text = play(ROOT / "playbooks/deploy.yml", inventory).failed().text
    assert "vps1 gets several values of docker_vps_app, from the groups blog and shop." in text
    assert "several values of docker_vps_server_url" not in text
    assert not Path("/opt/it-mixed-shop").exists()
    check = ("--check", "-e", "docker_vps_app=it-mixed")
    play(ROOT / "playbooks/deploy.yml", inventory, *check).succeeded()


WRONG = {
    "docker_vps_port": (70000, "docker_vps_port must be a port number"),
    "docker_vps_puid": ("root", "docker_vps_puid"),
    "docker_vps_env": ("text", "docker_vps_env"),
    "docker_vps_health_wait": (-1, "docker_vps_health_wait must be a number of seconds"),
    "docker_vps_memory_limit": ("lots", "docker_vps_memory_limit must be auto or a size"),
    "docker_vps_cpu_limit": ("none", "docker_vps_cpu_limit must be a number of CPUs"),
    "docker_vps_network": ("a b", "docker_vps_network must be a name"),
    "docker_vps_network_subnet": ("192.0.2.0/33", "docker_vps_network_subnet must be a subnet"),
    "docker_vps_directory": ("relative", "docker_vps_directory must be an absolute path"),
    "docker_vps_aliases": ({"a": 1}, "docker_vps_aliases"),
    "docker_vps_health_path": ("health", "docker_vps_health_path must be a path"),
    "docker_vps_stop_grace_period": ("1500ms", "docker_vps_stop_grace_period must be a duration of one or more whole"),
    "docker_vps_build_disk": ("huge", "docker_vps_build_disk must be a size"),
    "docker_vps_git_version": (1.1, "docker_vps_git_version is a number, not a string: put it in quotes"),
    "docker_vps_email_from": (False, 'docker_vps_email_from: "…"'),
    "docker_vps_release_backup": ("ture", "docker_vps_release_backup must be true or false, but is 'ture'."),
    "docker_vps_lock_force": ("fasle", "docker_vps_lock_force must be true or false, but is 'fasle'."),
    "docker_vps_image": ("shop:1", "but docker_vps_source_path and docker_vps_image are set."),
    "docker_vps_source_path": ("", "docker_vps_image must be set, but none is set."),
    "docker_vps_hostname": ("x", "Nothing reads docker_vps_hostname"),
}


def test_wrong_variables_are_refused_all_at_once(make_app: MakeApp) -> None:
    names = ("docker_vps_hostname", "docker_vps_network", "docker_vps_port")
    app = make_app("it-wrong", **{name: WRONG[name][0] for name in names})
    text = app.deploy().failed().text
    for name in names:
        assert WRONG[name][1] in text


def test_each_wrong_variable_is_refused_before_anything_is_touched(make_app: MakeApp) -> None:
    apps = {name: make_app(f"it-wrong-{number}", **{name: WRONG[name][0]}) for number, name in enumerate(WRONG)}
    played = deploy_all(apps)
    for name, app in apps.items():
        assert WRONG[name][1] in played[name].text, name
        assert played[name].recap["failed"] == 1, name
        assert played[name].recap["changed"] == 0, name
        assert not app.directory.exists(), name
