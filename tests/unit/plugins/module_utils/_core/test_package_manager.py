# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package manager installs what."""

from __future__ import annotations

import json
from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.package_manager import (
    PackageManager,
    manager_of,
)

CLASSIC = "# yarn lockfile v1\n"
BERRY = "__metadata:\n  version: 8\n"
YARN_PATH = 'nodeLinker: node-modules\nyarnPath: ".yarn/releases/yarn-4.5.0.cjs" # committed\n'
PROGRAM = {".yarn/releases/yarn-4.5.0.cjs": ""}


def of(manifest: Any = None, **files: str) -> PackageManager:
    """Return what installs sources with a package.json and other files."""
    sources = {"package.json": manifest if isinstance(manifest, str) else json.dumps(manifest or {}), **files}
    return manager_of({name.split("/")[0] for name in sources}, sources.get)


def wants(field: str) -> dict[str, str]:
    return {"packageManager": field}


RIGHT: list[tuple[Any, Mapping[str, str], PackageManager]] = [
    (None, {"package-lock.json": ""}, PackageManager("npm", lockfile="package-lock.json")),
    (None, {"npm-shrinkwrap.json": ""}, PackageManager("npm", lockfile="npm-shrinkwrap.json")),
    (wants("npm@10.8.2"), {"package-lock.json": ""}, PackageManager("npm", "npm@10.8.2", lockfile="package-lock.json")),
    (None, {"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, PackageManager("pnpm", "pnpm@9", lockfile="pnpm-lock.yaml")),
    (None, {"pnpm-lock.yaml": "lockfileVersion: 9.0\n"}, PackageManager("pnpm", "pnpm@10", lockfile="pnpm-lock.yaml")),
    (
        wants("pnpm@9.15.0+sha512.0a1b"),
        {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"},
        PackageManager("pnpm", "pnpm@9.15.0", integrity="sha512.0a1b", lockfile="pnpm-lock.yaml"),
    ),
    (
        wants("pnpm@11.0.0-rc.1"),
        {"pnpm-lock.yaml": ""},
        PackageManager("pnpm", "pnpm@11.0.0-rc.1", lockfile="pnpm-lock.yaml"),
    ),
    (None, {"yarn.lock": CLASSIC}, PackageManager("yarn", "yarn@1.22.22", lockfile="yarn.lock")),
    (
        wants("yarn@1.22.19+sha1.ff"),
        {"yarn.lock": CLASSIC},
        PackageManager("yarn", "yarn@1.22.19", integrity="sha1.ff", lockfile="yarn.lock"),
    ),
    (
        wants("yarn@4.5.0+sha224.ab"),
        {"yarn.lock": BERRY, ".yarnrc.yml": "nodeLinker: pnp\n"},
        PackageManager("yarn", "@yarnpkg/cli-dist@4.5.0", integrity="sha224.ab", lockfile="yarn.lock"),
    ),
    (
        None,
        {"yarn.lock": BERRY, ".yarnrc.yml": YARN_PATH, **PROGRAM},
        PackageManager("yarn", program=".yarn/releases/yarn-4.5.0.cjs", lockfile="yarn.lock"),
    ),
    (None, {"bun.lock": ""}, PackageManager("bun", "bun@1", lockfile="bun.lock")),
    (wants("bun@1.2.2"), {"bun.lockb": ""}, PackageManager("bun", "bun@1.2.2", lockfile="bun.lockb")),
    (
        wants("npm@10.9.2"),
        {"pnpm-lock.yaml": "", "package-lock.json": ""},
        PackageManager(
            "npm",
            "npm@10.9.2",
            lockfile="package-lock.json",
            cautions=("package.json names npm as its package manager, so pnpm-lock.yaml is ignored.",),
        ),
    ),
    (
        wants("bun@1.2.2"),
        {"yarn.lock": "", "package-lock.json": "", "bun.lock": ""},
        PackageManager(
            "bun",
            "bun@1.2.2",
            lockfile="bun.lock",
            cautions=("package.json names bun as its package manager, so package-lock.json, yarn.lock are ignored.",),
        ),
    ),
]


@pytest.mark.parametrize(("manifest", "files", "expected"), RIGHT)
def test_the_field_decides_or_else_the_lockfile(manifest: Any, files: Any, expected: PackageManager) -> None:
    assert of(manifest, **files) == expected


WRONG: list[tuple[Any, Mapping[str, str], str]] = [
    (None, {}, "There is no lockfile: package-lock.json of npm, pnpm-lock.yaml"),
    (None, {"deno.lock": ""}, "There is no lockfile"),
    (None, {"yarn.lock": "", "package-lock.json": ""}, "There are package-lock.json, yarn.lock, and package.json does"),
    (wants("pnpm@9.1.0"), {}, "names pnpm, but there is no pnpm-lock.yaml. Make it with pnpm install"),
    (wants("pnpm@9.1.0"), {"yarn.lock": ""}, "names pnpm, but there is no pnpm-lock.yaml, only yarn.lock. Make"),
    (wants("pnpm"), {"pnpm-lock.yaml": ""}, 'is "pnpm", which is none of npm, pnpm, yarn and bun with an exact'),
    (wants("pnpm@9"), {"pnpm-lock.yaml": ""}, 'is "pnpm@9", which is none'),
    (wants("pnpm@9.1.0 --x"), {"pnpm-lock.yaml": ""}, "which is none"),
    ({"packageManager": {"name": "pnpm"}}, {"pnpm-lock.yaml": ""}, 'is {"name": "pnpm"}, which is none'),
    ("{", {"package-lock.json": ""}, "package.json is not JSON: "),
    (None, {"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, "pnpm-lock.yaml has lockfileVersion 5, and which pnpm"),
    (None, {"pnpm-lock.yaml": ""}, "pnpm-lock.yaml has no lockfileVersion, and which"),
    (None, {"yarn.lock": BERRY}, "yarn.lock is one of Yarn 2 or newer, and nothing says of which"),
    (None, {"yarn.lock": BERRY, ".yarnrc.yml": YARN_PATH}, "names .yarn/releases/yarn-4.5.0.cjs, which is not among"),
    (wants("yarn@4.5.0"), {"yarn.lock": CLASSIC}, "is yarn@4.5.0, but yarn.lock is one of Yarn 1. Make"),
    (wants("yarn@1.22.22"), {"yarn.lock": BERRY}, "is yarn@1.22.22, but yarn.lock is one of Yarn 2 or newer"),
]


@pytest.mark.parametrize(("manifest", "files", "problem"), WRONG)
def test_what_is_not_clear_is_a_problem(manifest: Any, files: Any, problem: str) -> None:
    assert problem in of(manifest, **files).problem


def test_a_dockerfile_has_its_own_ways() -> None:
    assert of(Dockerfile="") == PackageManager("npm")


def test_sources_without_a_package_json() -> None:
    assert manager_of(["README.md"], {}.get).problem.startswith("There is no package.json at their top")
    assert of("[]", **{"bun.lock": ""}) == PackageManager("bun", "bun@1", lockfile="bun.lock")


def test_a_module_returns_all_of_it() -> None:
    expected = {"name": "npm", "package": "", "program": "", "integrity": "", "cautions": [], "problem": ""}
    assert of(**{"package-lock.json": ""}).facts() == {**expected, "lockfile": "package-lock.json"}
