# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build reads, made in a real directory."""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import sources
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.build_context import Params, make, run


def made(tmp_path: Path, **given: Any) -> dict[str, Any]:
    params = {
        "archive": None,
        "context": None,
        "dockerfile": "FROM ours",
        "ignore": "data\n",
        "docker_cli": "#!/bin/sh\n",
    }
    return make(Params(directory=str(tmp_path / "opt/shop"), **{**params, **given}), new_key)


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.mark.parametrize(
    ("brings", "dockerfile", "ignore"),
    [
        ([], "FROM ours", "data\n"),
        ([".dockerignore"], "FROM ours", "FROM .dockerignore"),
        (["Dockerfile.dockerignore"], "FROM ours", "data\n"),
        (["Dockerfile"], "FROM Dockerfile", ".git\n"),
        (["Dockerfile", ".dockerignore"], "FROM Dockerfile", "FROM .dockerignore"),
        (["Dockerfile", "Dockerfile.dockerignore"], "FROM Dockerfile", "FROM Dockerfile.dockerignore"),
        (
            ["Dockerfile", "Dockerfile.dockerignore", ".dockerignore"],
            "FROM Dockerfile",
            "FROM Dockerfile.dockerignore",
        ),
    ],
)
def test_the_dockerfile_and_the_ignore_file_that_count_lie_beside_the_sources(
    tmp_path: Path, brings: list[str], dockerfile: str, ignore: str
) -> None:
    context = tmp_path / "source"
    context.mkdir()
    for name in brings:
        (context / name).write_text(f"FROM {name}")
    result = made(tmp_path, context=str(context))
    assert sorted(os.listdir(context)) == sorted(brings)
    assert result["path"] == str(context)
    place = Path(result["place"])
    assert sorted(path.name for path in place.iterdir()) == ["build", "docker", "secrets"]
    assert result["dockerfile"] == str(place / "build/Dockerfile")
    assert Path(result["dockerfile"]).read_text() == dockerfile
    assert Path(f"{result['dockerfile']}.dockerignore").read_text() == ignore
    assert result["own_dockerfile"] == ("" if dockerfile == "FROM ours" else dockerfile)
    assert os.access(result["docker_cli"], os.X_OK)
    assert os.stat(result["place"]).st_mode & 0o777 == 0o700


def written(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


ELSEWHERE = {
    "docker/prod": "FROM theirs\n",
    "docker/prod.dockerignore": "secret\n",
    "apps/web/page": "page",
    "apps/web/secret": "secret",
    "apps/web/.dockerignore": "page\n",
    "Dockerfile": "FROM top\n",
}


@pytest.mark.parametrize("sent", [False, True])
def test_a_dockerfile_and_a_context_elsewhere(tmp_path: Path, sent: bool) -> None:
    root, archive = written(tmp_path / "site", **ELSEWHERE), tmp_path / "sources.tar.gz"
    parts = {"dockerfile_path": "docker/prod", "context_path": "apps/web"}
    layout = sources.layout_of(str(root), *parts.values())
    sources.archive(str(root), sources.chosen(str(root), "", layout), str(archive), layout)
    result = made(tmp_path, **{"archive": str(archive)} if sent else {"context": str(root)}, **parts)
    assert result["path"] == f"{result['place']}/context/apps/web" if sent else str(root / "apps/web")
    assert os.path.basename(result["dockerfile"]) == "prod"
    assert Path(result["dockerfile"]).read_text() == result["own_dockerfile"] == "FROM theirs\n"
    assert Path(f"{result['dockerfile']}.dockerignore").read_text() == "secret\n"
    if sent:
        assert sorted(os.listdir(result["path"])) == [".dockerignore", "page"]


def test_a_context_of_which_nothing_is_sent_is_there(tmp_path: Path) -> None:
    root, archive = written(tmp_path / "site", **{"a/x": "", "Dockerfile": "FROM x"}), tmp_path / "sources.tar.gz"
    (root / "Dockerfile.dockerignore").write_text("**\n")
    layout = sources.layout_of(str(root), "Dockerfile", "a")
    sources.archive(str(root), sources.chosen(str(root), "", layout), str(archive), layout)
    result = made(tmp_path, archive=str(archive), dockerfile_path="Dockerfile", context_path="a")
    assert os.listdir(result["path"]) == []


def test_secrets_are_files_that_only_root_reads_and_links_to_those_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "token, of npm").write_text("from a file")
    secrets = {"a": "as it is\n", "b": {"value": "äb"}, "c": {"file": str(tmp_path / "token, of npm")}}
    result = made(tmp_path, context=str(tmp_path), secrets=secrets)
    places = [f"{result['place']}/secrets/{number}" for number in range(3)]
    assert result["secrets"] == [
        {"id": name, "type": "file", "src": place} for name, place in zip(("a", "b", "c"), places)
    ]
    assert [Path(place).read_text(encoding="utf-8") for place in places] == ["as it is\n", "äb", "from a file"]
    assert [os.lstat(place).st_mode & 0o777 for place in places[:2]] == [0o600] * 2
    assert os.stat(f"{result['place']}/secrets").st_mode & 0o777 == 0o700
    assert "as it is" not in repr(Params("", None, None, "", "", "", secrets=secrets))


@pytest.mark.parametrize("check", [False, True])
def test_a_secret_whose_file_is_not_there_is_refused_first(tmp_path: Path, check: bool) -> None:
    given = Params(str(tmp_path / "shop"), None, str(tmp_path), "", "", "", secrets={"npm": {"file": "/nowhere/token"}})
    with pytest.raises(DockerVpsError, match="The build secret npm is to be read from /nowhere/token, and there is no"):
        run(given, new_key, check)
    assert not (tmp_path / "shop").exists()


