# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that are exported from one engine and sent to another one, of either image store, without a registry."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Layout, layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.this_host import ThisHost
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_export import Params as ExportParams
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_export import run as export
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_import import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_import import run as load
from engines import MEBIBYTE, SecondEngine, second_engine
from lab import ROOT, STANDIN, MakeApp, Played, clean_environment, copied, docker, play, run, until
from servers import Machine

NAME = "it-transfer"
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Export
      ptnextjs.docker_vps.image_export:
        name: "{{ image }}"
        directory: "{{ exports }}"
        docker_host: "{{ builder }}"
      register: exported
      delegate_to: localhost
      check_mode: false
    - name: Import
      ptnextjs.docker_vps.image_import:
        name: "{{ image }}"
        image: "{{ exported.image | default({}) }}"
        source: "{{ exported.source | default('/nowhere') }}"
        directory: "{{ imports }}"
        docker_host: "{{ engine }}"
      register: imported
    - name: Tell
      ansible.builtin.copy:
        content: "{{ imported | combine({'read': exported.read | default('')}) | to_json }}"
        dest: "{{ imports }}.json"
        mode: "0600"
"""
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
BASE = 30 * MEBIBYTE


@pytest.fixture(params=["classic", "containerd"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecondEngine]:
    """An engine without images."""
    with second_engine(tmp_path / "target", 600 * MEBIBYTE, request.param == "containerd") as engine:
        yield engine


class Transfer:
    """Images on the engine of this machine, and plays that send them to others."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.builder = "unix:///var/run/docker.sock"
        self.variables: dict[str, Mapping[str, Any]] = {}  # how hosts are reached that are not local
        (place / "context").mkdir()
        (place / "context/base").write_bytes(random.Random(1).randbytes(BASE))
        self.play = place / "play.yml"
        self.play.write_text(PLAY)

    def build(self, tag: str, code: str, engine: Optional[SecondEngine] = None) -> str:
        """Build an image whose last layer has this code, on the layer that all share, and return its name."""
        (self.place / "context/code").write_text(code)
        (self.place / "context/Dockerfile").write_text(
            'FROM scratch\nCOPY base /base\nCOPY code /code\nCMD ["/code"]\n'
        )
        name = f"{NAME}:{tag}"
        arguments = ("build", "--quiet", "--tag", name, str(self.place / "context"))
        if engine:
            engine.docker(*arguments)
        else:
            docker(*arguments)
        return name

    def inventory(self, engines: Mapping[str, SecondEngine], image: str) -> Path:
        """Write an inventory of hosts with these engines."""
        given = {"image": image, "exports": str(self.place / "exports"), "builder": self.builder}
        hosts = {
            name: {
                **self.variables.get(name, LOCAL),
                **given,
                "engine": engine.url,
                "imports": str(self.place / f"imports-{name}"),
            }
            for name, engine in engines.items()
        }
        path = self.place / "hosts.yml"
        path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        return path

    def played(self, image: str, *arguments: str, **engines: SecondEngine) -> Played:
        """Send an image to hosts with these engines."""
        return play(self.play, self.inventory(engines, image), *arguments)

    def sent(self, image: str, engine: SecondEngine) -> Any:
        """Send an image and return the result."""
        self.played(image, vps=engine).succeeded()
        return self.result("vps")

    def result(self, host: str) -> Any:
        """Return the result of the last transfer to a host."""
        return json.loads((self.place / f"imports-{host}.json").read_text())

    def staged(self, host: str = "vps") -> list[Path]:
        """Return the parts that have arrived and are not loaded."""
        return [path for path in self.place.glob(f"imports-{host}/*/*") if len(path.name) == 64]

    def arrived(self) -> int:
        """Return how many bytes they have."""
        return sum(path.stat().st_size for path in self.staged())


@pytest.fixture
def transfer(tmp_path: Path) -> Iterator[Transfer]:
    """Plays that send images, which are removed in the end."""
    yield Transfer(tmp_path)
    for name in docker("images", "--format", "{{.Repository}}:{{.Tag}}", NAME).split():
        docker("rmi", name)


def description_in(exports: Path) -> Layout:
    """Return what describes the only image that was exported."""
    (path,) = exports.glob("*.json")
    return layout_of(json.loads(path.read_text()))


def layers(name: str, engine: Optional[SecondEngine] = None) -> Any:
    """Return the layers of an image."""
    found = engine.docker("image", "inspect", name) if engine else docker("image", "inspect", name)
    return json.loads(found)[0]["RootFS"]["Layers"]


