# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who follows the pages: in an empty directory, with SSH to a host that has nothing but sshd."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping

import guide
import yaml
from bare_host import Host
from lab import ROOT, clean_environment, commit, copied, docker, image_of, run, until
from servers import free_port, keys

NAME = "www.example.com"
LACKING: Mapping[str, str] = {
    "docker_vps_base_image": "there is no image registry; the engine of a host has the image from its first start",
    "docker_vps_base_refresh": "likewise",
    "docker_vps_reverse_proxy_image": "likewise",
    "docker_vps_engine_repository": "Docker's own repository is not reached; one of the same packages is made here",
    "docker_vps_engine_fingerprint": "likewise",
    "docker_vps_acme_directory": "Let's Encrypt is not reached; another authority issues certificates in the same way",
    "docker_vps_acme_ca": "likewise",
    "docker_vps_tls": "likewise, where the page has the authority of the proxy itself",
    "docker_vps_build_ca": "npm's registry is reached through an authority of this machine only",
    "docker_vps_server_actions_key": "the same sources are built once, and not again for another key",
}
"""The settings for what this machine lacks, and no page names; all others are as the pages say."""
EXAMPLES: Mapping[str, str] = {
    r"203\.0\.113\.9": "the address of the host",
    r"203\.0\.113\.77": "that of the next one",
    r"https://git\.example\.com/acme/site\.git": "a repository that hosts reach",
    r"https://git\.example\.com/acme/shop\.git": "another one",
    r"/path/to/your/application": "a clone of it",
    r"/path/to/ptnextjs": "what make build wrote",
    r"vps1\.example\.com": "the name of the host in the inventory",
    r"vps1,vps2": "likewise",
    r"20260131-020000": "the timestamp of the newest set",
    r"<proxy container>": "the container of the proxy that setup.yml started",
    r"ptnextjs(?![.-]docker_vps)": "the name of the application, which is site in the guides",
}
"""What pages have as examples, and what it is here: no other word of a command is another one."""


class Repositories:
    """Git repositories of applications in a directory of this machine, which hosts reach at an address."""

    def __init__(self, place: Path, address: str) -> None:
        self._place, self._address = place, address

    def add(self, name: str, application: Path, **files: str) -> tuple[str, Path]:
        """Make a repository of an application, with other files in place of some; return its URL, and a clone of it."""
        bare, clone = self._place / f"{name}.git", copied(application, self._place / name, **files)
        commit(clone)
        run("git", "clone", "--quiet", "--bare", str(clone), str(bare))
        run("git", "-C", str(clone), "remote", "add", "origin", str(bare))
        run("git", "-C", str(clone), "fetch", "--quiet", "origin")
        run("git", "-C", str(clone), "branch", "--quiet", "--set-upstream-to=origin/main")
        return f"git://{self._address}/{name}.git", clone


@contextmanager
def serving_repositories(place: Path) -> Iterator[Repositories]:
    """Serve the repositories in a directory at the address that this machine has on the network of the hosts."""
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    port = free_port()
    options = ("--reuseaddr", "--export-all", f"--base-path={place}", f"--listen={gateway}", f"--port={port}")
    process = subprocess.Popen(["git", "daemon", *options])
    try:
        yield Repositories(place, f"{gateway}:{port}")
    finally:
        process.terminate()
        process.wait()


class Authority:
    """An authority that issues certificates over ACME, in a container, and the DNS that it asks."""

    def __init__(self, name: str, root: str, settings: Mapping[str, str]) -> None:
        self._name, self.root, self.settings = name, root, settings

    def resolve(self, address: str) -> None:
        """Have the name of the site lead to an address."""
        lines = f"grep -v {NAME} /etc/hosts >/hosts; echo {address} {NAME} >>/hosts; cat /hosts >/etc/hosts"
        docker("exec", self._name, "sh", "-c", lines)


