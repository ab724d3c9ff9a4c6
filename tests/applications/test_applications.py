# SPDX-License-Identifier: GPL-3.0-or-later
"""Real applications of several kinds, from the first deploy to what a restore brings back; see README.md."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import quote

import pytest
from lab import CA_BUNDLE, ROOT, App, commit, copied, docker, image_of, request, run
from payload import PICTURE, Site

HERE = Path(__file__).parent
PNPM = "pnpm@10.34.9"  # as payload/Dockerfile says, too
GREETING = "good morning, browser"
# Without what could ask for the health, and with what npm wants to know behind some firewalls.
PLAIN_BASE = """
FROM {base}
RUN rm -f "$(command -v wget)" "$(command -v gosu)"
COPY ca-certificates.crt /etc/
ENV NODE_EXTRA_CA_CERTS=/etc/ca-certificates.crt
"""


def plain_base(place: Path) -> str:
    """Make a base image that has Node.js and npm and nothing of ours, and return its name."""
    shutil.copyfile(CA_BUNDLE, place / "ca-certificates.crt")
    (place / "Dockerfile").write_text(PLAIN_BASE.format(base=image_of("base_image.sh")))
    run("docker", "build", "--quiet", "--tag", "it-applications-base", str(place))
    return "it-applications-base"


class PayloadSite(Site):
    """The example application with Payload."""

    pages = ("/", "/admin", "/api/vendors", "/api/health")

    def write(self) -> None:
        """Make a row and an uploaded file."""
        self.fill()

    def check(self, edition: str) -> None:
        """See that what was written is there, and that each part answers."""
        assert self.vendors() == ["Example Ltd"]
        assert self.ask(self.picture).body == PICTURE
        home = seen(self)
        assert edition in home
        assert "Example Ltd" in home
        resized(self, self.picture)


class NotesSite:
    """Our small application on Next.js alone."""

    pages = ("/", "/admin", "/about", "/api/health")

    def __init__(self, app: App, url: str) -> None:
        self.app, self.url = app, url

    def ask(self, path: str) -> Any:
        return request(self.url + path)

    def write(self) -> None:
        """Send the form as a browser without JavaScript does, which calls the server action."""
        (action,) = re.findall(r'name="(\$ACTION_ID_\w+)"', self.ask("/").body.decode())
        parts = "".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {action: "", "text": "a note"}.items()
        )
        before = self.ask("/about").body
        headers = {"Content-Type": "multipart/form-data; boundary=x", "Origin": self.url}
        assert request(f"{self.url}/", f"{parts}--x--\r\n".encode(), headers).status == 200
        assert self.ask("/about").body != before, "revalidatePath rendered nothing anew"

    def check(self, edition: str) -> None:
        """See that what was written is there, and that each part answers."""
        home = seen(self)
        assert edition in home
        assert "<li>a note</li>" in home
        assert GREETING in home
        scripts = {path: self.ask(path).body.decode() for path in static_files(home)}
        assert [path for path, text in scripts.items() if GREETING in text], "no script for browsers has the greeting"
        assert self.ask("/api/files/1.txt").body == b"a note"
        thumbnails = self.app.env_keys().get("THUMBNAILS", "public/media")
        docker("exec", self.app.container, "test", "-s", f"{thumbnails}/1.png")
        resized(self, "/square.png")


class WorkspaceSite(NotesSite):
    """The same in a workspace, with a package of it, and one of a registry that is patched."""

    def check(self, edition: str) -> None:
        super().check(edition)
        assert b"<p>is patched</p>" in self.ask("/shared").body


def static_files(page: str) -> list[str]:
    """Return the scripts that a page names."""
    return sorted(set(re.findall(r'/_next/static/[^"\\]+?\.js', page)))


def seen(site: Any) -> str:
    """See that pages and a static file answer, and return the first page."""
    found = {path: site.ask(path) for path in site.pages}
    assert {path: answer.status for path, answer in found.items()} == dict.fromkeys(site.pages, 200)
    home: str = found["/"].body.decode()
    assert site.ask(static_files(home)[0]).status == 200
    return home


def resized(site: Any, path: str) -> None:
    """See that sharp, of which a part is compiled, works."""
    small = request(f"{site.url}/_next/image?url={quote(path, safe='')}&w=32&q=75", headers={"Accept": "image/webp"})
    assert (small.status, small.body[8:12]) == (200, b"WEBP"), small.body


def payload(place: Path) -> Path:
    """The example application as pnpm installs it."""
    manifest = json.loads((ROOT / "examples/payload-app/package.json").read_text())
    # The packages whose scripts pnpm may run, which it does not by itself.
    manifest |= {"packageManager": PNPM, "pnpm": {"onlyBuiltDependencies": ["esbuild", "sharp"]}}
    copied(ROOT / "examples/payload-app", place, **{"package.json": json.dumps(manifest)})
    (place / "package-lock.json").unlink()
    shutil.copy(HERE / "payload/pnpm-lock.yaml", place)
    return place


def payload_own(place: Path) -> Path:
    """The same with a Dockerfile of its own."""
    payload(place)
    (place / "docker").mkdir()
    shutil.copy(HERE / "payload/Dockerfile", place / "docker")
    return place


def notes(place: Path) -> Path:
    """The small application, with a Dockerfile of its own."""
    copied(HERE / "next", place, **{".gitignore": "node_modules\n"})
    (place / "public").mkdir()
    (place / "public/square.png").write_bytes(PICTURE)
    return place


def workspace(place: Path) -> Path:
    """The small application in a workspace."""
    copied(HERE / "workspace", place, **{".gitignore": "node_modules\n"})
    web = place / "apps/web"
    shutil.copytree(HERE / "next/app", web / "app", dirs_exist_ok=True)
    shutil.copy(HERE / "next/tsconfig.json", web)
    (web / "public").mkdir()
    (web / "public/square.png").write_bytes(PICTURE)
    return place


@dataclass(frozen=True)
class Kind:
    """An application.

    Attributes:
        sources: makes them in a directory.
        site: what its visitors do.
        manifest: where package.json is that names Next.js.
        edited: a file, what stands in it, and what a new version has instead.
        installs: the step of the build that installs the dependencies.
        own: whether its Dockerfile is its own.
    """

    sources: Callable[[Path], Path]
    site: Callable[[App, str], Any]
    edited: tuple[str, str, str]
    installs: str
    manifest: str = "package.json"
    own: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)


VENDORS = ("app/(frontend)/page.tsx", "<h1>Vendors</h1>", "<h1>All vendors</h1>")
NOTES = {"docker_vps_env": {"NEXT_PUBLIC_GREETING": GREETING}}
FOUR_VOLUMES = {
    **NOTES,
    "docker_vps_port": 8080,
    "docker_vps_database_mount": "/srv/data",
    "docker_vps_database_uri": "file:///srv/data/notes.db",
    "docker_vps_media_volume": "",
    "docker_vps_volumes": {
        "it-next-own-files": "/srv/files",
        "it-next-own-thumbnails": "/srv/thumbnails",
        "it-next-own-cache": "/srv/app/.next/cache",
    },
}
KINDS = {
    "payload-pnpm": Kind(payload, PayloadSite, VENDORS, r"\[deps .* package-manager install"),
    "payload-own": Kind(
        payload_own,
        PayloadSite,
        VENDORS,
        r"\[deps .* pnpm install",
        own=True,
        variables={"docker_vps_dockerfile": "docker/Dockerfile"},
    ),
    "next-own": Kind(
        notes,
        NotesSite,
        ("app/page.tsx", "First edition", "Second edition"),
        r"\[builder .* npm ci",
        own=True,
        variables=FOUR_VOLUMES,
    ),
    "next-workspace": Kind(
        workspace,
        WorkspaceSite,
        ("apps/web/app/page.tsx", "First edition", "Second edition"),
        r"\[deps .* package-manager install",
        manifest="apps/web/package.json",
        variables={**NOTES, "docker_vps_app_path": "apps/web"},
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def app(request: pytest.FixtureRequest, kind: Kind, tmp_path: Path) -> Iterator[App]:
    """The application, not yet deployed, with its sources in a repository."""
    sources = kind.sources(tmp_path / "sources")
    commit(sources)
    name = f"it-{request.node.callspec.params['kind']}"
    variables = {"docker_vps_git_url": f"file://{sources}", "docker_vps_health_wait": 60, **kind.variables}
    if kind.own:
        variables["docker_vps_base_image"] = plain_base(tmp_path)
    app = App(name, tmp_path, **variables)
    app.remove()
    yield app
    app.remove()


def versions(kind: Kind, app: App, sources: Path) -> str:
    """Return what the application is made of."""
    wanted = json.loads((sources / kind.manifest).read_text())["dependencies"]
    manager = json.loads((sources / "package.json").read_text()).get("packageManager", "npm").replace("@", " ")
    node = docker("exec", app.container, "node", "--version").lstrip("v")
    parts = [f"{name} {wanted[key]}" for name, key in (("Next.js", "next"), ("Payload", "payload")) if key in wanted]
    return ", ".join([*parts, f"Node.js {node}", manager])


def test_application(kind: Kind, app: App, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    name, old, new = kind.edited
    site = kind.site(app, "")

    def checked(edition: str) -> None:
        site.url = app.url("")
        site.check(edition)

    app.deploy().succeeded()
    record_property("versions", versions(kind, app, tmp_path / "sources"))
    record_property("dockerfile", "its own" if kind.own else "ours")
    site.url = app.url("")
    site.write()
    checked(old)
    assert app.deploy().succeeded().recap["changed"] == 0

    page = tmp_path / "sources" / name
    assert old in page.read_text()
    page.write_text(page.read_text().replace(old, new))
    commit(tmp_path / "sources")
    app.playbook("update").succeeded()
    checked(new)
    log = (app.directory / "build.log").read_text()
    (step,) = re.findall(rf"(?m)^(#\d+) {kind.installs}", log)
    assert f"\n{step} CACHED" in log, log

    app.playbook("backup").succeeded()
    app.stack("absent").succeeded()
    volumes = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={app.name}").split()
    assert len(volumes) == 1 + max(1, len(app.variables.get("docker_vps_volumes", {})))
    docker("volume", "rm", *volumes)
    app.playbook("restore").succeeded()
    checked(new)
    assert app.deploy().succeeded().recap["changed"] == 0
