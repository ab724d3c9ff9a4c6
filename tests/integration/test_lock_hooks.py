# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around a release: the lock, hooks, notifications, batches of hosts, the flag for the proxy's page."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import yaml
from lab import ROOT, App, MakeApp, Played, deploy_all, docker, inspect, play, until

SECRET_PATH = "s3cret-path-9000"


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application."""
    app = make_app("it-hooks", docker_vps_monitor=1)
    app.deploy().succeeded()
    return app


def lock_of(app: App) -> Path:
    return app.directory / "deploy.lock"


def held(app: App) -> Any:
    """Return the owner of the lock, None when it is free."""
    try:
        return json.loads(lock_of(app).read_text())["owner"]
    except (OSError, ValueError):
        return None


def write_lock(app: App, **changes: Any) -> None:
    owner = {"who": "ann@elsewhere", "purpose": "deploy", "controller": "other", "process": "1:1", "host": "local"}
    since = changes.pop("since", 1_790_000_000)
    lock = {"owner": {**owner, **changes}, "since": since, "made_directory": False}
    lock_of(app).write_text(json.dumps(lock))


@dataclass
class AtWork:
    """A play that waits in a hook of it until it may go on."""

    thread: threading.Thread
    go: Path
    ended: list[Played]

    def finish(self) -> Played:
        self.go.touch()
        self.thread.join()
        return self.ended[0]


@pytest.fixture
def at_work(app: App, tmp_path: Path) -> Iterator[AtWork]:
    """An update that holds the lock."""
    go = tmp_path / "go"
    hook = ["sh", "-c", 'until test -e "$0"; do sleep 0.1; done', str(go)]
    ended: list[Played] = []
    variables = {"docker_vps_hooks_before_build": [hook]}
    thread = threading.Thread(target=lambda: ended.append(app.playbook("update", **variables)))
    thread.start()
    until(lambda: held(app), 60, "taking the lock")
    one = AtWork(thread, go, ended)
    yield one
    one.finish()


def test_the_second_play_ends_at_once_and_says_who_holds_the_lock(app: App, at_work: AtWork, tmp_path: Path) -> None:
    assert lock_of(app).stat().st_mode & 0o777 == 0o600
    pid, who = held(app)["process"].split(":")[0], held(app)["who"]
    hooks = {"docker_vps_hooks_on_failure": [["touch", str(tmp_path / "ran")]]}
    for name in ("deploy", "rollback", "stop", "start", "restart", "restore"):
        text = app.playbook(name, **hooks).failed().text
        assert f"Cannot begin {name}: update of " in text
        assert f"(process {pid}) has been running for " in text
        assert "-e docker_vps_lock_force=true" in text
    assert inspect(app.container)["State"]["Running"]
    # Hooks belong to whoever holds the lock.
    assert not (tmp_path / "ran").exists()
    at_work.finish().succeeded()
    assert not lock_of(app).exists()
    release = json.loads((app.directory / "releases/current/release.json").read_text())
    assert release["deployed_by"] == who


def test_a_play_that_was_killed_blocks_nobody(app: App, at_work: AtWork) -> None:
    os.kill(int(held(app)["process"].split(":")[0]), signal.SIGKILL)
    at_work.thread.join()
    assert held(app)
    text = app.deploy().succeeded().text
    assert "Took the lock over from update of " in text
    assert "whose process is gone." in text
    assert not lock_of(app).exists()


def test_the_lock_of_another_controller_holds_until_it_expires_or_is_forced(app: App) -> None:
    now = int(lock_of(app).parent.stat().st_mtime)
    write_lock(app, since=now)
    text = app.deploy().failed().text
    assert "Cannot begin deploy: deploy of ann@elsewhere (process 1) has been running for " in text
    assert held(app)["who"] == "ann@elsewhere"
    assert "ann@elsewhere (process 1), by force." in app.deploy(docker_vps_lock_force=True).succeeded().text
    assert not lock_of(app).exists()
    write_lock(app, since=now - 4000)
    assert "since it is older than 3600 s." in app.deploy().succeeded().text
    assert not lock_of(app).exists()


def test_a_damaged_lock_blocks_nobody(app: App) -> None:
    lock_of(app).write_bytes(b'\xff{"owner"')
    assert "deploy.lock was damaged" in app.deploy().succeeded().text
    assert not lock_of(app).exists()


def test_check_mode_only_looks_at_the_lock(app: App) -> None:
    write_lock(app)
    before = lock_of(app).read_bytes()
    assert "deploy of ann@elsewhere (process 1) has been running" in app.deploy("--check").succeeded().text
    assert lock_of(app).read_bytes() == before
    lock_of(app).unlink()
    app.deploy("--check").succeeded()
    assert not lock_of(app).exists()


def appending(file: Path, line: str) -> list[str]:
    return ["sh", "-c", 'echo "$1" >>"$0"', str(file), line]


def test_hooks_run_in_their_places_and_leave_what_they_are_given(app: App, tmp_path: Path) -> None:
    file = tmp_path / "ran"
    tasks = app.scratch / "hooks/after.yml"
    tasks.parent.mkdir(exist_ok=True)
    line = "after {{ stack_released.release.result }} {{ hook_word }}"
    step = {"name": "Note", "ansible.builtin.shell": f"echo {line} >>{file}"}
    tasks.write_text(yaml.safe_dump([step]))
    hooks = {
        "docker_vps_hooks_before_build": [appending(file, "build 1"), appending(file, "build 2")],
        "docker_vps_hooks_before_cutover": [appending(file, "cutover")],
        "docker_vps_hooks_after_cutover": ["hooks/after.yml"],
        "docker_vps_hooks_on_failure": [appending(file, "failure")],
    }
    app.deploy("--check", docker_vps_env={"A": "1"}, hook_word="x", **hooks).succeeded()
    assert not file.exists()
    played = app.deploy(docker_vps_env={"A": "1"}, hook_word="x", **hooks).succeeded()
    assert played.recap["failed"] == 0
    assert file.read_text().splitlines() == ["build 1", "build 2", "cutover", "after healthy x"]


def test_tags_leave_out_what_they_name_and_nothing_else(app: App, tmp_path: Path) -> None:
    file, env = tmp_path / "ran", app.directory / ".env.production"
    hooks = {"docker_vps_hooks_before_cutover": [appending(file, "cutover")]}
    app.deploy("--skip-tags", "env_file", docker_vps_env={"TAGS": "1"}, **hooks).succeeded()
    assert file.read_text().splitlines() == ["cutover"]
    assert "TAGS" not in env.read_text()
    app.deploy("--skip-tags", "stack", docker_vps_env={"TAGS": "2"}, **hooks).succeeded()
    assert file.read_text().splitlines() == ["cutover"]
    assert "TAGS=2" in env.read_text()


def test_plays_of_one_run_do_not_take_over_what_earlier_ones_found(app: App, tmp_path: Path) -> None:
    role = [{"ansible.builtin.import_role": {"name": "ptnextjs.docker_vps.preflight"}}]
    deploy = {"ansible.builtin.import_playbook": "ptnextjs.docker_vps.deploy"}
    book = tmp_path / "site.yml"
    book.write_text(yaml.safe_dump([{"hosts": "docker_vps", "gather_facts": False, "tasks": role}, deploy, deploy]))
    before = len(list((app.directory / "releases").glob("*-*")))
    played = play(book, app.inventory(docker_vps_env={"TWICE": "1"})).succeeded()
    assert app.env_keys()["TWICE"] == "1"
    assert len(list((app.directory / "releases").glob("*-*"))) == before + 1
    phases = re.findall(r"preflight ([\d.]+), network ([\d.]+), image ([\d.]+), environment ([\d.]+)", played.text)
    assert len(phases) == 2, played.text
    assert phases[1][3] == "0.0", played.text  # which the second had no use for


@pytest.mark.parametrize("place", ["before_build", "before_cutover"])
def test_a_hook_that_fails_before_the_cutover_leaves_everything_as_it_is(app: App, tmp_path: Path, place: str) -> None:
    env = app.directory / ".env.production"
    before = (env.read_bytes(), inspect(app.container)["Id"], inspect(app.container)["State"]["StartedAt"])
    hook = tmp_path / "hook.yml"
    step = {
        "name": "Note",
        "ansible.builtin.copy": {"content": "{{ docker_vps_failure }}", "dest": str(tmp_path / "failure")},
    }
    hook.write_text(yaml.safe_dump([step]))
    hooks = {f"docker_vps_hooks_{place}": [["sh", "-c", "echo no good >&2; exit 3"]]}
    broken = [["/nowhere"]]
    variables = {**hooks, "docker_vps_hooks_on_failure": [str(hook), *broken], "docker_vps_env": {"A": place}}
    played = app.deploy(**variables).failed()
    sentence = f"The command sh of docker_vps_hooks_{place} ended with 3: no good"
    assert (tmp_path / "failure").read_text() == sentence
    missing = (
        "The command /nowhere of docker_vps_hooks_on_failure cannot be started: there is no such file on the host, or"
    )
    assert missing in played.text
    # The last thing that a person reads is what failed first.
    assert sentence in " ".join(played.output.rsplit("TASK [", 1)[1].split())
    assert played.recap["failed"] == 1
    assert before == (env.read_bytes(), inspect(app.container)["Id"], inspect(app.container)["State"]["StartedAt"])
    assert not lock_of(app).exists()


def test_a_hook_that_fails_after_the_cutover_fails_the_play_and_undoes_nothing(app: App) -> None:
    played = app.deploy(docker_vps_env={"A": "after"}, docker_vps_hooks_after_cutover=[["false"]]).failed()
    assert "The command false of docker_vps_hooks_after_cutover ended with 1" in played.text
    assert app.env_keys()["A"] == "after"
    app.becomes_healthy()


WRONG_HOOKS = [
    (["no/such.yml"], "no/such.yml, and there is no such file on the controller."),
    ([["true"], []], "must hold paths of tasks files, and commands as lists of strings."),
    ([[1]], "must hold paths of tasks files, and commands as lists of strings."),
    ({"a": 1}, "docker_vps_hooks_after_cutover must be a list"),
    ("text", "docker_vps_hooks_after_cutover must be a list"),
]


WRONG_NOTIFICATIONS = {
    "docker_vps_notify_pings": ("text", "docker_vps_notify_pings must be a mapping"),
    "docker_vps_notify_command": ("text", "docker_vps_notify_command must be a list, but is a string"),
    "docker_vps_notify_webhook": (["text"], "docker_vps_notify_webhook is a list, not a string"),
}


def test_hooks_and_notifications_that_could_not_run_are_refused_first(make_app: MakeApp) -> None:
    sentences, apps = {}, {}
    for number, (hooks, sentence) in enumerate(WRONG_HOOKS):
        apps[f"wrong-{number}"] = make_app(f"it-hooks-wrong-{number}", docker_vps_hooks_after_cutover=hooks)
        sentences[f"wrong-{number}"] = sentence
    for name, (value, sentence) in WRONG_NOTIFICATIONS.items():
        apps[name] = make_app(f"it-hooks-{name[18:]}", **{name: value})
        sentences[name] = sentence
    mixed = {"docker_vps_build_args": "text", "docker_vps_port": 0, "docker_vps_hooks_on_failure": "text"}
    apps["together"] = make_app("it-hooks-together", docker_vps_notify_pings="text", **mixed)
    sentences["together"] = "docker_vps_hooks_on_failure must be a list, but is a string; with -e, give it as JSON"
    played = deploy_all(apps)
    for name, app in apps.items():
        assert sentences[name] in played[name].text, name
        assert not app.directory.exists(), name
    assert "docker_vps_build_args must be a mapping, but is a string" in played["together"].text
    assert "docker_vps_port must be a port number" in played["together"].text
    assert "docker_vps_notify_pings must be a mapping" in played["together"].text


class Listener:
    """A server that keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.heard.append((self.path, json.loads(body) if body else None))
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def variables(self, **variables: Any) -> Mapping[str, Any]:
        url = f"http://127.0.0.1:{self.server.server_port}/{SECRET_PATH}"
        return {
            "docker_vps_notify_webhook": f"{url}/hook",
            "docker_vps_notify_pings": {"deploy": f"{url}/ping"},
            **variables,
        }


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    one = Listener()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_a_failure_before_the_cutover_is_told_and_no_address_is_shown(app: App, listener: Listener) -> None:
    variables = listener.variables(docker_vps_hooks_before_build=[["false"]])
    played = app.deploy("-vvv", **variables).failed()
    (hook, news), (ping, nothing) = listener.heard
    assert (ping, nothing) == (f"/{SECRET_PATH}/ping/fail", None)
    assert hook == f"/{SECRET_PATH}/hook"
    assert (news["job"], news["success"], news["app"], news["host"]) == ("deploy", False, app.name, "local")
    assert news["message"].startswith("The command false of docker_vps_hooks_before_build ended with 1")
    assert "The command false" in played.output.rsplit("TASK [", 1)[1]
    assert SECRET_PATH not in played.output


