# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house for all files: imports point down, everything has a test and a licence."""

from __future__ import annotations

import ast
import builtins
import configparser
import re
import sys
from typing import Iterator, Mapping

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import manifest
from ansible_collections.ptnextjs.docker_vps.tests.mutations import run as mutations
from ansible_collections.ptnextjs.docker_vps.tests.support import sites
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import MODULES, PACKAGE, PLUGINS, PYTHON, ROLES
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT


def test_there_is_something_to_check() -> None:
    assert len(ROLES) >= 5
    assert len(MODULES) >= 5
    assert len(PYTHON) >= 20


UTILS = tuple(
    f"module_utils/{name}" for name in ("_core", "_engine", "_store", "_backup", "_release", "_command", "_module")
)
CORE, ENGINE, STORE, BACKUP, RELEASE, COMMAND, MODULE = UTILS
# Per folder of plugins: which folders it may import from beside itself, and which packages beside the standard library.
MAY: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    CORE: ((), ()),
    ENGINE: ((CORE,), ("docker", "requests")),
    STORE: ((CORE,), ()),
    BACKUP: ((CORE, ENGINE, STORE), ()),
    RELEASE: ((CORE, ENGINE, STORE, BACKUP), ()),
    COMMAND: ((CORE, ENGINE, STORE, BACKUP, RELEASE), ()),
    MODULE: ((CORE, ENGINE, STORE, BACKUP, RELEASE, COMMAND), ("ansible",)),
    "modules": (UTILS, ("ansible",)),
    "lookup": ((CORE, MODULE), ("ansible",)),
    "filter": ((CORE, MODULE), ("ansible",)),
    "action": ((CORE, STORE, MODULE), ("ansible", "jinja2", "yaml")),
    "doc_fragments": ((), ()),
}


def imports(path: str, source: str) -> Iterator[str]:
    """Yield what a file of plugins imports: packages by name, files of plugins as folder/stem."""
    here = [*PACKAGE.split("."), "plugins", *path.split("/")]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else []
            names = [".".join([*base, *filter(None, [node.module]), name.name]) for name in node.names]
        else:
            continue
        for name in names:
            inside = name.startswith(f"{PACKAGE}.plugins.")
            yield name[len(f"{PACKAGE}.plugins.") :].replace(".", "/") if inside else name.split(".")[0]


def upward(path: str, source: str) -> list[str]:
    """Return the imports of a file of plugins that its place forbids."""
    place = next(folder for folder in MAY if path.startswith(f"{folder}/"))
    folders, packages = MAY[place]
    found = []
    for name in imports(path, source):
        ours = "/" in name
        right = any(name.startswith(f"{folder}/") for folder in (place, *folders)) if ours else name in packages
        if not right and (ours or name not in sys.stdlib_module_names):
            found.append(name)
    return found


@pytest.mark.parametrize("path", PYTHON)
def test_imports_point_down(path: str) -> None:
    assert upward(path, (PLUGINS / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "line", "found"),
    [
        ("module_utils/_core/x.py", "import os, docker", ["docker"]),
        ("module_utils/_core/x.py", "from . import errors", []),
        ("module_utils/_core/x.py", "from .errors import InvalidInput", []),
        ("module_utils/_core/x.py", "from .._store import files", ["module_utils/_store/files"]),
        ("module_utils/_core/x.py", "def f():\n    import yaml", ["yaml"]),
        ("module_utils/_core/x.py", "from ansible.errors import AnsibleError", ["ansible"]),
        ("module_utils/_engine/x.py", "import docker.errors", []),
        ("module_utils/_engine/x.py", "from .._store.files import read", ["module_utils/_store/files/read"]),
        ("module_utils/_store/x.py", "from .._engine import sdk", ["module_utils/_engine/sdk"]),
        ("module_utils/_backup/x.py", "from .._engine.sdk import Engine", []),
        ("module_utils/_backup/x.py", "from .._release import cutover", ["module_utils/_release/cutover"]),
        ("module_utils/_release/x.py", "from .._backup import restore", []),
        ("module_utils/_release/x.py", "from .._command import cli", ["module_utils/_command/cli"]),
        ("module_utils/_command/x.py", "import docker", ["docker"]),
        (
            "module_utils/_command/x.py",
            "from .._module.module_exit import finish",
            ["module_utils/_module/module_exit/finish"],
        ),
        ("module_utils/_module/x.py", "from .._engine.sdk import Engine", []),
        ("module_utils/_module/x.py", "import docker", ["docker"]),
        ("modules/x.py", "from ..module_utils._core import kinds", []),
        ("modules/x.py", "from .host_info import run", []),
        ("modules/x.py", "from ..lookup.operator import LookupModule", ["lookup/operator/LookupModule"]),
        ("modules/x.py", "from docker.utils import exclude_paths", ["docker"]),
        ("lookup/x.py", f"from {PACKAGE}.plugins.module_utils._core import kinds", []),
        ("lookup/x.py", f"from {PACKAGE}.plugins.module_utils._engine import sdk", ["module_utils/_engine/sdk"]),
        ("lookup/x.py", "from ansible_collections.community.docker.plugins import x", ["ansible_collections"]),
    ],
)
def test_the_check_of_imports_itself(path: str, line: str, found: list[str]) -> None:
    assert upward(path, line) == found


