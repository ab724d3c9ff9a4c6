# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how a new version of an application gets to hosts without a registry."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

import yaml
from engines import MEBIBYTE, SecondEngine, second_engine
from lab import docker, image_of, play, run
from report import Row, Section, judged, ratio
from servers import Machine

PAIRS = 2
NAME = "bench-transfer"
DEPENDENCIES = 110 * MEBIBYTE
CODE = 8 * MEBIBYTE
FILE = 16 * 1024
DISK = 2500 * MEBIBYTE
LARGE = 2048 * MEBIBYTE
LOOK = 0.02  # seconds between two checks at the processes
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ptnextjs.docker_vps.image_export:
        name: "{{ image }}"
        directory: "{{ exports }}"
      register: exported
      delegate_to: localhost
    - ptnextjs.docker_vps.image_import:
        name: "{{ image }}"
        image: "{{ exported.image }}"
        source: "{{ exported.source }}"
        directory: "{{ imports }}"
        docker_host: "{{ engine }}"
      register: imported
    - ansible.builtin.debug:
        msg: "{{ inventory_hostname }}={{ [exported.read, imported.sent, imported.bytes] | to_json }}"
"""


class Sent(NamedTuple):
    """What the modules say: how the image was read, how many bytes were sent, and how many it has."""

    read: str
    sent: int
    bytes: int


class Fleet:
    """This machine's engine, which builds, and others behind sshd, which are hosts."""

    def __init__(self, scratch: Path, machine: Machine, hosts: Mapping[str, SecondEngine]) -> None:
        self.scratch, self.machine, self.hosts = scratch, machine, hosts
        self.random, self.versions = Random(1), 0
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = ["".join(self.random.choices(letters, k=self.random.randint(2, 12))) for _turn in range(5000)]
        self.text = " ".join(self.random.choices(words, k=MEBIBYTE)).encode()
        self.context = scratch / "context"
        self.context.mkdir()
        self.write("node_modules", DEPENDENCIES)
        base = f"FROM {image_of('base_image.sh')}\nCOPY node_modules /app/node_modules\nCOPY next /app/.next\n"
        (self.context / "Dockerfile").write_text(base)
        (scratch / "play.yml").write_text(PLAY)

    def write(self, folder: str, size: int) -> None:
        """Write files of text, and some like pictures."""
        for number in range(size // FILE):
            path = self.context / folder / f"{number // 100}" / f"{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            start = self.random.randrange(len(self.text) - FILE)
            picture = number % 4 == 0
            path.write_bytes(self.random.randbytes(FILE) if picture else self.text[start : start + FILE])

    def build(self) -> str:
        """Build the next version and return its name."""
        self.versions += 1
        self.write("next", CODE)
        name = f"{NAME}:{self.versions}"
        docker("build", "--quiet", "--tag", name, str(self.context))
        return name

    def ours(self, image: str, *hosts: str) -> list[Sent]:
        """Send an image with the modules, and return what they say."""
        given = {"image": image, "exports": str(self.scratch / "exports")}
        inventory = {
            name: {
                **self.machine.variables,
                **given,
                "engine": self.hosts[name].url,
                "imports": str(self.scratch / f"imports-{name}"),
            }
            for name in hosts
        }
        path = self.scratch / "hosts.yml"
        path.write_text(yaml.safe_dump({"all": {"hosts": inventory}}))
        output = play(self.scratch / "play.yml", path).succeeded().output
        return [Sent(*json.loads(re.findall(rf"\b{name}=(\[.*\])", output)[0])) for name in hosts]

    def whole(self, image: str, *hosts: str) -> None:
        """Send an image as it is done without them."""
        load = [shlex.join([*self.machine.ssh, "docker", "--host", self.hosts[name].url, "load"]) for name in hosts]
        begun = [
            subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", f"docker save {image} | zstd --quiet | {one}"],
                stdout=subprocess.DEVNULL,
            )
            for one in load
        ]
        assert [one.wait() for one in begun] == [0] * len(begun)

    def pair(self, turn: int, *hosts: str) -> tuple[float, float, list[Sent]]:
        """Send a version without the modules and another one with them, in turn; return seconds, and what these say."""
        took, said = {}, []
        for way in ("ours", "whole")[:: -1 if turn % 2 else 1]:
            image = self.build()
            run("sync")
            began = time.perf_counter()
            if way == "ours":
                said = self.ours(image, *hosts)
            else:
                self.whole(image, *hosts)
            took[way] = time.perf_counter() - began
            for name in hosts:
                assert image in " ".join(self.hosts[name].images())
        return took["whole"], took["ours"], said


