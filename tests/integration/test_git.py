# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkouts from real servers: SSH with deploy keys, HTTP with a token, submodules, large files, and kills."""

from __future__ import annotations

import base64
import getpass
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.modules import git_checkout
from ansible_collections.ptnextjs.docker_vps.tests.unit.repositories import Author, Host
from lab import ROOT, SUPPORT, MakeApp, run
from processes import kill_family
from servers import Sshd, keys

TOKEN = "tok-sesame-4711"
LFS = "*.png filter=lfs diff=lfs merge=lfs -text\n"


class Servers:
    """One directory of repositories, over SSH and HTTP; each deploy key opens one repository."""

    def __init__(self, place: Path) -> None:
        self.place, self.repositories = place, place / "srv"
        (self.repositories / "acme").mkdir(parents=True)
        keys(place, "host", "site", "ui")
        keys(place, "locked", passphrase="sesame")
        (place / "allowed").write_text("".join(self._allowed(name) for name in ("site", "ui")))
        self.sshd = Sshd(place)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
        self.http.root = self.repositories  # type: ignore[attr-defined]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _allowed(self, name: str) -> str:
        command = (
            f'case $SSH_ORIGINAL_COMMAND in *acme/{name}.git*) exec git shell -c \\"$SSH_ORIGINAL_COMMAND\\" ;; esac; '
            "echo ERROR: Repository not found. >&2; exit 1"
        )
        return f'restrict,command="{command}" {self.public(name)}'

    def public(self, name: str) -> str:
        return (self.place / f"{name}.pub").read_text()

    def key(self, name: str) -> str:
        return (self.place / name).read_text()

    def ssh(self, name: str) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.sshd.port}{self.repositories}/acme/{name}.git"

    def stop(self) -> None:
        self.sshd.process.terminate()
        self.sshd.process.wait()
        self.http.shutdown()
        self.http.server_close()


class Backend(BaseHTTPRequestHandler):
    """What git's own server program says, to those who have the token."""

    def answer(self) -> None:
        """Answer a request."""
        path, _mark, query = self.path.partition("?")
        wanted = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        length = int(self.headers.get("Content-Length") or 0)
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.root),  # type: ignore[attr-defined]
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": "x",
        }
        done = subprocess.run(
            ["git", "http-backend"], env=environment, input=self.rfile.read(length), capture_output=True, check=False
        )
        head, _blank, body = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().splitlines()]
        self.send_response(next((int(value.split()[0]) for name, value in headers if name == "Status"), 200))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815  # what the library calls

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    run(str(SUPPORT / "packages.sh"), "openssh-server", "openssh-client", "git", "git-lfs")
    made = Servers(tmp_path_factory.mktemp("git"))
    yield made
    made.stop()


@pytest.fixture
def author(servers: Servers, tmp_path: Path) -> Iterator[Author]:
    """Somebody who works on acme/site, of which there is a first version."""
    bare = servers.repositories / "acme/site.git"
    made = Author(tmp_path / "author", bare)
    made.push(page="first")
    yield made
    shutil.rmtree(bare)


@pytest.fixture
def host(servers: Servers, tmp_path: Path) -> Host:
    """A host that asks no server, but the directory of the repository."""
    return Host(tmp_path / "opt/source", f"file://{servers.repositories}/acme/site.git")


@pytest.fixture
def over_ssh(servers: Servers, tmp_path: Path) -> Host:
    access = {"key": servers.key("site"), "known_hosts": servers.sshd.known_hosts}
    return Host(tmp_path / "opt/source", servers.ssh("site"), **access)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"version": "mian"}, "no branch, tag or commit mian: check docker_vps_git_version. It has main."),
        ({"version": "abcdef1"}, "no branch, tag or commit abcdef1"),
        ({"version": "a" * 40}, "no such branch, tag or commit"),
        ({"key": ""}, "or none was given: give docker_vps_git_key"),
        ({"key": "locked"}, "docker_vps_git_key must be a private key as ssh-keygen writes it, without a passphrase"),
        ({"key": "ui"}, "no such repository, or it is shown to nobody without access"),
        ({"key": "nonsense"}, "docker_vps_git_key must be a private key"),
        ({"known_hosts": ""}, "The server's host key is not known."),
        ({"known_hosts": "another"}, "The server presents another host key than before."),
        ({"repository": "ssh://git@127.0.0.1:1/x"}, "does not answer"),
        ({"repository": "ssh://git@nobody.invalid/x"}, "check docker_vps_git_url and the DNS"),
        ({"repository": "https://127.0.0.1:1/x"}, "does not answer"),
        ({"repository": "/nothing/here"}, "no such repository"),
    ],
)
def test_each_cause_has_its_own_sentence(
    author: Author, servers: Servers, over_ssh: Host, given: dict[str, str], cause: str
) -> None:
    if given.get("key") in ("locked", "ui"):
        given = {"key": servers.key(given["key"])}
    if given.get("known_hosts") == "another":
        given = {"known_hosts": f"[127.0.0.1]:{servers.sshd.port} {servers.public('ui')}"}
    message = worded(over_ssh.refused(**given))
    assert cause in message, message
    assert "PRIVATE KEY" not in message


