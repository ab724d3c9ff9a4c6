# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the files of the collection, for the tests that check them."""

from __future__ import annotations

import ast
import importlib
from typing import Any, Iterator, Mapping

import yaml
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

COLLECTION = "ptnextjs.docker_vps"
PACKAGE = f"ansible_collections.{COLLECTION}"
PLUGINS = ROOT / "plugins"
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
PYTHON = sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))


def _remedies() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each call of a function of _core/remedies.py by name and arguments: what messages tell people to do."""
    for path in PYTHON:
        text = (PLUGINS / path).read_text(encoding="utf-8")
        if "remedies" not in text:
            continue
        tree = ast.parse(text)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        kinds = {name.name for node in imports if node.module.endswith("remedies") for name in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                yield (
                    node.func.id,
                    tuple(str(one.value) if isinstance(one, ast.Constant) else "value" for one in node.args),
                )


REMEDIES = sorted(set(_remedies()))


def role_file(role: str, name: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / name).read_text(encoding="utf-8"))


def spec_of_role(role: str) -> dict[str, Any]:
    options: dict[str, Any] = role_file(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def tasks_of(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all tasks of a list of tasks, those in blocks too."""
    for task in node or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def all_tasks(role: str) -> list[Mapping[str, Any]]:
    files = sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))
    return [task for path in files for task in tasks_of(yaml.safe_load(path.read_text(encoding="utf-8")))]


def text_of(path: str, name: str) -> str:
    """Return the content of DOCUMENTATION, EXAMPLES or RETURN of a file of plugins."""
    code: Any = importlib.import_module(f"{PACKAGE}.plugins.{path[: -len('.py')].replace('/', '.')}")
    text = getattr(getattr(code, "ModuleDocFragment", code), name)
    assert isinstance(text, str)
    return text


def docs(module: str, name: str) -> Any:
    return yaml.safe_load(text_of(f"modules/{module}.py", name))


def options_of(module: str) -> dict[str, Any]:
    """Return the documented options, those of doc fragments too."""
    return _documented(module, "options")


def attributes_of(module: str) -> dict[str, Any]:
    """Return the documented attributes, with what doc fragments say of them."""
    return _documented(module, "attributes")


def _documented(module: str, part: str) -> dict[str, Any]:
    documentation = docs(module, "DOCUMENTATION")
    found = dict(documentation.get(part, {}))
    for fragment in documentation["extends_documentation_fragment"]:
        assert fragment.startswith(f"{COLLECTION}.")
        file, _dot, name = fragment[len(COLLECTION) + 1 :].partition(".")
        shared = yaml.safe_load(text_of(f"doc_fragments/{file}.py", name.upper() or "DOCUMENTATION"))
        found.update({one: {**option, **found.get(one, {})} for one, option in shared.get(part, {}).items()})
    return found
