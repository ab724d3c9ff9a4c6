# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the code every failure that a play can tell, and write docs/messages.md of them.

    python tests/support/messages.py >docs/messages.md

A value that is known only at run time is shown as <name>. A unit test holds the page against the code, and each message
against the rules for messages.
"""

from __future__ import annotations

import ast
import errno
import fnmatch
import functools
import itertools
import os
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence, cast

import yaml

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / ".ansible/collections"))  # when this is run as a program
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.remedies import CLOSE, OPEN
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import WORDS

# What makes a failure besides the classes of errors, and what it adds to its first argument.
MAKERS = {
    "refused": ": <cause>. <next step>",
    "unstarted": " cannot be started: <cause>. <next step>",
    "fail_json": "",
}
NO_FAILURE = {"REACHED", "WAITING"}  # of the reasons why a wait is over
# Where failures are made of what these files say, and which of their strings are none.
PROBLEMS = {"environment.py": ("Key", "join"), "kinds.py": ("join", "compile"), "_core/reverse_proxy.py": ()}
HEALTH, REFUSALS = "health.py", "errors.py"
OPAQUE = {"size", "counted", "shown", "explain"}  # functions that say a value, or have a section of their own
CAUSES = {"buildlog.py", "git.py", "restic_output.py", "sqlite.py"}
DEPTH = 3  # calls that are followed
MOST = 40  # readings of one expression
FEWEST = 4  # words of a message, besides values
INTRODUCTION = """\
# Messages

<!-- Made by tests/support/messages.py from the code; change the code, and make it again. -->

