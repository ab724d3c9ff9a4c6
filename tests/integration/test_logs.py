# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of real containers: the playbook, following it line by line, and the module on what only an engine shows."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.modules.container_logs import params_of, run
from lab import ROOT, Played, clean_environment, docker, image_of, inspect, play, until

Start = Callable[..., str]
SECRET = "c0ffee5eed5a1ad0"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start containers that are removed after the test."""
    made: list[str] = []
    image = image_of("base_image.sh")

    def one(name: str, script: str, *options: str) -> str:
        made.append(f"it-logs-{name}")
        docker("rm", "--force", made[-1], check=False)
        docker("run", "--detach", "--name", made[-1], *options, "--entrypoint", "sh", image, "-c", script)
        return made[-1]

    yield one
    docker("rm", "--force", *made, check=False)


def read(name: str, **given: Any) -> dict[str, Any]:
    asked = {"container": name, "tail": 50, "since": "", "until": "", "pattern": "", "env_file": None, "wait": 0}
    clock = SystemClock()
    return run(params_of({**asked, **given}, clock.utc()), Engine.connect(Address()), clock)


def texts(result: dict[str, Any]) -> list[str]:
    return [one["text"] for one in result["lines"]]


def ended(name: str) -> None:
    until(lambda: inspect(name)["State"]["Status"] == "exited", 20, "the end of the container")


# Writes each secret in every way that comes to a programmer's mind, between bars.
NODE = r"""
const util = require("util"), say = (text) => console.log("|" + text + "|");
const address = (set) => { const url = new URL("https://h/"); set(url); return url.href.slice(8); };
for (const [name, secret] of Object.entries(process.env).filter(([name]) => name.startsWith("TOKEN_"))) {
  const object = { deep: { secret } };
  if (!secret.includes("\n")) [secret, new Error(secret).message, util.format("%s", secret)].forEach(say);
  say(util.inspect(secret).slice(1, -1));
  say(util.inspect(object, { breakLength: Infinity, compact: true }).slice(19, -5));
  say(JSON.stringify(secret).slice(1, -1));
  say(JSON.stringify(JSON.stringify(secret)).slice(3, -3));
  say(util.inspect(JSON.stringify(secret)).slice(2, -2));
  say(util.format("%j", secret).slice(1, -1));
  say(encodeURIComponent(secret));
  say(encodeURI(secret));
  say(new URLSearchParams({ k: secret }).toString().slice(2));
  say(require("querystring").escape(secret));
  if (!/[\t\n]/.test(secret)) {  // which an address has not
    say(address((url) => { url.username = secret; }).slice(0, -3));
    say(address((url) => { url.search = "?" + secret.replaceAll("#", "%23"); }).slice(3));
    say(address((url) => { url.hash = "#" + secret; }).slice(3));
  }
  say(Buffer.from(secret).toString("hex"));
  say(Buffer.from(secret).toString("base64").replace(/=+$/, ""));
  say(Buffer.from(secret).toString("base64url"));
}
"""
NASTY = "\"'`\\/ !*()~_-.&<>%+=#?:@$,;[]{}|^ä\u00a0\u2028\ufeff\U0001f600\n\t\x1b\x7f\x85"


def test_every_form_in_which_node_writes_a_secret_is_hidden(start: Start) -> None:
    chance = random.Random(16)
    secrets = {f"TOKEN_{n}": "".join(chance.choices(NASTY + "aB3", k=12)).strip() + "end" for n in range(60)}
    options = [option for name, secret in secrets.items() for option in ("--env", f"{name}={secret}")]
    name = start("node", 'exec node -e "$NODE"', "--env", f"NODE={NODE}", *options)
    ended(name)
    lines = [text for text in texts(read(name, tail=0)) if text.count("|") >= 2]
    assert len(lines) >= 60 * 15
    whole = re.compile(r"\|(<TOKEN_\d+>)+\|")
    assert [text for text in lines if not whole.fullmatch(text)] == []


@pytest.mark.parametrize("options", [[], ["--tty"]])
def test_long_lines_and_unfinished_ones_are_whole(start: Start, options: list[str]) -> None:
    name = start("long", "head -c 40000 /dev/zero | tr '\\0' x; echo end; printf bye", *options)
    ended(name)
    assert texts(read(name)) == ["x" * 40000 + "end", "bye"]
    docker("start", name)
    until(lambda: len(texts(read(name))) == 4, 10, "the second run")
    assert texts(read(name)) == ["x" * 40000 + "end", "bye"] * 2


def test_streams_and_order(start: Start) -> None:
    name = start("streams", "echo out; sleep 0.1; echo err >&2; sleep 0.1; printf '\\033[31mred\\033[0m\\n'")
    ended(name)
    assert [(one["stream"], one["text"]) for one in read(name)["lines"]] == [
        ("stdout", "out"),
        ("stderr", "err"),
        ("stdout", "red"),
    ]


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_every_line_comes_once_while_two_streams_write_fast(start: Start, driver: str) -> None:
    count, turns = 30000, 3
    script = f"(seq {count} & seq {count} >&2; wait)"
    # It goes on when everything up to there was read, so that there are several looks however fast either is.
    script = f"for turn in $(seq {turns}); do until test -e /$turn; do sleep 0.1; done; {script}; done"
    name = start("fast", script, "--log-driver", driver)
    got, looks, last = [], 0, ""
    for turn in range(1, turns + 1):
        docker("exec", name, "touch", f"/{turn}")
        while len(got) < 2 * count * turn:
            result = read(name, tail=0, since=last, wait=30)
            assert result["lines"]
            got += result["lines"]
            last, looks = result["last"], looks + 1
    ended(name)
    got += read(name, tail=0, since=last)["lines"]
    assert looks > 2
    for stream in ("stdout", "stderr"):
        assert [int(one["text"]) for one in got if one["stream"] == stream] == [*range(1, count + 1)] * turns


def test_a_log_that_a_power_failure_damaged_is_shown_up_to_there(start: Start, tmp_path: Path) -> None:
    name = start("damaged", "for i in $(seq 0 19); do echo line $i; done", "--log-driver=json-file")
    ended(name)
    log = Path(inspect(name)["LogPath"])
    whole = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(whole[:10]) + bytes(200) + b"\n" + b"".join(whole[11:15]) + whole[15][:20])
    result = read(name)
    assert texts(result) == [f"line {i}" for i in range(len(texts(result)))]
    assert result["damage"].startswith(f"The log of container {name} is damaged, as after a power failure")
    assert result["damage"].endswith(f"Read {log} on the host; the next release begins a new log.")
    assert result["damage"] in printed(shown(tmp_path, name, docker_vps_logs_follow=True).succeeded())[-1]


def test_secrets_are_masked_by_the_containers_own_environment(start: Start) -> None:
    name = start("secret", "echo key $KEY home $HOME", "--env", f"KEY={SECRET}", "--env", "HOME=/somewhere")
    ended(name)
    assert texts(read(name)) == ["key <KEY> home <HOME>"]


def test_a_wait_ends_with_the_next_line(start: Start) -> None:
    name = start("wait", "echo one; sleep 5; echo two; sleep 60")
    first = read(name, wait=10)
    began = time.monotonic()
    second = read(name, since=first["last"], wait=30)
    assert (texts(first), texts(second)) == (["one"], ["two"])
    assert 1 < time.monotonic() - began < 9


def inventory(place: Path, container: str, *hosts: str, **variables: object) -> Path:
    host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    path = place / "hosts.yml"
    wanted = {"docker_vps_container": container, **variables}
    path.write_text(yaml.safe_dump({"docker_vps": {"hosts": dict.fromkeys(hosts or ("one",), host), "vars": wanted}}))
    return path


def shown(place: Path, container: str, *hosts: str, **variables: object) -> Played:
    return play(ROOT / "playbooks/logs.yml", inventory(place, container, *hosts, **variables))


def printed(played: Played) -> list[str]:
    """Return the printed lines of the log, which stand below the title of the task and end with what it says itself."""
    rest = played.output.split("Print what the application wrote", 1)[1].splitlines()[1:]
    return [one for one in rest[: rest.index("")] if not one.startswith(("ok: [", "changed: ["))]


def test_the_playbook_prints_lines_as_they_are(start: Start, tmp_path: Path) -> None:
    name = start("play", 'echo one; echo "{\\"quoted\\": \\"error $KEY\\"}"; echo three', "--env", f"KEY={SECRET}")
    ended(name)
    played = shown(tmp_path, name, docker_vps_logs_timestamps=False).succeeded()
    assert printed(played) == ["one", '{"quoted": "error <KEY>"}', "three"]
    assert played.recap["changed"] == 0
    assert printed(shown(tmp_path, name, docker_vps_logs_timestamps=False, docker_vps_logs_tail=1)) == ["three"]
    (found,) = printed(shown(tmp_path, name, docker_vps_logs_pattern="error|fail", docker_vps_logs_since="1h"))
    assert found.endswith('Z {"quoted": "error <KEY>"}')
    assert SECRET not in played.output + found
    assert printed(shown(tmp_path, name, docker_vps_logs_since="0s")) == [f"No such lines; container {name} is exited."]


def test_several_hosts_are_told_apart(start: Start, tmp_path: Path) -> None:
    name = start("hosts", "echo one")
    ended(name)
    played = shown(tmp_path, name, "a", "b", docker_vps_logs_timestamps=False).succeeded()
    assert sorted(printed(played)) == ["a | one", "b | one"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"docker_vps_container": "it-logs-nobody"}, "Container it-logs-nobody does not exist"),
        ({"docker_vps_logs_pattern": "("}, "pattern must be a regular expression"),
        ({"docker_vps_logs_since": "soon"}, "since must be a time such as"),
        ({"docker_vps_logs_tail": -1}, "docker_vps_logs_tail must be a whole number of at least 0"),
        ({"docker_vps_logs_follow": True, "docker_vps_logs_until": "1s"}, "follow and until exclude each other"),
    ],
)
def test_what_is_wrong_is_told(start: Start, tmp_path: Path, variables: dict[str, object], message: str) -> None:
    name = start("wrong", "sleep 60")
    assert message in shown(tmp_path, name, **variables).failed().text


class Following:
    """ansible-playbook without a terminal, whose lines are read with the time at which each came."""

    def __init__(self, place: Path, container: str, **variables: object) -> None:
        path = inventory(place, container, docker_vps_logs_follow=True, docker_vps_logs_timestamps=False, **variables)
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/logs.yml", "-i", str(path)]
        # What Python does by itself with a pipe, whatever whoever runs the tests has set.
        environment = {**clean_environment(), "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": ""}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.limit = threading.Timer(60, self.process.kill)  # so that one that hangs fails the test
        self.limit.start()

    def lines(self) -> Iterator[tuple[float, str]]:
        assert self.process.stdout
        for line in self.process.stdout:
            yield time.time(), line.rstrip("\n")
        self.process.wait()
        self.limit.cancel()


def test_followed_lines_come_while_the_container_writes_them(start: Start, tmp_path: Path) -> None:
    name = start("follow", "for n in 1 2 3 4 5 6 7 8 9 10; do echo tick $n $(date +%s.%N); sleep 1; done; exit 3")
    came = list(Following(tmp_path, name).lines())
    ticks = [(at, line.split()) for at, line in came if line.startswith("tick ")]
    assert [int(tick[1]) for _unused, tick in ticks] == [*range(1, 11)]
    came_at = [at for at, _unused in ticks]
    written_at = [float(tick[2]) for _unused, tick in ticks]
    late = [came - written for came, written in zip(came_at[5:], written_at[8:])]  # the play takes its time to begin
    assert max(late) < 0, f"a line came after the third that followed it had been written: {late}"
    text = "\n".join(line for _unused, line in came)
    assert f"Container {name} exited with code 3." in text
    assert "failed=0" in text


def test_following_ends_in_time(start: Start, tmp_path: Path) -> None:
    name = start("time", "while :; do echo tick; sleep 0.5; done")
    came = list(Following(tmp_path, name, docker_vps_logs_follow_for=4).lines())
    at = [at for at, line in came if line == "tick"]
    assert 1 < at[-1] - at[0] < 7
    assert "failed=0" in came[-2][1] + came[-1][1]


@pytest.mark.parametrize("already", [1, 3000])
def test_following_can_be_interrupted(start: Start, tmp_path: Path, already: int) -> None:
    """Also while many lines are printed: the worker must not die with a lock that Ansible then waits for."""
    name = start("interrupt", f"seq {already}; sleep 600")
    following = Following(tmp_path, name, docker_vps_logs_follow_for=0, docker_vps_logs_tail=0)
    lines = following.lines()
    while next(lines)[1] != "1":
        pass
    os.killpg(following.process.pid, signal.SIGINT)
    assert "interrupted" in "\n".join(line for _unused, line in lines)
    assert following.process.returncode == 99
