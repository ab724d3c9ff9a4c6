# SPDX-License-Identifier: GPL-3.0-or-later
"""The image: where its sources come from, what is in it, and how it starts."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import plays
import pytest
from lab import (
    ROOT,
    STANDIN,
    App,
    MakeApp,
    Played,
    build,
    clean_environment,
    commit,
    copied,
    docker,
    image_of,
    inspect,
    process,
    run,
    until,
)
from processes import alive, command_of

SECRET = "7f3d9c0e51b24a86" * 4


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application."""
    app = make_app("it-image", docker_vps_payload_secret=SECRET)
    app.deploy().succeeded()
    return app


def image_facts(app: App) -> dict[str, object]:
    found: dict[str, object] = json.loads(docker("image", "inspect", inspect(app.container)["Config"]["Image"]))[0]
    return found


def test_labels_say_revision_and_release(app: App) -> None:
    labels = image_facts(app)["Config"]["Labels"]  # type: ignore[index]
    assert labels["org.opencontainers.image.revision"].startswith("tree-")
    assert labels["org.opencontainers.image.version"] == inspect(app.container)["Config"]["Image"].split(":")[1]


def test_no_secret_and_no_certificate_is_in_the_image(app: App, tmp_path: Path) -> None:
    kept = app.directory / "server_actions.key"
    assert kept.stat().st_mode & 0o777 == 0o600
    key = kept.read_text()
    reference = inspect(app.container)["Config"]["Image"]
    run("docker", "save", "--output", str(tmp_path / "image.tar"), reference)
    run("tar", "-C", str(tmp_path), "-xf", str(tmp_path / "image.tar"))
    history = docker("history", "--no-trunc", reference)
    for secret in (SECRET, key):
        assert run("grep", "-rlF", secret, str(tmp_path), check=False).stdout == ""
        assert secret not in history
    assert key not in f"{inspect(app.container)} {(app.directory / 'build.log').read_text()}"
    assert docker("run", "--rm", "--entrypoint", "ls", reference, "/run/secrets", check=False) == ""


LOCKED = {
    "name": "standin-app",
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"greeting": "file:vendor/greeting"}},
        "node_modules/greeting": {"version": "1.0.0", "resolved": "file:vendor/greeting"},
    },
}


# A dependency that a lifecycle script patches, and a build that tells what it holds, and which key it was given.
MANIFEST = {
    "name": "standin-app",
    "dependencies": {"greeting": "file:vendor/greeting"},
    "scripts": {
        "build": """node build.js && node -e "console.log('It says', require('greeting'), 'with', \
require('crypto').hash('sha256', process.env.NEXT_SERVER_ACTIONS_ENCRYPTION_KEY))\"""",
        "postinstall": "node scripts/patch.js",
    },
}
PATCHED = {
    "package.json": json.dumps(MANIFEST),
    "package-lock.json": json.dumps(LOCKED),
    ".npmrc": "install-links=true\n",
    "vendor/greeting/package.json": '{"name": "greeting", "version": "1.0.0"}',
    "vendor/greeting/index.js": "module.exports = 'unsafe'\n",
    "scripts/patch.js": "require('fs').copyFileSync('patches/greeting.js', 'node_modules/greeting/index.js')\n",
    "patches/greeting.js": "module.exports = 'patched'\n",
}