def test_only_what_a_host_lacks_is_sent(transfer: Transfer, target: SecondEngine) -> None:
    first = transfer.build("1", "one")
    result = transfer.sent(first, target)
    assert (result["changed"], result["loaded"]) == (True, True)
    assert BASE <= result["sent"] <= result["bytes"] * 1.01
    assert layers(first, target) == layers(first)

    # A change of the code sends the code, also when it is another image on the same base.
    second = transfer.build("2", "two" * 1000)
    result = transfer.sent(second, target)
    assert result["loaded"]
    assert 0 < result["sent"] <= 0.05 * result["bytes"]
    assert layers(second, target) == layers(second)
    assert layers(second) != layers(first)

    # The same again: nothing is sent, and nothing appears beside it.
    images = target.images()
    assert len(images) == 2
    result = transfer.sent(second, target)
    assert (result["sent"], result["changed"]) == (0, False)
    assert target.images() == images
    assert transfer.staged() == []
    kept = [path for path in (transfer.place / "exports").iterdir() if len(path.name) == 64]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert (transfer.place / "exports").stat().st_mode & 0o777 == 0o700

    # What the host has lost meanwhile is sent again.
    target.docker("rmi", first, second)
    assert transfer.sent(second, target)["sent"] >= BASE
    assert layers(second, target) == layers(second)

    # In check mode nothing is, which is told.
    imported = r"TASK \[Import\] \**\n{}: \[vps\]"
    assert re.search(imported.format("ok"), transfer.played(second, "--check", vps=target).succeeded().output)
    target.docker("rmi", second)
    assert re.search(imported.format("changed"), transfer.played(second, "--check", vps=target).succeeded().output)
    assert target.images() == []
    assert transfer.staged() == []


def test_a_builder_with_the_other_store(transfer: Transfer, tmp_path: Path, target: SecondEngine) -> None:
    with second_engine(tmp_path / "builder", 600 * MEBIBYTE, containerd=True) as builder:
        transfer.builder = builder.url
        first = transfer.build("1", "one", builder)
        assert transfer.sent(first, target)["loaded"]
        second = transfer.build("2", "two", builder)
        result = transfer.sent(second, target)
        assert result["loaded"]
        assert result["sent"] <= 0.05 * result["bytes"]
        assert layers(second, target) == layers(second, builder)

        # It shares a layer with the one before, and is whole all the same where there is nothing of either.
        target.docker("rmi", first, second)
        shutil.rmtree(transfer.place / "exports")
        result = transfer.sent(second, target)
        assert (result["loaded"], result["read"]) == (True, "store")
        assert layers(second, target) == layers(second, builder)


@pytest.mark.parametrize("containerd", [False, True])
def test_an_engine_that_is_not_here_writes_the_same(transfer: Transfer, tmp_path: Path, containerd: bool) -> None:
    with second_engine(tmp_path / "builder", 300 * MEBIBYTE, containerd) as builder:
        image = transfer.build("1", "one", builder)
        engine = Engine.connect(Address(builder.url))
        read = export(ExportParams(image, str(tmp_path / "read")), engine, check_mode=False)
        saved = export(ExportParams(image, str(tmp_path / "saved")), Elsewhere(engine), check_mode=False)
        assert (read["read"], saved["read"]) == ("store", "save")
        assert read["image"] == saved["image"]


class Elsewhere:
    """An engine on another machine, whose directories are not here."""

    def __init__(self, engine: Engine) -> None:
        self.image, self.save, self._info = engine.image, engine.save, engine.info

    def info(self) -> Mapping[str, Any]:
        """Return the engine's facts."""
        return {**self._info(), "DockerRootDir": "/nowhere"}