def test_a_success_is_told_when_that_is_wanted(app: App, listener: Listener) -> None:
    app.deploy(**listener.variables()).succeeded()
    assert [path for path, _unused in listener.heard] == [f"/{SECRET_PATH}/ping"]
    app.deploy(**listener.variables(docker_vps_notify_on_success=True, docker_vps_env={"A": "changed"})).succeeded()
    path, news = listener.heard[-2]
    assert (path, news["success"]) == (f"/{SECRET_PATH}/hook", True)
    assert news["release"] == os.readlink(app.directory / "releases/current")
    assert news["release"] in news["message"]
    assert app.deploy("--check", **listener.variables(docker_vps_notify_on_success=True)).succeeded()
    assert len(listener.heard) == 3


def test_a_success_with_a_caution_is_told_without_being_asked_for(app: App, listener: Listener) -> None:
    variables = listener.variables(docker_vps_env={"A": "cautious"}, docker_vps_proxy_reload_command=["false"])
    played = app.deploy(**variables).succeeded()
    path, news = listener.heard[-2]
    assert (path, news["success"]) == (f"/{SECRET_PATH}/hook", True)
    (caution,) = news["cautions"]
    assert caution.startswith("The proxy may look for the old address: The command false ended with code 1")
    assert news["message"].endswith("made before.")
    assert f"Warning: {caution}" in played.text