def test_a_key_that_lost_its_last_line_end_and_one_in_a_file(author: Author, servers: Servers, over_ssh: Host) -> None:
    over_ssh(key=servers.key("site").strip().replace("\n", "\r\n"))
    author.push(page="second")
    over_ssh(key="", key_file=str(servers.place / "site"))
    assert over_ssh.page() == "second"


def test_submodules_are_asked_with_their_own_keys(
    servers: Servers, author: Author, over_ssh: Host, tmp_path: Path
) -> None:
    ui = Author(tmp_path / "ui", servers.repositories / "acme/ui.git")
    ui.push(button="round")
    author.git("submodule", "--quiet", "add", str(ui.bare), "ui")
    author.git("config", "--file", ".gitmodules", "submodule.ui.url", "../ui.git")
    author.push()
    message = over_ssh.refused()
    assert "Repository not found" in message
    keys = {"submodule_keys": {"acme/ui": servers.key("ui")}}
    assert over_ssh(**keys)["changed"]  # what the refused run left is finished
    assert (over_ssh.place / "ui/button").read_text() == "round"
    assert not over_ssh(**keys)["changed"]
    ui.push(button="square")
    author.git("submodule", "--quiet", "update", "--remote", "--init")
    author.push()
    assert over_ssh(**keys)["changed"]
    assert (over_ssh.place / "ui/button").read_text() == "square"
    shutil.rmtree(ui.bare)


def test_a_token_stands_nowhere(servers: Servers, author: Author, host: Host) -> None:
    address = f"http://127.0.0.1:{servers.http.server_address[1]}/acme/site.git"
    assert "⟦setting git_token⟧" in host.refused(repository=address)
    assert "⟦setting git_token⟧" in host.refused(repository=address, token="another")
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.002):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        host(repository=address, token=TOKEN)
    finally:
        over.set()
        watcher.join()
    assert any(b"git-remote-http" in one or b"remote-http" in one for one in seen)
    assert not [one for one in seen if TOKEN.encode() in one]
    assert run("grep", "-r", TOKEN, str(host.place), check=False).stdout == ""
    assert host.page() == "first"
    elsewhere = f"http://localhost:{servers.http.server_address[1]}/acme/site.git"
    other = {**host.given, "repository": elsewhere, "token": TOKEN, "path": str(host.place.with_name("other"))}
    assert git_checkout.run(git_checkout.params_of(other), False)["changed"]
    author.git("submodule", "--quiet", "add", str(author.bare), "again")
    author.git("config", "--file", ".gitmodules", "submodule.again.url", elsewhere)
    author.push()
    assert "⟦setting git_token⟧" in host.refused(repository=address, token=TOKEN)  # another server's