def test_git_sources_their_revision_and_dependencies_that_are_patched(make_app: MakeApp, sources: Path) -> None:
    # What a build before has said is not said again when nothing differs.
    first = commit(copied(STANDIN, sources, **PATCHED, unlike_others=str(time.time_ns())))
    app = make_app("it-git", docker_vps_source_path=None, docker_vps_git_url=f"file://{sources}")
    log = app.directory / "build.log"
    text = app.deploy("--check", docker_vps_git_version="mian").failed().text
    assert "no branch, tag or commit mian: check docker_vps_git_version. It has main." in text
    app.deploy("--check").succeeded()
    assert not app.directory.exists()
    app.deploy().succeeded()
    key = (app.directory / "server_actions.key").read_text()
    said = f"It says patched with {hashlib.sha256(key.encode()).hexdigest()}"
    assert said in log.read_text()
    assert image_facts(app)["Config"]["Labels"]["org.opencontainers.image.revision"] == first  # type: ignore[index]
    earlier = inspect(app.container)["Config"]["Image"]
    assert app.deploy().succeeded().recap["changed"] == 0
    (sources / "server.js").write_text((sources / "server.js").read_text() + "// second\n")
    second = commit(sources)
    assert app.deploy("--check").succeeded().recap["changed"] >= 2
    app.deploy().succeeded()
    assert image_facts(app)["Config"]["Labels"]["org.opencontainers.image.revision"] == second  # type: ignore[index]
    text = log.read_text()
    assert said in text, "forms of the version before would fail"
    (step,) = re.findall(r"(?m)^(#\d+) \[deps .* package-manager install", text)
    assert f"{step} CACHED" in text, "a change of code installed everything again"
    # With another key, what the engine has in its cache would not do.
    docker("rmi", earlier)
    (app.directory / "server_actions.key").unlink()
    app.deploy(docker_vps_git_version=first).succeeded()
    another_key = (app.directory / "server_actions.key").read_bytes()
    assert f"It says patched with {hashlib.sha256(another_key).hexdigest()}" in log.read_text()
    assert image_facts(app)["Config"]["Labels"]["org.opencontainers.image.revision"] == first  # type: ignore[index]
    # The inventory of another application, whose code would meet the data of this one.
    commit(copied(STANDIN, sources.with_name("another")))
    another = make_app(
        "it-git-other", docker_vps_source_path=None, docker_vps_git_url=f"file://{sources.parent}/another"
    )
    for how in (["--check"], []):
        text = another.deploy("-e", f"docker_vps_app={app.name}", *how).failed().text
        assert f"is a checkout of file://{sources}: is this another application?" in text
    assert image_facts(app)["Config"]["Labels"]["org.opencontainers.image.revision"] == first  # type: ignore[index]


def test_a_change_that_cannot_reach_the_image_builds_nothing(make_app: MakeApp, sources: Path) -> None:
    copied(STANDIN, sources, **{".env": "TOKEN=local", "debug.db": "x"})
    app = make_app("it-ignored", docker_vps_source_path=str(sources))
    app.deploy().succeeded()
    (sources / ".env").write_text("TOKEN=other")
    (sources / "debug.db").write_text("y")
    assert app.deploy().succeeded().recap["changed"] == 0
    assert docker("run", "--rm", "--entrypoint", "ls", inspect(app.container)["Config"]["Image"], "-A").find(".env") < 0


def test_what_code_for_browsers_holds_is_built_in(make_app: MakeApp, sources: Path) -> None:
    built = (STANDIN / "build.js").read_text() + "fs.writeFileSync('.next/static/env', JSON.stringify(process.env))\n"
    built += "fs.mkdirSync('.next/standalone/.next/server/app', { recursive: true })\n"
    built += "fs.writeFileSync('.next/standalone/.next/server/app/index.html', 'as it was built')\n"
    copied(STANDIN, sources, **{"build.js": built})
    app = make_app("it-public", docker_vps_source_path=str(sources))

    def compiled() -> dict[str, str]:
        found: dict[str, str] = json.loads(docker("exec", app.container, "cat", ".next/static/env"))
        return found

    public = 'it\'s $HOME & "more"'
    text = app.deploy(docker_vps_env={"NEXT_PUBLIC_GREETING": public, "TOKEN": SECRET}).succeeded().text
    assert "Warning" not in text
    assert (compiled()["NEXT_PUBLIC_GREETING"], app.env_keys()["NEXT_PUBLIC_GREETING"]) == (public, public)
    assert SECRET not in str(compiled()) + docker("history", "--no-trunc", inspect(app.container)["Config"]["Image"])
    anew = "cd .next && echo new >server/app/index.html && touch server/app/other.html cache/image && id -u"
    assert start(app, "--env", "PUID=12345", command=("sh", "-c", anew)) == "12345"
    changed = {"docker_vps_env": {"TOKEN": SECRET, "NEXT_PUBLIC_GREETING": "changed"}}
    text = app.deploy("--tags", "env_file,stack", **changed).succeeded().text
    assert "Code for browsers keeps the values of NEXT_PUBLIC_GREETING, NEXT_PUBLIC_SERVER_URL with which" in text
    assert compiled()["NEXT_PUBLIC_GREETING"] == public
    assert "Code for browsers" not in app.deploy(**changed).succeeded().text
    assert compiled()["NEXT_PUBLIC_GREETING"] == "changed"