Every failure of a play, as the code says it: what is wrong with its evidence, and what to do. Words in italics stand
for what is known only at run time. A message names the variable of an inventory (`docker_vps_…`) where there is one; a
role that is used alone has it under its own name, see [variables](variables.md). Failures of Ansible itself, of a proxy
or of the application are not among them. Unless one says otherwise, what ran before keeps running, or was put back."""
# Where a file's messages stand, by the end of its path.
SECTIONS = {
    "Variables": [
        "_core/validators.py",
        "_core/environment.py",
        "_core/dotenv.py",
        "_module/*.py",
        "action/*.py",
        "filter/*.py",
    ],
    "The inventory and the host": [
        "lookup/*.py",
        "_core/host.py",
        "_engine/sdk.py",
        "_engine/compose.py",
        "_release/host_info.py",
    ],
    "Setup": [
        "playbooks/setup.yml",
        "roles/engine/tasks/*.yml",
        "_core/apt_sources.py",
        "_core/daemon_config.py",
        "_core/engine_packages.py",
        "_core/openpgp.py",
        "_engine/apt.py",
        "_engine/service.py",
        "_engine/web.py",
        "_release/apt_packages.py",
        "_release/apt_source.py",
        "_release/engine_config.py",
        "_release/engine_setup.py",
    ],
    "The public address": ["_release/public_check.py"],
    "The firewall": ["_core/firewall.py", "_engine/nftables.py", "_release/firewall.py"],
    "The reverse proxy": [
        "_core/reverse_proxy.py",
        "_engine/reverse_proxy.py",
        "_release/reverse_proxy.py",
        "_store/certificate.py",
        "roles/reverse_proxy/tasks/*.yml",
    ],
    "The network": ["roles/proxy_network/tasks/*.yml"],
    "Sources": [
        "_core/git.py",
        "_engine/git.py",
        "_release/checkout.py",
        "_store/sources.py",
        "_core/dockerignore.py",
        "_core/package_manager.py",
        "_core/payload.py",
        "_core/dockerfile.py",
    ],
    "The build": ["_core/buildlog.py", "_store/build_context.py", "roles/image/tasks/*.yml"],
    "Images that are built elsewhere": [
        "_core/image_layout.py",
        "_store/image_chunks.py",
        "_release/image_export.py",
        "_release/image_import.py",
        "action/image_*.py",
    ],
    "An image from a registry": ["_release/image_pull.py", "_release/base_images.py", "_release/image_push.py"],
    "What is in an image": ["_release/image_sbom.py", "_core/advisories.py", "_engine/npm_registry.py"],
    "The env file": ["_store/env_file.py", "_core/secret_files.py", "_release/secret_change.py"],
    "The lock of a play": ["_core/deploy_lock.py", "_store/deploy_lock.py", "action/deploy_lock.py"],
    "Health": ["_core/health.py", "_core/health_wait.py", "_release/health_probe.py", "modules/container_health.py"],
    "Releases": [
        "_release/cutover.py",
        "_release/start.py",
        "_release/preconditions.py",
        "_release/cutover_state.py",
        "_release/recovery.py",
        "_release/rollback.py",
        "_release/migration.py",
        "_core/releases.py",
        "_store/releases.py",
        "playbooks/tasks/*.yml",
        "roles/stack/tasks/*.yml",
    ],
    "Removal": ["_release/removal.py", "playbooks/remove.yml"],
    "The status": ["_engine/systemd.py", "_release/app_status.py"],
    "The audit": ["_core/audit.py", "_release/host_audit.py", "roles/audit/tasks/*.yml"],
    "The watch": ["_command/watch.py"],
    "Maintenance": ["modules/host_maintenance.py"],
    "The doctor": ["_release/doctor.py", "roles/stack/tasks/doctor.yml"],
    "Logs": ["_core/logs.py", "modules/container_logs.py", "_release/container_logs.py", "roles/logs/tasks/*.yml"],
    "Backups": [
        "_backup/backup.py",
        "_backup/databases.py",
        "_backup/volumes.py",
        "_backup/set_import.py",
        "_backup/export.py",
        "_backup/prune.py",
        "_backup/verify.py",
        "_backup/uploads.py",
        "_core/databases.py",
        "_core/retention.py",
        "_core/manifest.py",
        "_store/sqlite.py",
        "_store/sets.py",
        "_store/archive.py",
        "_store/archive_file.py",
        "_store/packed.py",
        "_core/archive_index.py",
        "_core/tar_stream.py",
        "_store/compression.py",
        "_store/tree.py",
        "_store/exam*.py",
        "_store/place.py",
        "_core/data_loss.py",
        "modules/backup_prune.py",
        "roles/backup/tasks/*.yml",
        "_backup/data_loss.py",
        "_backup/job_history.py",
    ],
    "Restore": [
        "_backup/restore.py",
        "_backup/restore_source.py",
        "_backup/journal.py",
        "_backup/ownership.py",
        "_backup/places.py",
        "_core/tar_members.py",
        "playbooks/restore.yml",
        "roles/restore/tasks/*.yml",
    ],
    "Off-site copies": ["_backup/offsite*.py", "_store/remote.py", "_store/restic*.py"],
    "The drill": ["_backup/drill.py", "modules/backup_drill.py"],
    "The replica": ["roles/replica/tasks/*.yml", "_core/replica.py"],
    "The schedule and docker-vps": [
        "_command/cli.py",
        "_command/units.py",
        "roles/schedule/tasks/*.yml",
        "_command/notify.py",
        "_store/lock.py",
    ],
    "Files": ["_core/errors.py", "_store/files.py", "_store/folders.py"],
}


@dataclass(frozen=True, order=True)
class Message:
    """A failure, and the file that tells it (from the top of the collection)."""

    file: str
    text: str

    @property
    def halves(self) -> tuple[str, str]:
        """The first sentence, which has cause and evidence, and what follows it, which says what to do."""
        first, *rest = re.split(r"(?<=[.?]) (?=[A-Z<])|(?<=>) (?=[A-Z][a-z]+ )", self.text, maxsplit=1)
        if not rest and "; " in first:
            first, step = first.rsplit("; ", 1)
            rest = [step[:1].upper() + step[1:] if step.split(" ")[0].isalpha() else step]
        return first, " ".join(rest)


class Code:
    """What the plugins define, by bare names."""

    def __init__(self) -> None:
        files = sorted((ROOT / "plugins").rglob("*.py"))
        self.trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}
        self.functions: dict[str, list[tuple[str, ast.FunctionDef]]] = defaultdict(list)
        self.constants: dict[tuple[str, str], ast.expr] = {}
        self.errors = {"DockerVpsError", "AnsibleActionFail", "AnsibleError", "AnsibleLookupError"}
        for file, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    self.functions[node.name].append((file, node))
                elif isinstance(node, ast.ClassDef) and {_name(base) for base in node.bases} & self.errors:
                    self.errors.add(node.name)
                elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
                    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                    self.constants.setdefault((file, _name(target)), node.value)

    def called(self, name: str, file: str) -> list[tuple[str, ast.FunctionDef]]:
        """Return the functions of a name: those of the file, or else the only one that there is."""
        known = self.functions.get(name, [])
        return [one for one in known if one[0] == file] or (known if len(known) == 1 else [])


class Reader:
    """Reads what the expressions of one function can say."""

    def __init__(self, code: Code, file: str, scope: ast.AST, depth: int = 0) -> None:
        self.code, self.file, self.depth = code, file, depth
        self.values: dict[str, list[ast.expr]] = defaultdict(list)
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign):
                self._bind(node.targets[0], node.value)
            elif isinstance(node, ast.AnnAssign) and node.value:
                self._bind(node.target, node.value)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.values[target.id].append(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts):
                self._bind(one, its)

    def read(self, node: ast.expr) -> list[str]:
        """Return what an expression can say, or the name of its value."""
        found = list(dict.fromkeys(itertools.islice(self._read(node), MOST)))
        return found or [f"<{_words(node)}>"]

    @functools.singledispatchmethod
    def _read(self, node: ast.AST) -> Iterator[str]:
        yield from ()

    @_read.register
    def _constant(self, node: ast.Constant) -> Iterator[str]:
        yield str(node.value)

    @_read.register
    def _joined(self, node: ast.JoinedStr) -> Iterator[str]:
        yield from map("".join, itertools.product(*map(self.read, node.values)))

    @_read.register
    def _formatted(self, node: ast.FormattedValue) -> Iterator[str]:
        yield from self.read(node.value)

    @_read.register
    def _sum(self, node: ast.BinOp) -> Iterator[str]:
        if isinstance(node.op, ast.Add):
            yield from map("".join, itertools.product(self.read(node.left), self.read(node.right)))

    @_read.register
    def _either(self, node: ast.IfExp) -> Iterator[str]:
        yield from itertools.chain(self.read(node.body), self.read(node.orelse))

    @_read.register
    def _lambda(self, node: ast.Lambda) -> Iterator[str]:
        yield from self.read(node.body)

    @_read.register
    def _one_of(self, node: ast.Dict) -> Iterator[str]:
        values = [value for key, value in zip(node.keys, node.values) if _name(key or node) not in NO_FAILURE]
        yield from itertools.chain.from_iterable(map(self.read, values))

    @_read.register
    def _item(self, node: ast.Subscript) -> Iterator[str]:
        if isinstance(node.value, ast.Name):
            yield from self._read(node.value)

    @_read.register
    def _called(self, node: ast.Call) -> Iterator[str]:
        if isinstance(node.func, ast.Name) and node.func.id in WORDS:
            given = (one.value if isinstance(one, ast.Constant) else f"<{_words(one)}>" for one in node.args)
            yield WORDS[node.func.id](*given)
        elif isinstance(node.func, ast.Subscript):
            yield from self._read(node.func)
        else:
            yield from self._returned(_name(node.func))

    @_read.register
    def _constant_elsewhere(self, node: ast.Attribute) -> Iterator[str]:
        there = [value for (_file, name), value in self.code.constants.items() if name == node.attr and name.isupper()]
        yield from self.read(there[0]) if len(there) == 1 and _says(there[0]) else ()

    @_read.register
    def _variable(self, node: ast.Name) -> Iterator[str]:
        yield from self._bound(node.id)

    def _bound(self, name: str) -> Iterator[str]:
        there = self.values.get(name) or [self.code.constants.get((self.file, name), ast.Tuple([]))]
        held, self.values[name] = self.values.get(name), []  # a value made of itself ends here
        yield from itertools.chain.from_iterable(map(self.read, filter(_says, there)))
        self.values[name] = held or []

    def _returned(self, name: str) -> Iterator[str]:
        followed = self.depth < DEPTH and name not in OPAQUE
        for file, function in self.code.called(name, self.file) if followed else ():
            inside = Reader(self.code, file, function, self.depth + 1)
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value and _says(node.value):
                    yield from inside.read(node.value)


def _name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _says(node: ast.AST) -> bool:
    """Return whether literal text stands in an expression."""
    there = list(ast.walk(node))
    remedy = any(isinstance(one, ast.Call) and _name(one.func) in WORDS for one in there)
    return remedy or any(isinstance(one, ast.Constant) and " " in str(one.value) for one in there)


def _words(node: ast.AST) -> str:
    """Return what a value is called where it is put into a message."""
    if isinstance(node, ast.Call):
        function = _name(node.func)
        inside = node.args[0] if node.args else getattr(node.func, "value", node)
        if function in ("join", "len", "str", "shown", "sorted", "strip", "rstrip", "replace", "dict", "max", "tuple"):
            owner = inside if function not in ("strip", "rstrip", "replace") else getattr(node.func, "value", node)
            return ("number of " if function == "len" else "") + _words(owner)
        return function.strip("_").replace("_", " ")
    if isinstance(node, (ast.GeneratorExp, ast.ListComp)):
        return _words(node.generators[0].iter)
    for inner in ("values", "left", "operand"):
        if hasattr(node, inner):
            first = getattr(node, inner)
            return _words(first[0] if isinstance(first, list) else first)
    if isinstance(node, ast.Subscript):
        constant = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
        return _words(node.slice if constant else node.value)
    if isinstance(node, ast.Constant):
        return str(node.value)
    return {"strerror": "cause"}.get(_name(node), _name(node)).strip("_").replace("_", " ").lower() or "value"


def _made(code: Code, file: str, function: ast.FunctionDef) -> Iterator[str]:
    """Yield the failures that a function makes."""
    reader = Reader(code, file, function)
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        maker = _name(node.func)
        if maker in code.errors or maker in MAKERS:
            given = node.args[:1] + [keyword.value for keyword in node.keywords if keyword.arg in ("msg", "message")]
            yield from (text + MAKERS.get(maker, "") for one in given for text in reader.read(one))
        elif maker == "Finding" and len(node.args) == 5:
            check, _ok, expected, _found, remedy = map(reader.read, node.args)
            for parts in itertools.product(check, expected, remedy):
                yield "{}: expected {}, found <found>; {}.".format(*parts)


def _causes(code: Code, file: str) -> Iterator[str]:
    """Yield the causes that a file looks for in what others say; it has pairs of a sign and a cause."""
    for (of, name), node in code.constants.items():
        if of == file and "CAUSES" in name and isinstance(node, ast.Tuple):
            for pair in node.elts:
                yield from Reader(code, file, ast.Module([], [])).read(cast(ast.Tuple, pair).elts[1])


def _verdicts(code: Code, file: str) -> Iterator[str]:
    """Yield the message about a container that is not as it was waited for."""
    for of, function in code.called("explain", file):
        yield from Reader(code, of, function).read(cast(ast.expr, cast(ast.Return, function.body[-1]).value))


def _problems(tree: ast.Module, code: Code, file: str, no_problem: Sequence[str]) -> Iterator[str]:
    """Yield the sentences that functions of a file return, or collect in a list."""
    for node in ast.walk(tree):
        value = getattr(node, "elt", getattr(node, "value", None) if isinstance(node, ast.Return) else None)
        if isinstance(node, ast.Call) and _name(node.func) == "append":
            value = node.args[0]
        if not isinstance(value, (ast.Constant, ast.JoinedStr, ast.BinOp, ast.IfExp)) or not _says(value):
            continue
        if not {_name(one.func) for one in ast.walk(value) if isinstance(one, ast.Call)} & set(no_problem):
            yield from Reader(code, file, ast.Module([], [])).read(value)


def _told(code: Code, file: str, tree: ast.Module) -> Iterator[str]:
    """Yield the sentences of a file that failures are made of."""
    name = Path(file).name
    if name in CAUSES:
        yield from _causes(code, file)
    if name == REFUSALS:
        yield from _refusals(code, file)
    if name == HEALTH:
        yield from _verdicts(code, file)
    for problems, no_problem in PROBLEMS.items():
        if fnmatches(file, [problems]):
            yield from _problems(tree, code, file, no_problem)


def _refusals(code: Code, file: str) -> Iterator[str]:
    """Yield what the kernel says, with the next step that stands for in other messages."""
    steps = cast(ast.Dict, code.constants[(file, "_NEXT_STEPS")])
    for number, step in zip(steps.keys, steps.values):
        reason = os.strerror(getattr(errno, _name(cast(ast.expr, number))))
        yield from (f"<cause>: {reason}. {text}" for text in Reader(code, file, ast.Module([], [])).read(step))


def in_plugins() -> set[Message]:
    """Return the failures that modules, actions and lookups tell."""
    code = Code()
    found = set()
    for file, tree in code.trees.items():
        made = [_made(code, file, node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        found |= {Message(file, " ".join(text.split())) for text in itertools.chain(*made, _told(code, file, tree))}
    return found


def _tasks(given: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every task of a file, also of blocks and plays."""
    for one in given if isinstance(given, list) else ():
        yield one
        for inner in ("tasks", "block", "rescue", "always", "pre_tasks", "post_tasks"):
            yield from _tasks(one.get(inner))


