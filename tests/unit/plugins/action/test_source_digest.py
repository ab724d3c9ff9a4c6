# SPDX-License-Identifier: GPL-3.0-or-later
"""The action source_digest on a real directory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.source_digest import ActionModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sources import Layout, digest


def acted(**arguments: Any) -> dict[str, Any]:
    """Return the result but for what installs the dependencies, and the Dockerfile."""
    result = whole(**arguments)
    del result["package_manager"], result["dockerfile"]
    assert result.pop("cautions") == []
    return result


def whole(**arguments: Any) -> dict[str, Any]:
    task = Task()
    task.args, task.async_val = arguments, 0
    result: dict[str, Any] = ActionModule(
        task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None
    ).run()
    return result


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "node_modules").mkdir()
    for name in ("package.json", "page.tsx", "node_modules/index.js"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_everything_counts(root: Path) -> None:
    everything = digest(str(root), ["node_modules/index.js", "package.json", "page.tsx"])
    assert acted(path=str(root)) == {"changed": False, "digest": everything, "files": 3}


def test_what_is_ignored_does_not_count(root: Path) -> None:
    left = digest(str(root), ["package.json", "page.tsx"])
    assert acted(path=str(root), ignore="**/node_modules\n") == {"changed": False, "digest": left, "files": 2}


def test_what_installs_the_dependencies_is_told(root: Path) -> None:
    (root / "package.json").write_text('{"packageManager": "pnpm@9.15.0"}')
    assert "there is no pnpm-lock.yaml" in whole(path=str(root))["package_manager"]["problem"]
    (root / "pnpm-lock.yaml").write_text("")
    (root / "payload.config.ts").write_text("sqliteAdapter({})")
    found = whole(path=str(root))
    assert found["package_manager"]["package"] == "pnpm@9.15.0"
    assert len(found["cautions"]) == 2
    (root / "payload.config.ts").write_text("upload: { limits: { fileSize: 1024 } }")
    (caution,) = whole(path=str(root), upload_max=2048)["cautions"]
    assert "cut files at 1 KiB, and the reverse proxy lets 2 KiB through" in caution
    assert "Lower docker_vps_upload_max to that" in caution


def test_the_home_directory_is_understood(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert acted(path=f"~/{root.name}") == acted(path=str(root))


def test_a_dockerfile_and_a_context_elsewhere(root: Path) -> None:
    (root / "node_modules/Dockerfile").write_text("FROM x")
    layout = Layout("node_modules/Dockerfile", "node_modules")
    whole = digest(str(root), ["node_modules/Dockerfile", "node_modules/index.js"], layout)
    assert acted(path=str(root), context_path="node_modules") == {"changed": False, "digest": whole, "files": 2}
    assert acted(path=str(root), context_path="node_modules", dockerfile_path="node_modules/Dockerfile")["files"] == 2
    with pytest.raises(
        AnsibleActionFail, match=f"There is no file prod in the sources {root}. Correct docker_vps_docker"
    ):
        acted(path=str(root), dockerfile_path="prod")


def test_what_is_wrong_is_told_in_a_sentence(root: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=f"The sources {root}/none are not a directory on the controller"):
        acted(path=str(root / "none"))
    (root / ".dockerignore").write_text("!\n")
    with pytest.raises(AnsibleActionFail, match=r"Line 1 of \.dockerignore, '!', is no pattern"):
        acted(path=str(root))


def test_the_dockerfile_of_the_sources(root: Path) -> None:
    assert whole(path=str(root))["dockerfile"] == ""
    (root / "node_modules/Dockerfile").write_bytes(b"FROM x\n# \xff\n")
    assert whole(path=str(root), context_path="node_modules")["dockerfile"] == "FROM x\n# \ufffd\n"