def test_large_files_are_fetched_or_refused(author: Author, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    author.git("lfs", "install", "--local")
    author.push(**{".gitattributes": LFS, "logo.png": "picture", "docs/none.txt": "text"})
    host()
    assert (host.place / "logo.png").read_text() == "picture"
    assert not host()["changed"]
    shutil.rmtree(host.place)
    monkeypatch.setenv("PATH", str(without_lfs(host.place.parent / "bin")))
    message = host.refused()
    # With what the package of git-lfs writes into /etc/gitconfig, git refuses itself.
    assert "install git-lfs on the host" in message
    assert "Only pointers are here: logo.png." in message or "git-lfs: not found" in message
    monkeypatch.undo()
    assert host()["changed"]
    assert (host.place / "logo.png").read_text() == "picture"


def test_large_files_of_a_submodule_are_fetched_or_refused(
    servers: Servers, author: Author, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here the host may take submodules from a path, which saves a server of large files, and has no filter for these.
    (tmp_path / ".gitconfig").write_text(
        "[protocol.file]\nallow = always\n[filter.lfs]\nrequired = false\nprocess =\nsmudge = cat\nclean = cat\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    ui = Author(tmp_path / "ui", servers.repositories / "acme/ui.git")
    ui.git("lfs", "install", "--local")
    ui.push(**{".gitattributes": LFS, "icons/logo.png": "picture"})
    author.git("submodule", "--quiet", "add", f"file://{ui.bare}", "parts/ui")
    author.push()
    try:
        with monkeypatch.context() as bare:
            bare.setenv("PATH", str(without_lfs(tmp_path / "bin")))
            message = host.refused()
            assert "install git-lfs on the host" in message
            assert "Only pointers are here: parts/ui/icons/logo.png." in message
        assert host()["changed"]
        assert (host.place / "parts/ui/icons/logo.png").read_text() == "picture"
        assert not host()["changed"]
        ui.push(**{"icons/logo.png": "another"})
        author.git("submodule", "--quiet", "update", "--remote", "--init")
        author.push()
        host()
        assert (host.place / "parts/ui/icons/logo.png").read_text() == "another"
    finally:
        shutil.rmtree(ui.bare)


def without_lfs(place: Path) -> Path:
    """Return a directory of the commands that are needed, without git-lfs."""
    place.mkdir(parents=True)
    for name in ("git", "ssh", "ssh-keygen", "sh", "basename", "sed", "uname"):  # the last three for submodules
        (place / name).symlink_to(shutil.which(name) or name)
    return place


CHECKOUT = """
import sys, json
sys.path.insert(0, sys.argv[1])
from ansible_collections.ptnextjs.docker_vps.plugins.modules import git_checkout
print("begun", flush=True)
git_checkout.run(git_checkout.params_of(json.load(sys.stdin)), False)
"""


def begun(host: Host) -> subprocess.Popen[bytes]:
    """Begin a checkout in a process of its own; returns when it is about to."""
    command = [sys.executable, "-c", CHECKOUT, str(ROOT / ".ansible/collections")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    process.stdin.write(json.dumps(host.given).encode())
    process.stdin.close()
    return process


def test_a_checkout_that_is_killed_is_finished_by_the_next_run(author: Author, host: Host) -> None:
    names = [f"many/{number}" for number in range(1000)]
    author.push(**dict.fromkeys(names, "0" * 500))
    began = time.monotonic()
    begun(host).wait()
    lasts = time.monotonic() - began
    under_way = host.place / ".git/docker-vps-checkout"  # while files are exchanged
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    left, rounds = 0, 8
    for turn in range(rounds):
        text = str(turn + 1) * 500
        author.push(**dict.fromkeys(names, text))
        process = begun(host)
        if turn % 2:
            while process.poll() is None and not under_way.exists():
                time.sleep(0.001)
        else:
            time.sleep(lasts * (turn + chance.random()) / rounds)
        kill_family(process.pid)  # as when the power fails
        process.wait()
        left += under_way.exists()
        host()
        assert {(host.place / name).read_text() for name in names} == {text}, f"round {turn} of seed {seed}"
        assert not host()["changed"]
    assert left, f"with seed {seed} no checkout was killed while files were exchanged"


def test_a_play_checks_out_with_the_variables_of_the_inventory(
    servers: Servers, author: Author, make_app: MakeApp
) -> None:
    variables = {
        "docker_vps_source_path": None,
        "docker_vps_git_url": servers.ssh("site"),
        "docker_vps_git_key": servers.key("site"),
        "docker_vps_git_known_hosts": servers.sshd.known_hosts,
    }
    app = make_app("it-git-ssh", **variables)
    played = app.deploy("-vvv", docker_vps_git_version="mian", docker_vps_git_token=TOKEN).failed()
    assert "check docker_vps_git_version. It has main." in played.text
    assert "image_git" not in played.output.split("TASK [Failure")[-1]
    for secret in (TOKEN, servers.key("site").splitlines()[2]):
        assert secret not in played.output
