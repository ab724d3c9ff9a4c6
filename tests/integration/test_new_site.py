# SPDX-License-Identifier: GPL-3.0-or-later
"""A site as new_site writes it with the collection of the tarball, and its playbooks as people and CI call them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.tests.support.sites import verbs
from lab import ROOT, STANDIN, App, MakeApp, Played, clean_environment, commit, containers, copied, play, run
from servers import Machine

NAME = "it-new-site"
PASSWORD = "correct horse"
SECRET = "5eed" * 16


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as its tarball installs it, with those that it needs."""
    place = tmp_path_factory.mktemp("collections")
    run("ansible-galaxy", "collection", "build", "--output-path", str(place), cwd=ROOT)
    (place / "ansible_collections").mkdir()
    (place / "ansible_collections/community").symlink_to(ROOT / ".ansible/collections/ansible_collections/community")
    (tarball,) = place.glob("*.tar.gz")
    install = ("ansible-galaxy", "collection", "install", "--offline", "--collections-path", str(place), str(tarball))
    run(*install, cwd=place, env=clean_environment())
    return place


class Site:
    """The site of an application, and plays in its directory."""

    def __init__(self, place: Path, collections: Path, given: Mapping[str, str]) -> None:
        self.place, self.collections, self.given = place, collections, given
        self.directory = place / NAME

    def new(self, *arguments: str, **given: str) -> Played:
        """Run new_site where it is called from."""
        values = [argument for name, value in {**self.given, **given}.items() for argument in ("-e", f"{name}={value}")]
        return self._play("ptnextjs.docker_vps.new_site", None, self.place, *values, *arguments)

    def verb(self, verb: str, *arguments: str) -> Played:
        """Run a playbook of the site."""
        return self._play(f"{verb}.yml", "prod", self.directory, *arguments)

    def _play(self, playbook: str, inventory: str | None, cwd: Path, *arguments: str) -> Played:
        environment = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        return play(Path(playbook), Path(inventory or "localhost,"), *arguments, cwd=cwd, **environment)

    def add(self, name: str, variables: Mapping[str, Any]) -> None:
        """Add variables to a file, as somebody does with an editor."""
        with (self.directory / name).open("a") as file:
            file.write("\n" + yaml.safe_dump({**variables}))


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """The application that the site deploys: its names, what this machine needs, and where it is."""
    return make_app(NAME, docker_vps_source_path=None)