def test_one_of_two_hosts_that_goes_away_meanwhile(transfer: Transfer, tmp_path: Path) -> None:
    size = 300 * MEBIBYTE
    with second_engine(tmp_path / "a", size) as one, second_engine(tmp_path / "b", size, containerd=True) as other:
        image = transfer.build("1", "one")
        machine = Machine(tmp_path / "ssh")
        transfer.variables = {"other": machine.variables}
        command = ["ansible-playbook", str(transfer.play), "-i"]
        command.append(str(transfer.inventory({"one": one, "other": other}, image)))
        environment = clean_environment() | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        begun = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

        # One host cannot be reached any more while it is sent the image; the other one gets it.
        until(lambda: transfer.staged("other"), 60, "the arrival of a part")
        machine.close()
        output = begun.communicate(timeout=120)[0]
        assert begun.returncode, output
        assert (layers(image, one), other.images()) == (layers(image), []), output
        arrived = sum(path.stat().st_size for path in transfer.staged("other"))
        assert arrived

        # When it is back, it is sent the rest, and the other one nothing.
        with contextlib.closing(Machine(tmp_path / "again")) as machine:
            transfer.variables = {"other": machine.variables}
            transfer.played(image, one=one, other=other).succeeded()
        assert transfer.result("one")["sent"] == 0
        assert 0 < transfer.result("other")["sent"] <= transfer.result("other")["bytes"] * 1.01 - arrived
        assert layers(image, other) == layers(image)


def test_a_transfer_that_is_killed_goes_on_where_it_was(transfer: Transfer, target: SecondEngine) -> None:
    image = transfer.build("1", "one")
    command = ["ansible-playbook", str(transfer.play), "-i", str(transfer.inventory({"vps": target}, image))]
    environment = clean_environment() | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    chance = random.Random(7)
    most = 0
    for number in range(5):
        begun = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
        # The first one while chunks arrive, the others at any time.
        until = time.monotonic() + chance.uniform(1, 6)
        while begun.poll() is None and (transfer.arrived() < 2 * MEBIBYTE if not number else time.monotonic() < until):
            time.sleep(0.01)
        if begun.poll() is None:
            os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
        most = max(most, transfer.arrived())
        # Whatever the engine lists is whole.
        assert len(target.images()) <= 1
        for _there in target.images():
            assert layers(image, target) == layers(image)
        if not number:
            assert len(transfer.staged()) >= 2
            assert target.images() == []
    before = transfer.arrived()
    there = len(target.images())
    result = transfer.sent(image, target)
    assert result["loaded"]
    assert result["sent"] == (0 if there else result["sent"])
    assert most >= 2 * MEBIBYTE
    assert result["sent"] <= result["bytes"] * 1.01 - before
    assert layers(image, target) == layers(image)
    assert transfer.staged() == []


def test_a_part_that_is_damaged_is_sent_again(transfer: Transfer, target: SecondEngine) -> None:
    image = transfer.build("1", "one")
    exports, imports = transfer.place / "exports", transfer.place / "imports-vps"
    transfer.sent(image, target)
    target.docker("rmi", image)

    # Everything was sent before and waits, and one part has lost a byte.
    description = description_in(exports)
    staging = imports / description.config.digest[7:]
    staging.mkdir(parents=True)
    for chunk in description.chunks:
        shutil.copy(exports / chunk.sha256, staging)
    damaged = max(description.chunks, key=lambda chunk: chunk.size)
    content = (staging / damaged.sha256).read_bytes()
    (staging / damaged.sha256).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = transfer.sent(image, target)
    assert (result["loaded"], result["sent"]) == (True, damaged.size)
    assert layers(image, target) == layers(image)

    # One that is damaged at home is exported again.
    target.docker("rmi", image)
    (exports / damaged.sha256).write_bytes(content[1:])
    assert transfer.sent(image, target)["loaded"]
    assert (exports / damaged.sha256).read_bytes() == content


def test_a_host_that_does_not_have_what_was_written_down_gets_everything(transfer: Transfer, tmp_path: Path) -> None:
    with second_engine(tmp_path / "target", 300 * MEBIBYTE, containerd=True) as target:
        first, second = transfer.build("1", "one"), transfer.build("2", "two")
        transfer.sent(first, target)
        record = transfer.place / "imports-vps/loaded.json"
        claims = json.loads(record.read_text())
        target.docker("rmi", first)
        target.docker("load", "--input", saved(transfer, "FROM scratch\nCOPY code /code\n"))
        there = target.docker("images", "--no-trunc", "--format", "{{.ID}}")
        record.write_text(json.dumps({there: next(iter(claims.values()))}))
        result = transfer.sent(second, target)
        assert (result["loaded"], result["whole"]) == (True, True)
        assert result["sent"] >= BASE
        assert layers(second, target) == layers(second)