@contextmanager
def fleet(scratch: Path, stores: Sequence[str] = ("classic", "containerd"), disk: int = DISK) -> Iterator[Fleet]:
    """Have hosts with either image store for a while."""
    with ExitStack() as stack:
        hosts = {
            name: stack.enter_context(second_engine(scratch / name, disk, name == "containerd")) for name in stores
        }
        machine = Machine(scratch / "ssh")
        stack.callback(machine.close)
        stack.callback(lambda: docker("rmi", "--force", *docker("images", "--quiet", NAME).split(), check=False))
        yield Fleet(scratch, machine, hosts)


def transfer(scratch: Path) -> Section:
    """Compare how an update of the code is sent."""
    with fleet(scratch) as there:
        both = tuple(there.hosts)
        began = time.perf_counter()
        there.ours(there.build(), *both)
        first = Row("ours, the first version, 2 hosts at once", [time.perf_counter() - began], "s")
        one, two = [], []
        for turn in range(PAIRS):
            one.append(there.pair(turn, both[turn % 2]))
            two.append(there.pair(turn, *both))
    return section(first, one, two)


def transfer_memory(scratch: Path) -> Section:
    """Measure the memory of all of Ansible's and our processes while a large image is sent as a whole."""
    peaks = {}
    with fleet(scratch, ("classic",), 3 * LARGE) as there:
        for what, size in (("118 MiB", CODE), ("2 GiB", LARGE)):
            there.write("node_modules", DEPENDENCIES if size == CODE else LARGE)
            image = there.build()
            with peak() as found:
                (said,) = there.ours(image, "classic")
            assert said.sent >= size / 2, said
            peaks[what] = found
    rows = [
        Row(f"{what} new, {whose}", [found[whose] / 1e6], "MB")
        for what, found in peaks.items()
        for whose in sorted(found)
    ]
    most = max(row.values[0] for row in rows if row.what.startswith("2 GiB"))
    least = max(row.values[0] for row in rows if row.what.startswith("118 MiB"))
    return Section(
        "Sending an image to one host by a play of `image_export` and `image_import`, as above, in which 118 MiB are "
        "new, and then one in which 2 GiB are. The memory is the largest peak (VmHWM) of a process of Ansible and of "
        "a module, which sshd starts.",
        rows,
        judged("2 GiB need at most 32 MB more than 118 MiB", f"{most - least:.0f} MB", most - least <= 32),
    )


@contextmanager
def peak() -> Iterator[dict[str, int]]:
    """Measure meanwhile how many bytes processes that begin then have at most: Ansible's, and those of modules."""
    before, found, ended = set(processes()), {"ansible-playbook": 0, "modules": 0}, Event()

    def look() -> None:
        while not ended.wait(LOOK):
            for process in set(processes()) - before:
                with suppress(OSError):
                    command = Path(f"/proc/{process}/cmdline").read_bytes()
                    memory = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
                    if memory and b"python" in command:
                        whose = "ansible-playbook" if b"ansible-playbook" in command else "modules"
                        found[whose] = max(found[whose], int(memory[1]) * 1024)

    looking = Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        ended.set()
        looking.join()


def processes() -> list[str]:
    """Return the numbers of all processes."""
    return [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]


def section(first: Row, one: list[Any], two: list[Any]) -> Section:
    """Say what was measured."""
    said = [each for pair in (*one, *two) for each in pair[2]]
    assert {each.read for each in said} <= {"store", "earlier"}
    found, walls = [first], []
    for what, pairs in (("1 host", one), ("2 hosts at once", two)):
        whole = Row(f"`docker save`, `zstd`, `ssh`, `docker load`, {what}", [pair[0] for pair in pairs], "s")
        ours = Row(f"ours, {what}", [pair[1] for pair in pairs], "s")
        walls.append(ratio(f"ours / `docker save` …, {what}", ours, whole))
        found += [whole, ours]
    share = Row("sent to a host / the image", [each.sent / each.bytes for each in said], "")
    size = max(each.bytes for each in said) / 1e6
    return Section(
        f"An image of {size:.0f} MB, whose last layer of {CODE / 1e6:.0f} MB is another one each time, from this "
        "machine's engine to other ones, which have the version before it: by a play of `image_export` and "
        "`image_import`, from the start of `ansible-playbook` to its end, and by `docker save IMAGE | zstd | ssh HOST "
        "docker load`. Both go through a real sshd on loopback, which is faster than any network, so that sending less "
        "counts for little here. The hosts' disks are in memory; one has the classic image store and one that of "
        "containerd, which take turns when it is one host.",
        [*found, *walls, share],
        "\n\n".join(
            [
                *(
                    judged(f"at most 0.2 of the time, {what}", f"{wall.median:.2f}", wall.median <= 0.2)
                    for what, wall in zip(("1 host", "2 hosts at once"), walls)
                ),
                judged("at most 5 % of the bytes", f"{max(share.values):.1%}", max(share.values) <= 0.05),
            ]
        ),
    )