# What says nothing of this machine, or only its words for things.
PURE = re.compile(
    r"os\.(fsencode|fsdecode|strerror|sep|path\.(join|basename|dirname|normpath|split|splitext|isabs|relpath|commonpath))"
)
OUTSIDE = {"pathlib", "subprocess", "shutil", "tempfile", "socket", "glob", "getpass", "pwd", "fcntl", "io", "tarfile"}


def outside(source: str) -> Iterator[str]:
    """Yield what a program does or could do with files, processes and the machine."""
    inner = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in OUTSIDE)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ([str(node.module)] if str(node.module).partition(".")[0] in {*OUTSIDE, "os"} else [])
        elif isinstance(node, ast.Name) and node.id in ("open", "print", "input", "__import__"):
            yield node.id
        elif isinstance(node, ast.Attribute) and node not in inner and re.fullmatch(r"os(\.\w+)+", ast.unparse(node)):
            inner |= {one for one in ast.walk(node) if isinstance(one, ast.Attribute)}
            yield from ([ast.unparse(node)] if not PURE.fullmatch(ast.unparse(node)) else [])


@pytest.mark.parametrize("path", [path for path in PYTHON if path.startswith(f"{CORE}/")])
def test_the_core_is_pure(path: str) -> None:
    assert list(outside((PLUGINS / path).read_text(encoding="utf-8"))) == []


def test_the_check_of_purity_itself() -> None:
    right = "import os\nos.path.join(os.fsencode('a'))\nfrom .open import text\nself.open(1)\nos.fsencode('a').decode()"
    assert list(outside(right)) == []
    wrong = "import io\nfrom os import path\nopen('a')\nos.path.isdir('a')\n[os.stat]\nfrom pathlib import Path"
    assert sorted(outside(wrong)) == ["io", "open", "os", "os.path.isdir", "os.stat", "pathlib"]


# What a constructor may call besides other constructors and what is built into Python: conversions, and reads of data.
CONVERSIONS = {
    "sentence",
    "unquote",
    "items",
    "keys",
    "values",
    "join",
    "startswith",
    "sub",
    "search",
    "sha256",
    "cpu_count",
}
# These choose a library for a kind of compression, and make a generator of it; nothing is read or written yet.
WORKING = {"Compressor", "Decompressed"}


def work(source: str) -> Iterator[str]:
    """Yield what constructors do besides keeping what they are given."""
    for one in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]:
        for made in one.body:
            if isinstance(made, ast.FunctionDef) and made.name == "__init__":
                yield from (f"{one.name}: {ast.unparse(node)}" for node in _work(made))