def saved(transfer: Transfer, dockerfile: str) -> str:
    """Build another image and return the archive of it."""
    (transfer.place / "context/Dockerfile").write_text(dockerfile)
    docker("build", "--quiet", "--tag", f"{NAME}:other", str(transfer.place / "context"))
    docker("save", "--output", str(transfer.place / "other.tar"), f"{NAME}:other")
    return str(transfer.place / "other.tar")


@pytest.mark.parametrize("containerd", [False, True])
def test_a_disk_that_is_too_small(transfer: Transfer, tmp_path: Path, containerd: bool) -> None:
    with second_engine(tmp_path / "target", 50 * MEBIBYTE, containerd) as target:
        image = transfer.build("1", "one")
        text = transfer.played(image, vps=target).failed().text
        assert re.search(
            r"To load what this host lacks of the image it-transfer:1, 60 MiB are needed on the disk of", text
        )
        assert "Nothing was sent." in text
        assert transfer.staged() == []
        assert target.images() == []

        # Where somebody fills the disk meanwhile, the engine's error is one, and nothing can be started.
        exports, imports = transfer.place / "exports", transfer.place / "imports-vps"
        description = description_in(exports)
        for chunk in description.chunks:
            shutil.copy(exports / chunk.sha256, imports / description.config.digest[7:])
        params = Params(image, description, str(imports), load=True, whole=True)
        with pytest.raises(EngineError, match="no space left on device"):
            load(params, Engine.connect(Address(target.url)), ThisHost(), False)
        assert target.images() == []
        assert run("docker", "--host", target.url, "create", "--pull=never", image, check=False).returncode


def test_an_image_of_another_platform(transfer: Transfer, tmp_path: Path) -> None:
    with second_engine(tmp_path / "target", 300 * MEBIBYTE) as target:
        image = transfer.build("1", "one")
        docker("build", "--quiet", "--platform=linux/arm64", "--tag", image, str(transfer.place / "context"))
        text = transfer.played(image, vps=target).failed().text
        assert f"The image {image} is built for linux/arm64, and this host is linux/amd64." in text
        text = transfer.played(f"{NAME}:none", vps=target).failed().text
        assert f"There is no image {NAME}:none to export." in text


def test_an_application_that_is_built_elsewhere(make_app: MakeApp, sources: Path, tmp_path: Path) -> None:
    with second_engine(tmp_path / "target", 1300 * MEBIBYTE) as target:
        # Modules on the host ask its engine, and those on the controller another one.
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nDOCKER_HOST={target.url} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        needs = {"docker_vps_build_disk": "10M", "docker_vps_disk_free_min": "10M", "docker_vps_release_backup": False}
        app = make_app("it-sent", docker_vps_build_on="controller", ansible_python_interpreter=str(python), **needs)
        target.docker("network", "create", app.network)
        home = {"HOME": str(tmp_path), "ANSIBLE_ASYNC_DIR": str(tmp_path / "async")}
        app.deploy("--check", environment=home).succeeded()
        assert target.images() == []
        app.deploy(environment=home).succeeded()
        (image,) = target.images()
        assert image.startswith(f"{app.container}:")
        name = image.split()[0]
        assert layers(name, target) == layers(name)
        assert app.deploy(environment=home).succeeded().recap["changed"] == 0
        assert target.images() == [image]

        # An update of the code sends the code.
        copied(STANDIN, sources, **{"more.js": "// changed\n"})
        played = app.playbook("update", "-v", environment=home, docker_vps_source_path=str(sources)).succeeded()
        sent, size = sent_of(played)
        assert 0 < sent <= 0.05 * size
        assert len(target.images()) == 2
        assert list(app.directory.glob("images/*")) == []

        # The host knows why a build failed elsewhere.
        (sources / "build.js").write_text("throw new Error('sesame')\n")
        app.deploy(environment=home, docker_vps_source_path=str(sources)).failed()
        kept = json.loads((app.directory / "build-failure.json").read_text())
        assert "Error: sesame" in kept["lines"]
        assert kept["log"].endswith("/build.log on the controller")

        text = app.deploy(environment=home, docker_vps_build_on="nobody").failed().text
        assert "The image is to be built on nobody, and the inventory has no host of that name." in text


def sent_of(played: Played) -> tuple[int, int]:
    """Return how many bytes the role has sent, and how large the image is."""
    imported = played.output.split("TASK [ptnextjs.docker_vps.image : Image | Import what the host lacks]")[1]
    sent, size = (int(re.findall(rf"\b{key}: (\d+)", imported)[0]) for key in ("sent", "bytes"))
    return sent, size