def test_the_build_of_a_killed_play_is_ended_and_its_place_cleared(make_app: MakeApp, sources: Path) -> None:
    copied(STANDIN, sources, **{"build.js": "setTimeout(() => {}, 600000)\n"})
    app = make_app("it-killed-build")
    app.deploy().succeeded()
    log = app.directory / "build.log"
    log.unlink()
    inventory = app.inventory(docker_vps_source_path=str(sources))
    command = [plays.COMMAND, str(ROOT / "playbooks/deploy.yml"), "-i", str(inventory)]
    kept = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOG_PATH": str(app.scratch / "play.log")}
    ours, theirs = pty.openpty()
    killed = subprocess.Popen(
        command, cwd=ROOT, env={**clean_environment(), "TERM": "xterm", **kept}, stdout=theirs, stderr=theirs
    )
    shown = bytearray()
    live = re.compile(rb"[\r\n]local \| \[[^\r\n]+\] RUN [^\r\n]+, \d+ s\x1b\[K\r")
    until(lambda: shown.extend(os.read(ours, 65536)) or live.search(shown), 120, "a live line of the build")
    until(lambda: os.read(ours, 65536) and "package-manager run build" in log.read_text(), 60, "the build")
    killed.kill()
    killed.wait()
    os.close(theirs)
    os.close(ours)
    assert b"ASYNC POLL" not in shown
    assert not set("\r\x1b") & set((app.scratch / "play.log").read_text())
    (place,) = app.directory.glob("ansible.*.docker_vps")
    left = processes_of(str(place))
    assert any(command_of(one).startswith(b"docker\0") for one in left)
    assert app.deploy("--check").succeeded().recap["changed"] == 1
    assert place.exists()
    # Nothing is to be built, and yet that has to go.
    played = app.deploy().succeeded()
    assert (played.recap["changed"], "Nothing to do" in played.text) == (1, True)
    assert list(app.directory.glob("ansible.*")) == []
    until(lambda: not [one for one in left if alive(one)], 10, "the end of the build")


def processes_of(text: str) -> list[int]:
    """Return the processes whose command has a string in it."""
    found = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [one for one in found if text.encode() in command_of(one)]


# Each tells when it is running; its content is unlike that of all others, so that nothing is cached.
SLOW = """FROM {base}
RUN echo {unlike_others}; date +%s.%N; sleep {seconds}; date +%s.%N
"""


def build_slowly(apps: list[App], sources: Path, seconds: float, **variables: Any) -> Played:
    """Build the images of applications by the role alone, all at once, each for so many seconds at least."""
    hosts = {}
    for app in apps:
        dockerfile = SLOW.format(base=image_of("base_image.sh"), unlike_others=time.time_ns(), seconds=seconds)
        copied(STANDIN, sources / app.name, Dockerfile=dockerfile)
        hosts[app.name] = {**app.host(), "docker_vps_source_path": str(sources / app.name), **variables}
    return build(hosts, sources)