@pytest.fixture(scope="module")
def site(app: App, collections: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on this machine, without SSH."""
    place = tmp_path_factory.mktemp("site")
    sources = copied(STANDIN, place / "sources")
    commit(sources)
    given = {"site": NAME, "host": "localhost", "repository": f"file://{sources}", "url": "http://localhost:8080"}
    site = Site(place, collections, given)
    site.new().succeeded()
    theirs = {"docker_vps_app", "docker_vps_server_url", "docker_vps_source_path"}
    site.add("prod/group_vars/docker_vps.yml", {k: v for k, v in app.variables.items() if k not in theirs})
    yield site
    shutil.rmtree(place)


def test_the_tarball_has_all_files_of_a_site_and_an_edited_one_stays(site: Site, tmp_path: Path) -> None:
    fresh = Site(tmp_path, site.collections, {**site.given, "host": "vps1.example.com"})
    dry = fresh.new("--check", "--diff").succeeded()
    assert dry.recap["changed"] == 1
    assert "+  ansible.builtin.import_playbook: ptnextjs.docker_vps.rotate_secret" in dry.output
    assert not fresh.directory.exists()
    fresh.new().succeeded()
    example = ROOT / "examples/site"
    names = {path.relative_to(example).as_posix() for path in example.rglob("*") if path.is_file()}
    made = {path.relative_to(fresh.directory).as_posix() for path in fresh.directory.rglob("*") if path.is_file()}
    assert made == names | {"requirements.txt"}
    assert fresh.new().succeeded().recap["changed"] == 0
    again = site.new().succeeded()
    assert again.recap["changed"] == 0
    assert "Left as it is, since it differs from what new_site writes: prod/group_vars/docker_vps.yml." in again.text


def test_what_is_wrong_is_one_sentence_each(site: Site) -> None:
    failed = site.new(site="Shop", url="").failed()
    assert "Nothing was written, because url is missing: give it, as in -e url=https://shop.example.com." in failed.text
    assert "site must be a name of small letters, digits, dashes and underscores, but is 'Shop'." in failed.text
    assert not (site.place / "Shop").exists()
    failed = site.new("-e", "docker_vps_git_version=v2").failed()
    step = "write it into prod/group_vars/docker_vps.yml of the site afterwards."
    assert f"Nothing was written, because new_site does not read docker_vps_git_version: {step}" in failed.text


@pytest.mark.parametrize("verb", verbs())
def test_a_verb_is_found_and_has_tasks(site: Site, verb: str) -> None:
    site.verb(verb, "--syntax-check").succeeded()
    listed = site.verb(verb, "--list-tasks").succeeded()
    assert "Check every variable before anything is touched" in listed.output


def test_a_site_deploys_shows_backs_up_and_removes(site: Site, app: App) -> None:
    deployed = site.verb("deploy").succeeded()
    assert f"{app.container} is healthy" in deployed.text
    assert app.get("/api/health").json["status"] == "healthy"
    assert site.verb("deploy").succeeded().recap["changed"] == 0
    assert "1 host: 1 healthy" in site.verb("status").succeeded().text
    (made,) = re.findall(rf"Set (\S+) of {NAME}: 2 archives", site.verb("backup").succeeded().text)
    assert made in site.verb("backup_list").succeeded().text
    refused = site.verb("remove").failed()
    assert "docker_vps_remove_confirm" in refused.text
    site.verb("remove", "-e", f"docker_vps_remove_confirm={NAME}", "-e", "docker_vps_remove_data=true").succeeded()
    assert app.container not in containers()


def test_ci_deploys_with_its_key_known_hosts_and_vault(site: Site, app: App, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "ssh")
    try:
        theirs = Site(
            tmp_path, site.collections, {**site.given, "host": f"{machine.variables['ansible_user']}@127.0.0.1"}
        )
        theirs.new().succeeded()
        (theirs.directory / "prod/group_vars/docker_vps.yml").write_text(
            (site.directory / "prod/group_vars/docker_vps.yml").read_text()
        )
        secret = {"docker_vps_payload_secret": "{{ vault_payload_secret }}"}
        theirs.add("prod/group_vars/docker_vps.yml", secret)
        ours = {name: machine.variables[name] for name in ("ansible_port", "ansible_python_interpreter")}
        theirs.add("prod/group_vars/all/local.yml", ours)
        encrypt(theirs.directory, tmp_path)
        (job,) = yaml.safe_load((theirs.directory / "ci/github.yml").read_text())["jobs"].values()
        (step,) = [step for step in job["steps"] if step.get("name") == "Deploy"]
        given = {
            "SSH_KEY": (tmp_path / "ssh/user").read_text(),
            "KNOWN_HOSTS": (tmp_path / "ssh/known_hosts").read_text(),
            "VAULT_PASSWORD": PASSWORD,
        }
        assert set(given) == set(step["env"])
        environment = {
            **clean_environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(site.collections),
            "TMPDIR": str(tmp_path),
        }
        script = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
        # A host with another key than the known one gets nothing.
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other"))
        other = f"[127.0.0.1]:{ours['ansible_port']} {(tmp_path / 'other.pub').read_text()}"
        failed = run(*script, cwd=theirs.directory, env={**environment, **given, "KNOWN_HOSTS": other}, check=False)
        assert failed.returncode != 0
        assert "Host key verification failed" in failed.stdout + failed.stderr
        assert "Accepted publickey" not in machine.log()
        done = run(*script, cwd=theirs.directory, env={**environment, **given})
        assert f"{app.container} is healthy" in " ".join(done.stdout.split())
        assert app.env_keys()["PAYLOAD_SECRET"] == SECRET
        assert "Accepted publickey" in machine.log()
        assert not [shown for shown in (SECRET, PASSWORD, given["SSH_KEY"]) if shown in done.stdout + done.stderr]
        assert not list(tmp_path.glob("tmp.*")), "what held secrets is gone"
    finally:
        machine.close()


def encrypt(directory: Path, scratch: Path) -> None:
    """Fill in the sample of a vault and encrypt it as README.md of the site says."""
    sample = directory / "prod/group_vars/all/vault.yml.example"
    vault = sample.with_suffix("")
    (scratch / "password").write_text(PASSWORD)
    password = ("--vault-password-file", str(scratch / "password"))
    run("ansible-vault", "encrypt", str(sample), "--output", str(vault), *password, cwd=directory)
    assert vault.read_text().startswith("$ANSIBLE_VAULT;1.1;AES256")
    editor = f"sed -i 's/^vault_payload_secret: \"\"/vault_payload_secret: {SECRET}/'"
    run("ansible-vault", "edit", str(vault), *password, cwd=directory, env={**clean_environment(), "EDITOR": editor})
