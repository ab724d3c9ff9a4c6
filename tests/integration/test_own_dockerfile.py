# SPDX-License-Identifier: GPL-3.0-or-later
"""A Dockerfile of the application's own: where it is, what it is given, its stage and its secrets."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Mapping, Sequence

import pytest
from lab import ROOT, App, MakeApp, Played, build, commit, docker, image_of, run

VALUE, FROM_FILE = "sesame-4711-open", "another-0815-token"
ID = "site_token"
# One stage that fails, one that is wanted, and one that comes last. Each secret leaves its digest alone.
DOCKERFILE = """ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS broken
RUN false
FROM ${BASE_IMAGE} AS runner
WORKDIR /given
COPY . .
LABEL stage=runner
RUN --mount=type=secret,id=site_token sha256sum </run/secrets/site_token >/token 2>&1 || true; sleep 2
RUN --mount=type=secret,id=other sha256sum </run/secrets/other >/other 2>&1 || true
FROM runner AS last
LABEL stage=last
"""
FILES = {
    "docker/Dockerfile.prod": DOCKERFILE,
    "docker/Dockerfile.prod.dockerignore": "left-out\n",
    ".dockerignore": "kept\n",
    "apps/web/kept": "",
    "apps/web/left-out": "",
    "apps/web/.dockerignore": "kept\n",
    "apps/web/Dockerfile": DOCKERFILE,
    "kept": "",
    "left-out": "",
    "docker/wrong": "FROM scratch\nRUNN x\n",
    "docker/nothing": "# Nothing yet.\n",
}
PROD = {"docker_vps_dockerfile": "docker/Dockerfile.prod", "docker_vps_build_target": "runner"}


@pytest.fixture
def site(sources: Path) -> Path:
    """Sources as a directory, which are a git repository too."""
    for name, text in FILES.items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_text(text)
    (sources / "out").symlink_to("/etc")
    commit(sources)
    return sources


def built(app: App, *options: str, **variables: Any) -> Played:
    """Build the image of an application."""
    return build({app.name: app.host(**variables)}, app.scratch, *options)


def all_built(apps: Sequence[App], *options: str) -> Played:
    """Build the images of several applications, each as a host of its own, in one play."""
    return build({app.name: app.host() for app in apps}, apps[0].scratch, *options)


def from_directory(site: Path) -> dict[str, Any]:
    return {"docker_vps_source_path": str(site)}


def from_git(site: Path) -> dict[str, Any]:
    return {"docker_vps_source_path": None, "docker_vps_git_url": f"file://{site}"}


def images_of(app: App) -> list[Mapping[str, Any]]:
    """Return the images of an application."""
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}", app.container).split()
    found: list[Mapping[str, Any]] = json.loads(docker("image", "inspect", *names))
    return found


def image_of_app(app: App) -> Mapping[str, Any]:
    """Return the newest image of an application."""
    return max(images_of(app), key=lambda image: str(image["Created"]))


def in_image(app: App, *command: str) -> str:
    image = str(image_of_app(app)["Id"])
    return docker("run", "--rm", "--network=none", "--entrypoint", command[0], image, *command[1:])


PARTS: list[tuple[Any, dict[str, str], set[str]]] = [
    (from_git, PROD, {"kept", "apps/web/kept", "apps/web/left-out", "docker/nothing"}),
    (from_directory, PROD, {"kept", "apps/web/kept", "apps/web/left-out", "docker/nothing"}),
    (from_git, {**PROD, "docker_vps_build_context": "apps/web"}, {"kept", "Dockerfile"}),
    (from_directory, {**PROD, "docker_vps_build_context": "apps/web"}, {"kept", "Dockerfile"}),
    (
        from_directory,
        {"docker_vps_build_context": "apps/web", "docker_vps_build_target": "runner"},
        {"left-out", "Dockerfile"},
    ),
]


def test_a_dockerfile_a_context_and_a_stage(make_app: MakeApp, site: Path) -> None:
    apps = [
        make_app(f"it-own-parts-{number}", **{**kind(site), **variables})
        for number, (kind, variables, _given) in enumerate(PARTS)
    ]
    all_built(apps, "--check").succeeded()
    assert [docker("images", "--quiet", app.container) for app in apps] == [""] * len(apps)
    assert "changed=0" not in all_built(apps).succeeded().output.rsplit("PLAY RECAP", 1)[-1]
    before = [image_of_app(app) for app in apps]
    for app, facts, (_kind, _variables, given) in zip(apps, before, PARTS):
        assert facts["Config"]["Labels"]["stage"] == "runner"
        there = set(in_image(app, "find", ".", "-type", "f", "-printf", "%P\n").splitlines())
        assert given <= there
        assert ("left-out" in there, "kept" in there) == ("left-out" in given, "kept" in given)
    assert all_built(apps).succeeded().output.rsplit("PLAY RECAP", 1)[-1].count("changed=0") == len(apps)
    assert [image_of_app(app)["Id"] for app in apps] == [facts["Id"] for facts in before]


def test_another_stage_is_another_release(make_app: MakeApp, site: Path) -> None:
    app = make_app("it-own-stage", **from_directory(site), **PROD)
    built(app).succeeded()
    first = image_of_app(app)["Id"]
    assert built(app, docker_vps_build_target="last").succeeded().recap["changed"] == 1
    assert {image["Config"]["Labels"]["stage"] for image in images_of(app)} == {"runner", "last"}
    # Built from the cache alone, an image has the id that it had.
    for line in docker("images", "--format", "{{.Repository}}:{{.Tag}}", app.container).splitlines():
        docker("rmi", line)
    built(app).succeeded()
    assert image_of_app(app)["Id"] == first


# The whole table, as far as files go, is in the unit tests of sources and of checkouts.
WRONG = [
    ("docker_vps_dockerfile", "docker/none", "There is no file docker/none in {}. Correct docker_vps_dockerfile"),
    ("docker_vps_dockerfile", "out/hostname", "out/hostname leads out of {}. Correct docker_vps_dockerfile"),
    ("docker_vps_build_context", "kept", "kept in {} is a file. Correct docker_vps_build_context"),
]


def test_a_wrong_path_is_told_before_the_build(make_app: MakeApp, site: Path) -> None:
    app = make_app("it-own-wrong")
    git = from_git(site)
    # Before the commit is on the host, a check cannot know.
    built(app, "--check", docker_vps_dockerfile="docker/none", **git).succeeded()
    for name, value, sentence in WRONG:
        text = built(app, "--check", **{name: value}, **from_directory(site)).failed().text
        assert sentence.format(f"the sources {site}") in text
        text = built(app, **{name: value}, **git).failed().text
        assert sentence.format(f"main of file://{site}") in text
    text = built(app, "--check", **{name: value}, **git).failed().text
    assert sentence.format(f"main of file://{site}") in text
    wrong = {"docker_vps_dockerfile": "../site/kept", "docker_vps_build_target": "a b"}
    text = built(app, **wrong, **git).failed().text
    assert "docker_vps_dockerfile must be a path inside the sources, from their top and without .., but is" in text
    assert "docker_vps_build_target must be the name or number of a stage" in text
    assert docker("images", "--quiet", app.container) == ""
    assert not (app.directory / "build.log").exists()


BROKEN = [
    ({**PROD, "docker_vps_build_target": "nope"}, "the Dockerfile has no stage of the name that docker_vps_build"),
    ({"docker_vps_dockerfile": "docker/wrong"}, "the Dockerfile is invalid; correct the line that the"),
    ({"docker_vps_dockerfile": "docker/nothing"}, "docker/nothing of the sources has no line that begins with"),
]


def test_what_is_wrong_with_a_dockerfile_is_told(make_app: MakeApp, site: Path) -> None:
    apps = [
        make_app(f"it-own-broken-{number}", **from_directory(site), **variables)
        for number, (variables, _cause) in enumerate(BROKEN)
    ]
    text = all_built(apps).failed().text
    for app, (_variables, cause) in zip(apps, BROKEN):
        assert cause in text
        assert list(app.directory.glob("ansible.*")) == []
    assert text.count("What ran before keeps running.") >= len(apps)


class Watch:
    """What the arguments of all processes are while something runs, and which of our files hold a secret."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.arguments = directory, set[bytes]()
        self.modes: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.arguments.add(path.read_bytes())
                except OSError:
                    continue
            for path in self.directory.glob("ansible.*/secrets/*"):
                try:
                    self.modes.add(path.lstat().st_mode & 0o777)
                except OSError:
                    continue


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A secret in a file of the host, with a name that no list of options would bear."""
    path = tmp_path / 'token, of=the "site"'
    path.write_text(FROM_FILE)
    return path


def test_secrets_are_given_and_stand_nowhere(make_app: MakeApp, site: Path, token: Path) -> None:
    app = make_app("it-own-secrets", **from_directory(site), **PROD)
    secrets = {ID: {"value": VALUE}, "other": {"file": str(token)}}
    with Watch(app.directory) as watch:
        played = built(app, "-vvvv", docker_vps_build_secrets=secrets).succeeded()
    assert any(b"buildx" in one and b"secret" in one for one in watch.arguments), "the build was not seen"
    assert 0o600 in watch.modes
    for secret in (VALUE, FROM_FILE):
        digest = run("sha256sum", input=secret).stdout.split()[0]
        assert digest in in_image(app, "cat", "/token", "/other")
        assert secret not in played.text
        assert secret.encode() not in b"".join(watch.arguments)
        assert secret not in docker("history", "--no-trunc", image_of_app(app)["Id"]) + json.dumps(image_of_app(app))
        assert secret not in (app.directory / "build.log").read_text()
    kept = [str(app.directory), str(Path("~root/.ansible").expanduser()), str(Path("~/.ansible").expanduser())]
    found = run("grep", "-rlF", VALUE, *kept, check=False).stdout
    assert found == ""
    assert list(app.directory.glob("ansible.*")) == []
    assert built(app, docker_vps_build_secrets=secrets).succeeded().recap["changed"] == 0
    # The value is not part of the release, and the ids are.
    other = {**secrets, ID: "plain-and-other"}
    assert built(app, docker_vps_build_secrets=other).succeeded().recap["changed"] == 0
    assert built(app, docker_vps_build_secrets={ID: VALUE}).succeeded().recap["changed"] == 1


def test_what_is_wrong_with_secrets_is_told(make_app: MakeApp, site: Path) -> None:
    app = make_app("it-own-no-secret", **from_directory(site))
    for options in ([], ["--check"]):
        text = built(app, *options, **PROD, docker_vps_build_secrets={ID: {"file": "/nowhere/token"}}).failed().text
        assert f"The build secret {ID} is to be read from /nowhere/token, and there is no such file on the host" in text
    shown = f"echo Not $(cat /run/secrets/{ID}) && false"
    demanding = f"FROM {image_of('base_image.sh')}\nRUN --mount=type=secret,id={ID},required=true {shown}\n"
    (site / "docker/demanding").write_text(demanding)
    wanted = {"docker_vps_dockerfile": "docker/demanding"}
    text = built(app, **wanted).failed().text
    assert "the Dockerfile requires a secret that docker_vps_build_secrets does not give by that id" in text
    # What a Dockerfile prints of a secret is not said again.
    text = built(app, "-vvvv", **wanted, docker_vps_build_secrets={ID: VALUE}).failed().text
    assert f"Not <{ID}>" in text
    assert VALUE not in text


def test_the_values_end_with_the_build_when_nobody_clears_its_place(make_app: MakeApp, tmp_path: Path) -> None:
    """As when the play was killed, while the build goes on."""
    app = make_app("it-own-ended")
    script = ROOT.joinpath("roles/image/templates/docker.sh.j2").read_text()
    log = tmp_path / "log"
    for name, value in (("docker_vps_build_timeout", "60"), ("__image_log | quote", str(log))):
        script = script.replace(f"{{{{ {name} }}}}", value)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/0").write_text(VALUE)
    (tmp_path / "docker").write_text(script)
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    command = [str(tmp_path / "docker"), "buildx", "build", "--tag", f"{app.container}:x", str(tmp_path)]
    done = run(*command, check=False)
    assert (done.returncode, os.path.exists(tmp_path / "secrets")) == (0, False), log.read_text()