def test_builds_on_one_host_run_one_after_the_other(make_app: MakeApp, sources: Path) -> None:
    apps = [make_app("it-built-first"), make_app("it-built-second")]
    # Both together take longer than one of them may, which on a busy machine is longer.
    for seconds in (10, 20, 40):
        played = build_slowly(apps, sources / str(seconds), seconds, docker_vps_build_timeout=2 * seconds - 2)
        if "failed: the build took longer than" not in played.text:
            break
    output = played.succeeded().output
    assert re.search(r"(?m)^it-built-(first|second) \| .+, \d+ s$", output)
    assert "ASYNC POLL" not in output
    assert not set("\r\x1b") & set(output)
    logs = [(app.directory / "build.log").read_text() for app in apps]
    times = [[float(one) for one in re.findall(r"(?m)^#\d+ \d+\.\d+ (\d{10}\.\d+)$", log)] for log in logs]
    first, second = sorted(times)
    assert first[1] - first[0] >= seconds
    assert first[1] < second[0], "they were running at the same time"
    waited = "Another build is running on this host. This one begins when that has ended."
    assert waited in logs[times.index(second)]


def test_a_build_that_takes_too_long_is_ended(make_app: MakeApp, sources: Path) -> None:
    app = make_app("it-too-long")
    # On a busy machine it takes a while until the step begins.
    for limit in (4, 8, 16, 32):
        text = build_slowly([app], sources / str(limit), 300, docker_vps_build_timeout=limit).failed().text
        if "RUN echo" in (app.directory / "build.log").read_text():
            break
    assert re.search(r"was not built: the step \[2/2\] RUN echo .* failed: the build took longer than", text)
    assert processes_of(str(app.directory)) == []


def test_a_build_whose_turn_does_not_come_says_so(make_app: MakeApp, sources: Path) -> None:
    app = make_app("it-in-turn")
    place = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        text = (
            build_slowly([app], sources, seconds=0, docker_vps_build_timeout=1, docker_vps_build_wait=2).failed().text
        )
    finally:
        os.close(place)
    assert "was not built: other builds on this host had not ended after 2 seconds" in text
    until(lambda: not processes_of(str(app.directory)), 5, "the end of the one that waited")