def _plain(text: str) -> str:
    """Return a message of a task with names instead of its expressions."""

    def named(expression: re.Match[str]) -> str:
        inside = expression[1].strip(" -\n")
        literal = re.match(r"'([^']*)'", inside)
        variable = re.split(r"[ |(]", inside)[0].rpartition(".")[2].strip("_").replace("_", " ")
        return literal[1] if literal else f"<{variable}>"

    text = re.sub(r"\{%.*?%\}", "", text, flags=re.DOTALL)
    return " ".join(re.sub(r"\{\{(.*?)\}\}", named, text, flags=re.DOTALL).split())


@functools.lru_cache(maxsize=None)
def in_tasks() -> frozenset[Message]:
    """Return the failures that tasks of roles and playbooks tell."""
    found = set()
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("playbooks/tasks/*.yml")]
    for path in files:
        inner = path.parents[1] / "vars/main.yml"
        of_role = yaml.safe_load(inner.read_text()) if inner.exists() else {}
        for task in _tasks(yaml.safe_load(path.read_text())):
            for module, key in (("fail", "msg"), ("assert", "fail_msg")):
                text = (task.get(f"ansible.builtin.{module}") or {}).get(key, "")
                values = {**of_role, **task.get("vars", {})}
                parts = [text, *(values.get(name) for name in re.findall(r"__\w+", text))]
                found |= {Message(str(path.relative_to(ROOT)), _plain(one)) for one in parts if isinstance(one, str)}
    return frozenset(found)