def _work(constructor: ast.FunctionDef) -> Iterator[ast.AST]:
    explained = ast.get_docstring(constructor) is not None
    kept = [node for node in constructor.body[explained:] if not ast.unparse(node).startswith("super().__init__(")]
    yield from (node for node in kept if not isinstance(node, (ast.Assign, ast.AnnAssign)))
    for node in [node for statement in kept for node in ast.walk(statement)]:
        if isinstance(node, ast.Call):
            name = str(getattr(node.func, "id", getattr(node.func, "attr", "")))
            plain = isinstance(node.func, ast.Name) and hasattr(builtins, name) and name not in ("open", "exec", "eval")
            if not (plain or name.lstrip("_")[:1].isupper() or name in CONVERSIONS):
                yield node


@pytest.mark.parametrize("path", [path for path in PYTHON if path.startswith((ENGINE, STORE, BACKUP, RELEASE))])
def test_constructors_only_keep_what_they_are_given(path: str) -> None:
    found = work((PLUGINS / path).read_text(encoding="utf-8"))
    assert [one for one in found if one.split(":")[0] not in WORKING] == []


def test_the_check_of_constructors_itself() -> None:
    does = "class A:\n def __init__(self, a):\n  "
    right = ("self.a = a", "self.b: int = len(a)", "self.c = [One(x) for x in a.values()]")
    assert [list(work(does + line)) for line in right] == [[], [], []]
    wrong = ("self.look()", "if a: self.a = a", "self.a = a.find()", "self.a = open(a)", "raise E(a)", "self.a = f(a)")
    assert [line for line in wrong if not list(work(does + line))] == []


# Names that say nothing of what they hold.
EMPTY = {"one", "said", "told", "there", "whom"}