def test_a_builder_that_somebody_has_chosen_is_passed_over(
    make_app: MakeApp, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILDX_CONFIG", str(tmp_path / "buildx"))
    docker("buildx", "create", "--name", "it-elsewhere", "--driver", "docker-container", "--use")
    assert "it-elsewhere*" in docker("buildx", "ls")
    app = make_app("it-builder")
    build_slowly([app], sources, seconds=0).succeeded()
    assert docker("images", "--quiet", app.container)
    assert "inactive" in docker("buildx", "ls")  # the other one


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that lets nothing be executed."""
    place = tmp_path / "noexec"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(place))
    yield place
    run("umount", str(place))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_build_that_cannot_be_started_says_why(make_app: MakeApp, sources: Path, noexec: Path) -> None:
    app = make_app("it-noexec")
    text = build_slowly([app], sources, seconds=0, docker_vps_build_log=f"{noexec}/build.log").failed().text
    assert f"the command of the build cannot be started in {noexec}: it may not be executed: its mode forbids" in text
    assert list(noexec.iterdir()) == []
    arguments = {"docker_vps_build_args": {"WORDS": "x" * 131072}}
    text = build_slowly([app], sources.with_name("long"), seconds=0, **arguments).failed().text
    assert f"cannot be started in {app.directory}: its arguments are too long: the kernel takes 131071 bytes" in text


def test_an_application_keeps_its_own_dockerfile(make_app: MakeApp, sources: Path) -> None:
    own = f"""FROM {image_of("base_image.sh")}
WORKDIR /app
COPY server.js .
ARG OTHER \\
  NEXT_PUBLIC_SERVER_URL
LABEL own=yes
RUN echo site:x:1000:1000::/:/bin/sh >>/etc/passwd
ENV HOSTNAME=0.0.0.0
USER site
CMD ["node", "server.js"]
"""
    copied(STANDIN, sources, Dockerfile=own)
    environment = {"DATABASE_URI": "file:/data/x.db", "NEXT_PUBLIC_GREETING": "hello"}
    app = make_app("it-own", docker_vps_source_path=str(sources), docker_vps_env=environment)
    text = app.deploy().succeeded().text
    assert "Warning: The Dockerfile of the application declares no ARG NEXT_PUBLIC_GREETING, so the code" in text
    labels = json.loads(docker("image", "inspect", docker("images", "--quiet", app.container).split()[0]))
    assert labels[0]["Config"]["Labels"]["own"] == "yes"
    # Nothing in it makes the volume writable for its user, but the first release does.
    assert app.post("/api/vendors", {"name": "first"}).status == 201
    root = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{app.name}-db"))
    assert (root.stat().st_uid, (root / "x.db").stat().st_uid) == (1000, 1000)


def test_an_own_dockerfile_is_given_the_same_from_a_directory_and_from_git(make_app: MakeApp, sources: Path) -> None:
    own = f"FROM {image_of('base_image.sh')}\nCOPY . /given\n"
    commit(copied(STANDIN, sources, Dockerfile=own, **{"data/prices.json": "", ".env": "", "docker-compose.yml": ""}))
    app = make_app("it-given")
    directory = f"{app.directory}/source"
    git = {"docker_vps_source_path": "", "docker_vps_git_url": f"file://{sources}", "docker_vps_git_version": "main"}
    for source, variables in (("path", {"docker_vps_source_path": str(sources)}), ("git", git)):
        build_slowly([app], sources.with_name(source), 0, **variables).succeeded()
    images = docker("images", "--quiet", app.container).split()
    given = [docker("run", "--rm", one, "sh", "-c", "cd /given && find . -type f").splitlines() for one in images]
    committed = run("git", "-C", str(sources), "ls-files").stdout.split()
    assert [set(one) for one in given] == [{f"./{name}" for name in committed}] * 2
    assert run("git", "-C", directory, "status", "--porcelain").stdout == ""


def start(app: App, *options: str, command: tuple[str, ...] = ("id",)) -> str:
    image = inspect(app.container)["Config"]["Image"]
    return run("docker", "run", "--rm", *options, image, *command, check=False).stdout.strip()


@pytest.mark.parametrize(("user", "group"), [("1000", "1000"), ("1005", "997"), ("33", "33"), ("65534", "4")])
def test_it_runs_as_puid_and_pgid_whether_they_exist_or_not(app: App, user: str, group: str) -> None:
    output = start(app, "--env", f"PUID={user}", "--env", f"PGID={group}")
    assert output.startswith(f"uid={user}")
    assert f"gid={group}" in output
    assert "uid=0" not in output


@pytest.mark.parametrize("wrong", ["0", "00", "-1", "abc", "1 0", ""])
def test_a_wrong_puid_is_refused(app: App, wrong: str) -> None:
    done = run(
        "docker", "run", "--rm", "--env", f"PUID={wrong}", inspect(app.container)["Config"]["Image"], "id", check=False
    )
    if wrong == "":  # as when it is not set
        assert done.stdout.startswith("uid=1000")
    else:
        assert done.returncode == 64
        assert "entrypoint: PUID must" in done.stderr


def test_only_wrong_owners_are_touched(app: App) -> None:
    script = "stat -c '%n %u:%g %Z' /data/mine /data/root; cat /proc/1/comm"
    docker("volume", "create", "it-owners")
    try:
        seed = "touch /data/mine /data/root; chown 1000:1000 /data/mine; stat -c %Z /data/mine"
        image = inspect(app.container)["Config"]["Image"]
        options = ("--volume", "it-owners:/data")
        before = docker("run", "--rm", "--entrypoint", "sh", *options, image, "-c", seed)
        time.sleep(1.1)
        lines = start(app, *options, command=("sh", "-c", script)).splitlines()
        assert lines[0] == f"/data/mine 1000:1000 {before}"
        assert lines[1].startswith("/data/root 1000:1000 ")
    finally:
        docker("volume", "rm", "it-owners")


def test_sigterm_reaches_node_from_the_first_process(app: App) -> None:
    assert docker("exec", app.container, "cat", "/proc/1/comm") == "docker-init"
    assert process(app.container, "node")["PPid"] == str(inspect(app.container)["State"]["Pid"])
    began = time.monotonic()
    docker("stop", app.container)
    assert time.monotonic() - began < 5
    assert inspect(app.container)["State"]["ExitCode"] == 0
    docker("start", app.container)
