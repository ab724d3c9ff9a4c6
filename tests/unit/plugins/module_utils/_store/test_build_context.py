# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build reads, made in a real directory."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import sources
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.build_context import Params, make


def made(tmp_path: Path, **given: Any) -> dict[str, Any]:
    params = {
        "archive": None,
        "context": None,
        "dockerfile": "FROM ours",
        "ignore": "data\n",
        "docker_cli": "#!/bin/sh\n",
    }
    return make(Params(directory=str(tmp_path / "opt/shop"), **{**params, **given}))


def files(place: str) -> set[str]:
    return {name for name in os.listdir(place) if name != "context"}


OURS = {"Dockerfile", "Dockerfile.dockerignore", "docker"}


@pytest.mark.parametrize(
    ("brings", "beside", "dockerfile", "ignore"),
    [
        ([], OURS, "FROM ours", "data\n"),
        ([".dockerignore"], OURS - {"Dockerfile.dockerignore"}, "FROM ours", None),
        (["Dockerfile.dockerignore"], OURS, "FROM ours", "data\n"),
        (["Dockerfile"], OURS, "own", ".git\n"),
        (["Dockerfile", ".dockerignore"], {"docker"}, "own", None),
        (["Dockerfile", "Dockerfile.dockerignore"], {"docker"}, "own", None),
    ],
)
def test_what_the_sources_do_not_bring_lies_beside_them(
    tmp_path: Path, brings: list[str], beside: set[str], dockerfile: str, ignore: str | None
) -> None:
    context = tmp_path / "source"
    context.mkdir()
    for name in brings:
        (context / name).write_text("own")
    result = made(tmp_path, context=str(context))
    assert sorted(os.listdir(context)) == sorted(brings)
    assert result["path"] == str(context)
    assert files(result["place"]) == beside
    assert Path(result["dockerfile"]).read_text() == dockerfile
    assert result["own_dockerfile"] == ("own" if dockerfile == "own" else "")
    if ignore is not None:
        assert Path(f"{result['dockerfile']}.dockerignore").read_text() == ignore
    assert os.access(result["docker_cli"], os.X_OK)
    assert os.stat(result["place"]).st_mode & 0o777 == 0o700


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