def empty_names(source: str) -> Iterator[str]:
    """Yield where a program gives a variable, an argument or a function a name that says nothing, as line and name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names = [node.id]
        elif isinstance(node, (ast.ExceptHandler, ast.FunctionDef)):
            names = [node.name]
        else:
            names = [node.arg] if isinstance(node, ast.arg) else []
        yield from (f"{node.lineno} {name}" for name in names if name and name.lstrip("_") in EMPTY)


@pytest.mark.parametrize("path", PYTHON)
def test_names_say_what_they_hold(path: str) -> None:
    assert list(empty_names((PLUGINS / path).read_text(encoding="utf-8"))) == []


def test_the_check_of_names_itself() -> None:
    wrong = (
        "one = 1",
        "one: int",
        "for told in a: b",
        "there, b = a",
        "[a for whom in a]",
        "lambda one: 1",
        "def f(*, told): ...",
        "def f(*there): ...",
        "if one := a: ...",
        "with a as one: ...",
        "try: ...\nexcept a as told: ...",
        "def told(row): ...",
        "def _said(row): ...",
    )
    assert [len(list(empty_names(line))) for line in wrong] == [1] * len(wrong)
    right = "one(there)\na.told = whom.one\nf(one=1)\n'one'"
    assert list(empty_names(right)) == []


SPEAKERS = ("_module/", "_command/")
# Words of a speaker: a playbook, privileges, a variable of an inventory, a role.
SPOKEN = re.compile(r"(?<![.\w])\w+\.yml\b|\bbecome: |docker_vps_|\brole \b|\bdocker-vps [a-z]")
NO_WORDS = {"compose.yml", "next.yml"}  # files of a release


def strings(source: str) -> Iterator[str]:
    """Yield all strings of a program but those that document it."""
    tree = ast.parse(source)
    documented = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented:
            yield node.value


@pytest.mark.parametrize("path", [one for one in PYTHON if one.startswith("module_utils/")])
def test_only_who_tells_a_failure_words_the_way_out(path: str) -> None:
    if not any(folder in path for folder in SPEAKERS):
        spoken = set(strings((PLUGINS / path).read_text(encoding="utf-8"))) - NO_WORDS
        assert {string for string in spoken if SPOKEN.search(string)} == set(), "See _core/remedies.py"


@pytest.mark.parametrize("path", PYTHON)
def test_the_oldest_python_can_parse_it(path: str) -> None:
    text = (PLUGINS / path).read_text(encoding="utf-8")
    assert ast.parse(text, feature_version=(3, 8)).body
    assert "from __future__ import annotations" in text


@pytest.mark.parametrize("path", PYTHON)
def test_data_does_not_change_under_anybody(path: str) -> None:
    tree = ast.parse((PLUGINS / path).read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    marks = [ast.unparse(mark) for one in classes for mark in one.decorator_list]
    assert set(marks) <= {"dataclass(frozen=True)"}


# Doc fragments are checked with the argument specs, in test_modules.py.
@pytest.mark.parametrize("path", [path for path in PYTHON if not path.startswith("doc_fragments/")])
def test_every_file_has_a_test_file(path: str) -> None:
    folder, _unused, name = path.rpartition("/")
    action = PLUGINS / "action" / name
    if folder == "modules" and action.exists():
        folder = "action"
    assert (ROOT / "tests/unit/plugins" / folder / f"test_{name}").exists()


@pytest.mark.parametrize("folder", ["module_utils", "modules"])
def test_a_test_of_what_runs_on_hosts_needs_nothing_of_the_controller(folder: str) -> None:
    """ansible-test offers it ansible.module_utils alone."""
    of_controller = re.compile(
        r"\bplugins\.(action|lookup|filter)\b|^ *(from|import) ansible\.(?!module_utils\b)", re.M
    )
    paths = (ROOT / "tests/unit/plugins" / folder).rglob("*.py")
    assert [path.name for path in paths if of_controller.search(path.read_text(encoding="utf-8"))] == []


SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for top in ("plugins", "roles", "playbooks", "tests/unit")
    for path in (ROOT / top).rglob("*")
    if path.suffix in (".py", ".sh")
)


@pytest.mark.parametrize("path", SCRIPTS)
def test_every_script_names_its_licence(path: str) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert "# SPDX-License-Identifier: GPL-3.0-or-later" in lines[:2]


def test_manifests_name_the_version_of_the_collection() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert galaxy["version"] == manifest.TOOL_VERSION


def test_every_mutant_is_of_a_text_that_is_there() -> None:
    for mutant in mutations.MUTANTS:
        assert mutant.right in (ROOT / mutant.file).read_text(encoding="utf-8"), mutant.name
        assert (ROOT / mutant.tests[0]).exists(), mutant.name


def test_no_two_files_of_integration_tests_have_an_application_in_common() -> None:
    # They run at the same time, on one engine.
    users: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests/integration").glob("test_*.py")):
        for name in sorted({*re.findall(r'"(it-[a-z0-9-]+)"', path.read_text(encoding="utf-8"))}):
            users.setdefault(name, []).append(path.name)
    assert len(users) >= 50
    assert {name: files for name, files in users.items() if len(files) > 1} == {}


def test_every_play_that_a_checklist_names_is_there() -> None:
    text = (ROOT / "docs/vps.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)\.yml`|docker_vps\.(\w+) -i", text))
    missing = {play for play in map("".join, named) if not (ROOT / f"playbooks/{play}.yml").exists()}
    assert len(named) > 5
    assert missing == set()


@pytest.mark.parametrize("verb", sites.verbs())
def test_a_play_that_matches_nobody_fails(verb: str) -> None:
    plays = yaml.safe_load((ROOT / f"playbooks/{verb}.yml").read_text(encoding="utf-8"))
    assert all("ptnextjs.docker_vps.matched_hosts" in play["hosts"] for play in plays)


@pytest.mark.parametrize("path", ["ansible.cfg", "examples/site/ansible.cfg"])
def test_a_network_that_goes_away_ends_a_play(path: str) -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / path)
    options = dict(re.findall(r"-o (\w+)=(\w+)", settings["ssh_connection"]["ssh_args"]))
    assert 0 < int(options["ServerAliveInterval"]) * int(options["ServerAliveCountMax"]) <= 120  # seconds


def test_the_example_shows_what_was_done_and_nothing_else() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "examples/site/ansible.cfg")
    assert settings["defaults"]["interpreter_python"] == "auto_silent"
    assert not settings.getboolean("defaults", "display_skipped_hosts")


def test_a_collection_built_again_takes_the_place_of_the_one_before() -> None:
    """Ansible keeps what is installed when the version is the same, and says that there is nothing to do."""
    installs = re.findall(r"ansible-galaxy collection install .*\.tar\.gz", (ROOT / "README.md").read_text())
    assert installs
    assert all("--force" in one for one in installs)