def test_a_notification_that_fails_is_a_warning(app: App) -> None:
    variables = {"docker_vps_notify_webhook": f"http://127.0.0.1:9/{SECRET_PATH}", "docker_vps_notify_on_success": True}
    played = app.deploy(**variables, docker_vps_env={"A": "changed"}).succeeded()
    assert "The webhook failed: " in played.text
    assert SECRET_PATH not in played.output


def test_an_update_without_a_change_says_so_and_does_nothing(app: App) -> None:
    app.playbook("update").succeeded()
    started = inspect(app.container)["State"]["StartedAt"]
    played = app.playbook("update").succeeded()
    assert played.recap["changed"] == 0
    assert "Nothing to do: what is live is what was asked for" in played.text
    assert inspect(app.container)["State"]["StartedAt"] == started


def test_an_update_of_what_was_never_deployed_is_refused(make_app: MakeApp) -> None:
    app = make_app("it-hooks-never")
    played = app.playbook("update").failed()
    assert (
        "it-hooks-never was never deployed on local: there is no /opt/it-hooks-never/releases/current." in played.text
    )
    assert not app.directory.exists()
    assert app.network not in docker("network", "ls", "--format", "{{.Name}}").split()


def test_a_wrong_environment_is_refused_before_there_is_a_network(make_app: MakeApp) -> None:
    app = make_app("it-hooks-wrong")
    wrong = {"docker_vps_payload_secret": "tok-4711", "docker_vps_env": {"PUID": "0"}}
    played = app.deploy(**wrong, docker_vps_database_uri="file:///tmp/x.db").failed()
    for message in ("DATABASE_URI must name a file below /data/", "PAYLOAD_SECRET has 8 characters", "PUID must be"):
        assert message in played.text
    assert "tok-4711" not in played.output
    assert not app.directory.exists()
    assert app.network not in docker("network", "ls", "--format", "{{.Name}}").split()