@contextmanager
def serving_certificates(name: str) -> Iterator[Authority]:
    """Run an authority in a container of this name."""
    site = "{\n\tskip_install_trust\n}\n{$ADDRESS} {\n\ttls internal\n\tacme_server\n}\n"
    begin = "ADDRESS=$(hostname -i) exec caddy run --adapter caddyfile --config /Caddyfile"
    options = ("--detach", "--name", name, "--env", "XDG_DATA_HOME=/data", "--entrypoint", "sh")
    docker("run", *options, image_of("proxy_image.sh"), "-c", f"printf '{site}' >/Caddyfile; {begin}")
    try:
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        certificate = ("exec", name, "cat", "/data/caddy/pki/authorities/local/root.crt")
        root = until(lambda: docker(*certificate, check=False), 20, "an authority") + "\n"
        directory = f"https://{address}/acme/local/directory"
        yield Authority(name, root, {"docker_vps_acme_directory": directory, "docker_vps_acme_ca": root})
    finally:
        docker("rm", "--force", "--volumes", name)


class Reader:
    """Whoever follows pages, with a home and an empty directory of their own, and the host that they reach."""

    def __init__(
        self, place: Path, repository: Mapping[str, str], authority: Authority, ran: set[tuple[str, int]]
    ) -> None:
        self.place, self.repository, self.authority, self.ran = place, repository, authority, ran
        self.home = place / "home"
        self.words: dict[str, str] = {}
        self.refusals: dict[str, str] = {}
        self._shells: dict[str, guide.Shell] = {}

    def begin(self) -> Reader:
        """Make what they have of their own: programs, a key, community.docker, and an empty directory."""
        empty, programs = self.place / "empty", self.place / "bin"
        for path in (empty, programs, self.home):
            path.mkdir(parents=True)
        keys(self.place, "key")
        self.root.write_text(self.authority.root)
        # ssh looks for ~/.ssh where the account has its home, whatever HOME says.
        for name in ("ssh", "scp", "sftp"):
            (programs / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {self.place}/config "$@"\n')
            (programs / name).chmod(0o755)
        options = ("IdentitiesOnly yes", f"IdentityFile {self.place}/key", "BatchMode yes", "StrictHostKeyChecking yes")
        (self.place / "config").write_text("\n".join([*options, f"UserKnownHostsFile {self.place}/known_hosts", ""]))
        # There is no Galaxy, which ansible-galaxy would get it from.
        collections = self.home / ".ansible/collections/ansible_collections"
        collections.mkdir(parents=True)
        (collections / "community").symlink_to(ROOT / ".ansible/collections/ansible_collections/community")
        # Neither the programs of this checkout nor its settings are theirs.
        ours = ("PYTHON", "MAKE", "VIRTUAL_ENV", "OLDPWD")
        kept = {name: value for name, value in clean_environment().items() if not name.startswith(ours)}
        path = ":".join([str(programs), *(one for one in kept["PATH"].split(":") if ".venv" not in one)])
        environment = {**kept, "PATH": path, "HOME": str(self.home), "ANSIBLE_NOCOLOR": "1"}
        self._shells["here"] = guide.Shell.start("bash", "--noprofile", "--norc", cwd=empty, env=environment)
        return self

    def rent(self, host: Host, example: str = r"203\.0\.113\.9") -> None:
        """Have a new host, as pages want it: a login with a key, and trust in the authority that all trust."""
        host.sh("ssh-keygen -A && systemctl start ssh")
        host.write("/root/.ssh/authorized_keys", (self.place / "key.pub").read_text())
        address = host.address()
        with (self.place / "known_hosts").open("a") as known:
            known.write(f"{address} {host.sh('cat /etc/ssh/ssh_host_ed25519_key.pub')}\n")
        host.load_later(image_of("base_image.sh"), image_of("proxy_image.sh"))
        host.write("/usr/local/share/ca-certificates/of-the-tests.crt", self.authority.root)
        host.sh("update-ca-certificates")
        self.words[example] = address
        if "host" in self._shells:
            self._shells["host"].close()
        self._shells["host"] = guide.Shell.start(str(self.place / "bin/ssh"), f"root@{address}", "bash")

    def point(self, host: Host) -> None:
        """Have the DNS lead to a host, for the authority, for the host itself and for curl."""
        address = host.address()
        self.authority.resolve(address)
        host.sh(f"echo '{address} {NAME}' >>/etc/hosts")
        lines = (f'resolve = "{NAME}:443:{address}"', f'cacert = "{self.root}"', "silent", "show-error", "fail")
        (self.home / ".curlrc").write_text("\n".join([*lines, ""]))

    @property
    def root(self) -> Path:
        """The certificate of the authority that curl trusts."""
        return self.place / "root.crt"

    def lack(self, **more: Any) -> None:
        """Write the settings for what this machine lacks, beside those that pages have one edit."""
        given = {
            "docker_vps_base_image": image_of("base_image.sh"),
            "docker_vps_base_refresh": "never",
            "docker_vps_reverse_proxy_image": image_of("proxy_image.sh"),
            **self.repository,
            **self.authority.settings,
            **more,
        }
        assert given.keys() <= LACKING.keys()
        (self.site / "prod/group_vars/all/machine.yml").write_text(yaml.safe_dump(given))

    @property
    def site(self) -> Path:
        """The directory that the shell is in, which is that of a site from new_site on."""
        return Path(self.sh("pwd"))

    @property
    def variables(self) -> Path:
        """The file that pages have one edit."""
        return self.site / "prod/group_vars/docker_vps.yml"

    def sh(self, command: str) -> str:
        """Return what a command prints that is on no page; fail when it fails."""
        code, output = self._shells["here"].run(command)
        assert not code, f"{command}\nended with {code}:\n{output}"
        return output.strip()

    def said(self, command: str) -> str:
        """Return what a command prints that is on no page, however it ends."""
        return self._shells["here"].run(command)[1]

    def edit(self, **settings: Any) -> None:
        """Add settings to the file that pages have one edit."""
        with self.variables.open("a") as file:
            file.write("\n" + yaml.safe_dump(settings))

    def opens(self, name: str) -> Page:
        """Begin to read a page."""
        return Page(self, name, (ROOT / name).read_text(encoding="utf-8"))

    def follow(self, block: guide.Block) -> str:
        """Run a block, and return what it printed."""
        assert self.words.keys() <= EXAMPLES.keys()
        here = self._shells["here"]
        output = guide.follow(block, here, self._shells.get("host", here), self.words, self.refusals)
        self.ran.add((block.page, block.line))
        return output

    def close(self) -> None:
        """End the shells."""
        for shell in self._shells.values():
            shell.close()


class Page:
    """A page that is followed from its beginning to its end."""

    def __init__(self, reader: Reader, name: str, text: str) -> None:
        self.reader, self.name, self.text = reader, name, text
        self._left, self._at = guide.blocks(name, text), 0

    def run(self) -> str:
        """Run the next block that is not marked, and return what it printed."""
        while self._left[0].why_not:
            self._at = self._left.pop(0).end
        block = self._left.pop(0)
        self._at = block.end
        return self.reader.follow(block)

    def next(self) -> guide.Block:
        """Return the next block that is not marked, and leave it to be run."""
        return next(block for block in self._left if not block.why_not)

    def rest(self) -> str:
        """Run all blocks that are left, and return what they printed."""
        printed = ""
        while any(not block.why_not for block in self._left):
            printed += self.run()
        return printed

    def settings(self) -> str:
        """Return the last YAML of the page before the next block, with its examples replaced."""
        *_unused, last = guide.settings(self.text[self._at : self._left[0].begin])
        return guide.replaced(last, self.reader.words)

    def uncomment(self) -> None:
        """Remove the # before the settings that the page shows without it."""
        path, text = self.reader.variables, self.reader.variables.read_text()
        for line in self.settings().splitlines():
            if not line.startswith("#"):
                assert f"\n# {line}\n" in text, f"{self.name}: {path} has no line # {line}"
                text = text.replace(f"\n# {line}\n", f"\n{line}\n")
        path.write_text(text)

    def unseen(self, output: str) -> list[str]:
        """Return what the page's tables quote, and is not in an output; … stands for anything."""
        quotes = re.findall(r"(?m)^\| `([^`]+)` \|", self.text)
        assert quotes
        folded = " ".join(output.split())
        patterns = {quote: ".*".join(re.escape(piece.strip()) for piece in quote.split("…")) for quote in quotes}
        return [quote for quote, pattern in patterns.items() if not re.search(pattern, folded)]


@contextmanager
def reading(repository: Mapping[str, str], authority: Authority, ran: set[tuple[str, int]]) -> Iterator[Reader]:
    """Yield a reader whose things are removed in the end; sockets of SSH lie among them, so their path is short."""
    with tempfile.TemporaryDirectory(prefix="guide") as name:
        reader = Reader(Path(name), repository, authority, ran).begin()
        try:
            yield reader
        finally:
            reader.close()