@functools.lru_cache(maxsize=None)
def every() -> list[Message]:
    """Return every failure that says something of itself, by file and text."""
    found = in_plugins() | in_tasks()
    return sorted(one for one in found if len(re.findall(r"\w+", re.sub("<[^>]*>", "", one.text))) >= FEWEST)


def _marked(text: str) -> str:
    """Return a string for a cell of a table, with the names of values in italics."""
    text = re.sub(r"([*|])", r"\\\1", text)
    return re.sub(r"<([^>]+)>", r"*\1*", text)


def page() -> str:
    """Return docs/messages.md.

    Raises:
        LookupError: a file with messages stands in no section.
    """
    messages = every()
    lines = [INTRODUCTION]
    for title, files in SECTIONS.items():
        cells = {one.halves for one in messages if fnmatches(one.file, files)}
        lines += [f"\n## {title}\n", "| It says | Do |", "| --- | --- |"]
        lines += [f"| {_marked(cause)} | {_marked(step)} |" for cause, step in sorted(cells)]
    homeless = {one.file for one in messages if not fnmatches(one.file, itertools.chain(*SECTIONS.values()))}
    if homeless:
        raise LookupError(f"SECTIONS names no place for the messages of {', '.join(sorted(homeless))}")
    return "\n".join(lines) + "\n"