def test_a_build_that_fails_leaves_the_files_as_they_were(app: App) -> None:
    files = [app.directory / name for name in ("compose.yml", ".env.production")]
    before = [file.read_bytes() for file in files]
    app.deploy(docker_vps_base_image="registry.invalid/none:1", docker_vps_env={"A": "failed"}).failed()
    assert [file.read_bytes() for file in files] == before


def test_releases_are_listed_and_one_can_return(app: App) -> None:
    app.deploy(docker_vps_env={"B": "one"}).succeeded()
    first = os.readlink(app.directory / "releases/current")
    app.deploy(docker_vps_env={"B": "two"}).succeeded()
    second = os.readlink(app.directory / "releases/current")
    text = app.playbook("releases").succeeded().text
    assert text.index(second) < text.index(first)
    played = app.playbook("rollback", "--check").succeeded()
    assert first in played.text
    assert app.env_keys()["B"] == "two"
    assert os.readlink(app.directory / "releases/current") == second
    app.playbook("rollback").succeeded()
    assert app.env_keys()["B"] == "one"
    assert not lock_of(app).exists()
    text = app.playbook("rollback", docker_vps_rollback_to="20200101-000000").failed().text
    assert "20200101-000000" in text


def test_the_flag_for_the_proxys_page_is_there_while_the_application_is_stopped(app: App, tmp_path: Path) -> None:
    flag = tmp_path / "pages/maintenance"
    variables: dict[str, Any] = {"docker_vps_maintenance_flag": str(flag)}
    assert app.playbook("stop", "--check", **variables).succeeded().recap["changed"] >= 2
    assert not flag.parent.exists()
    app.playbook("stop", **variables).succeeded()
    assert flag.exists()
    assert app.playbook("stop", **variables).succeeded().recap["changed"] == 0
    app.playbook("start", "--check", **variables).succeeded()
    assert flag.exists()
    app.playbook("start", **variables).succeeded()
    assert not flag.exists()
    app.deploy(**variables).succeeded()
    flag.touch()
    assert app.deploy(**variables).succeeded().recap["changed"] == 1
    assert not flag.exists()
    variables |= {"docker_vps_backup_directory": str(tmp_path / "sets"), "docker_vps_restore_stop_app": True}
    app.playbook("backup", docker_vps_backup_uploads_query="", **variables).succeeded()
    for starts in ("restart", "restore"):
        app.playbook("stop", **variables).succeeded()
        assert flag.exists()
        app.playbook(starts, **variables).succeeded()
        assert not flag.exists()


def test_a_bad_release_stops_after_the_first_host(make_app: MakeApp, tmp_path: Path) -> None:
    one, two = make_app("it-hooks-one"), make_app("it-hooks-two")
    hosts = {}
    for app in (one, two):
        local = yaml.safe_load(app.inventory().read_text())["docker_vps"]["hosts"]["local"]
        started = ["touch", str(tmp_path / app.name)]
        hosts[app.name] = {**local, "docker_vps_hooks_before_build": [started, ["false"]]}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"docker_vps": {"hosts": hosts}}))

    def started() -> list[str]:
        names = sorted(path.name for path in tmp_path.glob("it-hooks-*"))
        for name in names:
            (tmp_path / name).unlink()
        return names

    play(ROOT / "playbooks/deploy.yml", inventory).failed()
    assert started() == ["it-hooks-one"]
    assert not two.directory.exists()
    # Otherwise both begin.
    variables = {"docker_vps_serial": ["100%"], "docker_vps_max_fail_percentage": 100}
    play(ROOT / "playbooks/deploy.yml", inventory, "-e", json.dumps(variables)).failed()
    assert started() == ["it-hooks-one", "it-hooks-two"]
