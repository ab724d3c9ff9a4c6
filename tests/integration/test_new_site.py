# SPDX-License-Identifier: GPL-3.0-or-later
"""A site as new_site writes it with the collection of the tarball, and its playbooks as people and CI call them."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.tests.support.sites import gitlab_jobs, verbs
from lab import ROOT, STANDIN, App, MakeApp, Played, clean_environment, commit, containers, copied, play, run, until
from servers import Machine, keys

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


class Ci:
    """A runner of a forge that has checked a site out, with the variables that its CI sample asks for."""

    def __init__(self, site: Site, place: Path, given: Mapping[str, str]) -> None:
        self.site, self.place, self.given = site, place, given
        self.environment = {
            **clean_environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(site.collections),
            "TMPDIR": str(place),
        }

    def github(self, **given: str) -> subprocess.CompletedProcess[str]:
        """Run the step that has the secrets, in whose environment they are."""
        (job,) = yaml.safe_load((self.site.directory / "ci/github.yml").read_text())["jobs"].values()
        (step,) = [step for step in job["steps"] if step.get("name") == "Deploy"]
        assert set(self.given) == set(step["env"])
        return self._run(step["run"], {**self.given, **given})

    def gitlab(self, job: str = "deploy", **given: str) -> subprocess.CompletedProcess[str]:
        """Run the script of a job. Variables are files that end without a line feed; everybody may write everywhere."""
        about = gitlab_jobs(self.site.directory)[job]
        files = self.place / "builds.tmp"
        files.mkdir(exist_ok=True)
        for name, content in {**self.given, **given}.items():
            (files / name).write_text(content.rstrip("\n"))
            (files / name).chmod(0o666)
        self.site.directory.chmod(0o777)
        directory = str(self.site.directory)
        own = {name: value.replace("$CI_PROJECT_DIR", directory) for name, value in about["variables"].items()}
        return self._run("\n".join(about["script"]), {**own, **{name: str(files / name) for name in self.given}})

    def _run(self, script: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
        return run(*shell, cwd=self.site.directory, env={**self.environment, **variables}, check=False)

    def assert_nothing_is_left(self) -> None:
        """Fail if a file that held a secret is still there, or an agent that has the key."""
        assert not list(self.place.glob("tmp.*"))
        until(lambda: not self._agents(), 30, "the end of the agent")  # it looks every ten seconds

    def _agents(self) -> list[str]:
        """Return the agents of keys that scripts have started here."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if (process / "comm").read_text() == "ssh-agent\n":
                    found += (
                        [process.name] if f"TMPDIR={self.place}".encode() in (process / "environ").read_bytes() else []
                    )
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """This machine behind an sshd."""
    machine = Machine(tmp_path / "ssh")
    yield machine
    machine.close()


@pytest.fixture
def ci(site: Site, machine: Machine, tmp_path: Path) -> Ci:
    """A runner for the same site by SSH, with a vault."""
    host = f"{machine.variables['ansible_user']}@127.0.0.1"
    theirs = Site(tmp_path, site.collections, {**site.given, "host": host})
    theirs.new().succeeded()
    variables = "prod/group_vars/docker_vps.yml"
    (theirs.directory / variables).write_text((site.directory / variables).read_text())
    theirs.add(variables, {"docker_vps_payload_secret": "{{ vault_payload_secret }}"})
    ours = {name: machine.variables[name] for name in ("ansible_port", "ansible_python_interpreter")}
    theirs.add("prod/group_vars/all/local.yml", ours)
    encrypt(theirs.directory, tmp_path)
    given = {
        "SSH_KEY": (tmp_path / "ssh/user").read_text(),
        "KNOWN_HOSTS": (tmp_path / "ssh/known_hosts").read_text(),
        "VAULT_PASSWORD": PASSWORD,
    }
    return Ci(theirs, tmp_path, given)


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_ci_deploys_with_its_key_known_hosts_and_vault(
    app: App, ci: Ci, machine: Machine, tmp_path: Path, forge: str
) -> None:
    deploy = getattr(ci, forge)
    # A host with another key than the known one gets nothing.
    keys(tmp_path, "other")
    other = f"[127.0.0.1]:{machine.variables['ansible_port']} {(tmp_path / 'other.pub').read_text()}"
    failed = deploy(KNOWN_HOSTS=other)
    assert failed.returncode != 0
    assert "Host key verification failed" in failed.stdout + failed.stderr
    assert "Accepted publickey" not in machine.log()
    done = deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{app.container} is healthy" in " ".join(done.stdout.split())
    assert "    msg:\n    - " in done.stdout, "the site's ansible.cfg counts"
    assert app.env_keys()["PAYLOAD_SECRET"] == SECRET
    assert "Accepted publickey" in machine.log()
    assert not [shown for shown in (SECRET, PASSWORD, ci.given["SSH_KEY"]) if shown in done.stdout + done.stderr]
    ci.assert_nothing_is_left()


def test_a_merge_request_on_gitlab_is_told_what_a_deploy_would_change(app: App, ci: Ci) -> None:
    app.remove()
    done = ci.gitlab("dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Next: the same without --check does it." in " ".join(done.stdout.split())
    assert SECRET not in done.stdout + done.stderr
    assert app.container not in containers()
    assert not app.directory.exists()
    ci.assert_nothing_is_left()


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