def fnmatches(file: str, patterns: Iterable[str]) -> bool:
    """Return whether a file is one of those that patterns name, from its folder on."""
    return any(fnmatch.fnmatch(f"/{file}", f"*/{pattern}") for pattern in patterns)


def faults(text: str) -> list[str]:
    """Return what a message of ours must not have, and has; the output of others comes after its own words."""
    own = re.split(r"\nIts last |Git said: |: *\n", text)[0]
    sentences = [one for one in re.split(r"(?<=[.?]) ", own) if one.count(" ") > 1]
    found = {
        "a class of Python": re.search(
            r"\b_?[A-Z]\w*[a-z](Error|Exception|Tagged\w+)\b|Traceback|<class|NoneType", own
        ),
        "a backslash and an n": re.search(r"\\n", own),
        "two full stops": re.search(r"(?<![./])\.\.(?![./])", own),
        "Error executing command": re.search(r"Error executing command", own),
        "a remedy that nobody has worded": re.search(f"[{OPEN}{CLOSE}]", text),
        "a sentence twice": len(sentences) > len(set(sentences)),
        "a role's variable": [name for name in re.findall(r"(?<![\w/.{-])[a-z]+_[a-z0-9_]+", own) if name in hidden()],
    }
    return [f"{fault}: {text}" for fault, there in found.items() if there]


@functools.lru_cache(maxsize=None)
def hidden() -> set[str]:
    """Return the variables of roles that no inventory has; stack_image is for who uses the role alone."""
    files = (ROOT / "roles").glob("*/defaults/main.yml")
    names = {name for path in files for name in yaml.safe_load(path.read_text(encoding="utf-8"))}
    return {name for name in names if not name.startswith("docker_vps_")} - {"stack_image"}


if __name__ == "__main__":
    sys.stdout.write(page())
