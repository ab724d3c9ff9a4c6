# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the host, with a program that stands in for docker."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.compose import LAST_LINES, Compose, run

# Writes down how it was called, and answers as the file "answer" says.
DOCKER = """#!{python}
import json, os, sys
place = os.path.dirname(os.path.abspath(__file__))
given = sys.stdin.read()
with open(place + "/calls", "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ["DOCKER_HOST"], given]) + "\\n")
with open(place + "/answer") as file:
    code, out, err = json.load(file)
sys.stdout.write(out.replace("GIVEN", given))
sys.stderr.write(err)
sys.exit(code)
"""
COMPOSE = "compose --ansi never --progress plain --project-name shop --project-directory /opt/shop"


class Docker:
    """The program in a directory of the search path."""

    def __init__(self, place: Path) -> None:
        self.place = place
        program = place / "docker"
        program.write_text(DOCKER.replace("{python}", sys.executable))
        program.chmod(0o755)
        self.answers(0, "", "")

    def answers(self, code: int, out: str, err: str) -> None:
        (self.place / "answer").write_text(json.dumps([code, out, err]))

    def calls(self) -> list[Any]:
        return [json.loads(line) for line in (self.place / "calls").read_text().splitlines()]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return Docker(tmp_path)


@pytest.fixture
def cli(docker: Docker) -> Compose:
    return Compose("unix:///x.sock")


def test_containers_are_created_from_definitions_and_nothing_else_happens(docker: Docker, cli: Compose) -> None:
    cli.create("shop", "/opt/shop", ["/a.yml", "/b.yml"])
    wanted = f"{COMPOSE} --file /a.yml --file /b.yml create --no-build --pull never"
    assert docker.calls() == [[wanted.split(), "unix:///x.sock", ""]]


def test_a_project_is_brought_up(docker: Docker, cli: Compose) -> None:
    cli.up("shop", "/opt/shop", "/a.yml")
    assert docker.calls()[0][0] == f"{COMPOSE} --file /a.yml up --detach --no-build --pull never".split()


def test_containers_are_made_anew_when_that_is_asked_for(docker: Docker, cli: Compose) -> None:
    cli.up("shop", "/opt/shop", "/a.yml", recreate=True)
    wanted = f"{COMPOSE} --file /a.yml up --detach --no-build --pull never --force-recreate"
    assert [call[0] for call in docker.calls()] == [wanted.split()]


def test_what_compose_refuses_is_told(docker: Docker, cli: Compose) -> None:
    docker.answers(1, "", "network proxy declared as external, but could not be found")
    with pytest.raises(EngineError, match="declared as external"):
        cli.up("shop", "/opt/shop", "/a.yml")
    assert len(docker.calls()) == 1


def test_the_hash_is_of_what_was_resolved_and_no_value_stands_in_the_command_line(docker: Docker, cli: Compose) -> None:
    docker.answers(0, "app 5b2b24f90fbe\n", "")
    assert cli.config_hash("shop", "/opt/shop", "/a.yml", "app") == "5b2b24f90fbe"
    docker.answers(0, "a secret\n", "")
    cli.config_hash("shop", "/opt/shop", "/a.yml", "app")
    resolve, ask = docker.calls()[-2:]
    assert resolve[0] == f"{COMPOSE} --file /a.yml config --format json".split()
    assert ask[0] == f"{COMPOSE} --file - config --hash app".split()
    assert ask[2] == "a secret\n"
    assert "secret" not in " ".join(resolve[0] + ask[0])


def test_what_json_may_hold_and_yaml_may_not_is_escaped(docker: Docker, cli: Compose) -> None:
    docker.answers(0, '"\x7f\x80\x85\x9f\u2028\ufeff\ufffe\uffff \xa0ä\U0001f680"\n', "")
    cli.config_hash("shop", "/opt/shop", "/a.yml", "app")
    assert docker.calls()[-1][2] == ('"\\u007f\\u0080\\u0085\\u009f\\u2028\\ufeff\\ufffe\\uffff \xa0ä\U0001f680"\n')


@pytest.mark.parametrize("what", ["create", "up", "config_hash"])
def test_what_compose_refuses_is_told_by_the_end_of_its_words(docker: Docker, cli: Compose, what: str) -> None:
    docker.answers(17, "", "".join(f"line {number}\n\n" for number in range(LAST_LINES + 5)))
    with pytest.raises(EngineError) as caught:
        {
            "create": lambda: cli.create("shop", "/opt/shop", ["/a.yml"]),
            "up": lambda: cli.up("shop", "/opt/shop", "/a.yml"),
            "config_hash": lambda: cli.config_hash("shop", "/opt/shop", "/a.yml", "app"),
        }[what]()
    message = "Compose could not do it. The command docker compose ended with code 17: line 5\nline 6\n"
    assert caught.value.message.startswith(message)
    assert caught.value.message.endswith(f"line {LAST_LINES + 4}")


def test_a_command_in_a_container(docker: Docker, cli: Compose) -> None:
    cli.execute("shop-app", ["wget", "a b"], 10)
    assert docker.calls()[0][0] == ["exec", "shop-app", "wget", "a b"]
    docker.answers(1, "out\n", "err\n")
    with pytest.raises(DockerVpsError, match="^The command docker exec ended with code 1: out\nerr$"):
        cli.execute("shop-app", ["wget"], 10)


def test_a_command_of_the_host_knows_the_engine(docker: Docker, cli: Compose) -> None:
    cli.here(["docker", "ps"], 10)
    assert docker.calls() == [[["ps"], "unix:///x.sock", ""]]


def test_a_command_that_says_nothing() -> None:
    with pytest.raises(DockerVpsError, match="^The command false ended with code 1: no output$"):
        run(["false"], 10)


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(
        DockerVpsError, match=r"^The command /nowhere/x y cannot be run: No such file or directory\. Is it installed\?$"
    ):
        run(["/nowhere/x", "y", "z"], 10)


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DockerVpsError, match=r"^The command sh -c did not end within 0\.3 s\.$"):
        run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait"], 0.3)
    assert time.monotonic() - began < 30
    child = (tmp_path / "child").read_text().strip()
    until = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < until:
        if ") Z " in Path(f"/proc/{child}/stat").read_text():
            break  # nobody has taken note of its end yet
    else:
        assert not Path(f"/proc/{child}").exists()


def test_what_is_given_and_what_is_said() -> None:
    assert run(["cat"], 10, given="Grüße") == "Grüße"
    assert run(["cat"], 10) == ""
    assert run(["printf", "\\377"], 10) == "\ufffd"