def test_a_key_is_made_once_for_all_builds_and_read_by_root_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept/key"
    given = {"context": str(tmp_path), "keys": {"key": str(path)}, "secrets": {"a": "b"}}
    results = [made(tmp_path, **given) for _turn in range(2)]
    assert [one["id"] for one in results[0]["secrets"]] == ["a", "key"]
    assert {Path(one["secrets"][1]["src"]).read_text() for one in results} == {path.read_text()}
    assert len(base64.b64decode(path.read_text())) == 32
    assert (path.stat().st_mode & 0o777, path.stat().st_nlink) == (0o600, 1)
    assert os.listdir(path.parent) == ["key"]
    assert path.read_text() not in str(results)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [one["key_ids"] for one in results] == [{"key": digest[:12]}] * 2


def test_builds_at_the_same_time_get_the_same_key(tmp_path: Path) -> None:
    given = {"context": str(tmp_path), "keys": {"key": str(tmp_path / "kept/key")}}
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _turn: made(tmp_path, **given), range(16)))
    assert len({Path(one["secrets"][0]["src"]).read_text() for one in results}) == 1


@pytest.mark.parametrize(
    ("given", "ids", "told"),
    [
        ({"secrets": {"key": "own"}}, ["key"], {"key": hashlib.sha256(b"own").hexdigest()[:12]}),
        ({"dockerfile_path": "docker/prod"}, [], {}),
        ({"dockerfile_path": "docker/prod", "secrets": {"key": "own"}}, ["key"], {}),
    ],
)
def test_no_key_is_made_that_nobody_needs(
    tmp_path: Path, given: dict[str, Any], ids: list[str], told: dict[str, str]
) -> None:
    root = written(tmp_path / "site", **{"docker/prod": "FROM theirs"})
    result = made(tmp_path, context=str(root), keys={"key": str(tmp_path / "kept/key")}, **given)
    assert ([one["id"] for one in result["secrets"]], result["key_ids"]) == (ids, told)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("text", ["", "kept by hand", "c2hvcnQ="])
def test_a_file_that_holds_no_key_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    said = f"^{path} does not hold a key of Server Actions, which is base64 of .*Remove it to have another one made"
    with pytest.raises(DockerVpsError, match=said) as raised:
        made(tmp_path, context=str(tmp_path), keys={"key": str(path)})
    assert not text or text not in str(raised.value)
    assert (path.read_text(), os.listdir(tmp_path / "opt/shop")) == (text, [])


def test_a_key_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    with pytest.raises(DockerVpsError, match="kept/key cannot be read: Not a directory"):
        made(tmp_path, context=str(tmp_path), keys={"key": str(tmp_path / "kept/key")})
    assert os.listdir(tmp_path / "opt/shop") == []


def test_a_dockerfile_that_builds_nothing_is_refused(tmp_path: Path) -> None:
    root = written(tmp_path / "site", **{"docker/prod": "RUN FROM\n"})
    with pytest.raises(DockerVpsError, match="docker/prod of the sources has no line that begins with FROM"):
        made(tmp_path, context=str(root), dockerfile_path="docker/prod")
    assert os.listdir(tmp_path / "opt/shop") == []


@pytest.mark.parametrize("ignores", [False, True])
def test_a_dockerfile_that_is_a_link_is_the_one_of_the_sources(tmp_path: Path, ignores: bool) -> None:
    context = tmp_path / "source"
    (context / "docker").mkdir(parents=True)
    (context / "docker/production").write_text("FROM theirs")
    (context / "Dockerfile").symlink_to("docker/production")
    if ignores:
        (context / ".dockerignore").write_text("docker\n")
    result = made(tmp_path, context=str(context))
    assert result["own_dockerfile"] == Path(result["dockerfile"]).read_text() == "FROM theirs"


def test_a_dockerfile_that_leads_out_of_the_sources_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/Dockerfile").symlink_to("../secret")
    with pytest.raises(DockerVpsError, match="is a link to ../secret, and that is no file of the sources"):
        made(tmp_path, context=str(tmp_path / "source"))
    assert os.listdir(tmp_path / "opt/shop") == []


def test_sources_of_the_controller_can_be_read_by_the_application_whatever_the_umask(tmp_path: Path) -> None:
    root = tmp_path / "site"
    (root / "app/deep").mkdir(parents=True)
    (root / "app/deep/page.tsx").write_text("page")
    (root / "run.sh").write_text("run")
    (root / "run.sh").chmod(0o700)
    (root / "link").symlink_to("/etc/hostname")
    archive = str(tmp_path / "sources.tar.gz")
    sources.archive(str(root), sources.chosen(str(root), ""), archive)
    before = os.umask(0o077)
    try:
        context = Path(made(tmp_path, archive=archive)["path"])
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    modes = {name: (context / name).stat().st_mode & 0o777 for name in (".", "app/deep", "app/deep/page.tsx", "run.sh")}
    assert modes == {".": 0o755, "app/deep": 0o755, "app/deep/page.tsx": 0o644, "run.sh": 0o755}
    assert os.readlink(context / "link") == "/etc/hostname"
    with tarfile.open(archive) as tar:
        assert sorted(tar.getnames()) == ["app/deep/page.tsx", "link", "run.sh"]


def test_nothing_is_left_of_what_cannot_be_prepared(tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"The build in .*/opt/shop cannot be prepared: No such file"):
        made(tmp_path, archive=str(tmp_path / "none.tar.gz"))
    assert os.listdir(tmp_path / "opt/shop") == []


def test_nothing_is_left_of_one_that_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_unused: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "chmod", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, context=str(tmp_path))
    assert os.listdir(tmp_path / "opt/shop") == []
