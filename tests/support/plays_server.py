# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Ansible once, and fork a process for each play: half of what a short play costs is imports.

Started by plays.py in the directory and with the variables ANSIBLE_… of the plays, which Ansible reads while it is
imported. Its arguments are the number of a listening socket, and that of a process with whose end it ends.

A message holds the arguments, the directory and the whole environment of a play, and with it come two open files, for
its output and its errors. The answers are the number of its process, and then the code with which it ended. The play
begins where the command ansible-playbook does, in a process in which nothing was run before; with other variables
ANSIBLE_… it becomes that command.

Modules that the play runs on this machine with this Python are forked as well, each into a process that has imported
what Python, the Docker SDK and Ansible have for modules, and nothing of what Ansible has for a controller. What is of
the collection comes with the module. What is compiled of it and of templates is kept, see site/sitecustomize.py, and
so is what modules are packed into.
"""

from __future__ import annotations

import sys

del sys.path[0]  # our own helpers, which a play must not find
FINDERS, HOOKS, PATH = list(sys.meta_path), list(sys.path_hooks), list(sys.path)

import atexit
import gc
import hashlib
import importlib
import json
import os
import pickle
import select
import shutil
import signal
import socket
import traceback
import types
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Callable, Mapping, NoReturn, Optional, Sequence

import sitecustomize

FILTERS = list(warnings.filters)
FOR_MODULES = (
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils._internal._json._profiles._module_legacy_c2m",
    "ansible.module_utils._internal._json._profiles._module_legacy_m2c",
)


def imported() -> dict[str, types.ModuleType]:
    """Import what each module has of Ansible and return it, by name; afterwards nothing of Ansible is imported."""
    for name in FOR_MODULES:
        importlib.import_module(name)
    names = [name for name in sys.modules if name.partition(".")[0] == "ansible"]
    return {name: sys.modules.pop(name) for name in names}


OF_MODULES = imported()

import jinja2
from ansible import constants
from ansible._internal._templating._jinja_bits import (
    _TEMPLATE_OVERRIDE_FIELD_NAMES,
    AnsibleEnvironment,
    _TemplateCompileContext,
)
from ansible.cli.playbook import main
from ansible.parsing import dataloader
from ansible.plugins import loader
from ansible.plugins.connection import local
from ansible.release import __version__
from ansible.utils.path import cleanup_tmp_file
from jinja2.environment import TemplateExpression

MODULE = f"/bin/sh -c '{sys.executable} && sleep 0'"  # as the connection is asked to run one
VERSIONS = (__version__, jinja2.__version__)
SETTINGS = {name: text for name, text in os.environ.items() if name.startswith("ANSIBLE_")}


def preload() -> None:
    """Load what a play would load first; nothing of it depends on the play."""
    importlib.import_module("docker")  # modules do, and of what they import it takes longest
    loader.init_plugin_loader()
    # Each play does that too, and is told that it has been done.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    # Each brings documentation that is parsed for its settings.
    for kind in ("become", "callback", "connection", "inventory", "shell", "strategy"):
        list(getattr(loader, f"{kind}_loader").all(class_only=True))
    for kind in ("filter", "test"):
        list(getattr(loader, f"{kind}_loader").all())


def share_packed_modules() -> None:
    """Have modules packed once for all servers, as long as no plugin of a collection changes."""
    folders = [Path(path, "ansible_collections") for path in constants.COLLECTIONS_PATHS]
    plugins = sorted(path for folder in folders for path in folder.glob("*/*/plugins/**/*.py"))
    looks = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in plugins]
    digest = hashlib.sha256(repr((VERSIONS, sys.executable, looks)).encode()).hexdigest()
    packed = Path(os.environ["COMPILED_ZIPS"]).with_name("packed") / digest
    packed.mkdir(parents=True, exist_ok=True)
    Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(packed)


def copied(value: Any) -> Any:
    """Do what ``copy.deepcopy`` does with what was read from YAML, in a fifth of its time."""
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def template_code(environment: AnsibleEnvironment, kind: str, source: str, make: Callable[[], Any]) -> Any:
    """Return what Jinja compiles of a source, which depends on nothing else than what is named here."""
    context = _TemplateCompileContext.current(optional=True)
    settings = [getattr(environment, name) for name in _TEMPLATE_OVERRIDE_FIELD_NAMES]
    key = repr((VERSIONS, kind, str(source), settings, context and context.escape_backslashes))
    return sitecustomize.kept(hashlib.sha256(key.encode()).hexdigest(), make)


def compile_template(environment: AnsibleEnvironment, source: Any, *arguments: Any, **named: Any) -> Any:
    """Do what ``Environment.compile`` does, once for each source."""
    if isinstance(source, str) and not arguments and not named:
        return template_code(environment, "template", source, lambda: compile_(environment, source))
    environment.__dict__["compiled"] = code = compile_(environment, source, *arguments, **named)
    return code


def compile_expression(environment: AnsibleEnvironment, source: str, undefined_to_none: bool = True) -> Any:
    """Do what ``Environment.compile_expression`` does, once for each source."""

    def make() -> Any:
        expression(environment, source)
        return environment.__dict__.pop("compiled")

    code = template_code(environment, "expression", source, make)
    template = environment.template_class.from_code(environment, code, environment.make_globals(None))
    return TemplateExpression(template, undefined_to_none)


def exec_command(
    connection: local.Connection, cmd: str, in_data: Optional[bytes] = None, sudoable: bool = True
) -> tuple[int, bytes, bytes]:
    """Fork a process for a module instead of starting Python; everything else is done as by the connection itself."""
    if in_data is None or cmd != MODULE:
        return execute(connection, cmd, in_data=in_data, sudoable=sudoable)  # type: ignore[no-any-return]
    given, out, err = (open(os.memfd_create(name), "w+b") for name in ("in", "out", "err"))  # noqa: SIM115
    with given, out, err:
        given.write(in_data)
        given.seek(0)
        child = os.fork()
        if child == 0:
            run(given.fileno(), out.fileno(), err.fileno(), connection.cwd or os.getcwd())
        _pid, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), _all(out), _all(err)


def _all(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def run(given: int, out: int, err: int, place: str) -> NoReturn:
    """Be the Python that has just been started and is given a program on its standard input; never return."""
    code = 1
    try:
        for number, target in enumerate((given, out, err)):
            os.dup2(target, number)
        os.chdir(place)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115
        atexit._clear()
        warnings.filters[:] = FILTERS  # type: ignore[index]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("ansible", "ansible_collections")]:
            del sys.modules[name]
        sys.modules.update(OF_MODULES)
        sys.meta_path[:], sys.path_hooks[:], sys.path[:] = FINDERS, HOOKS, ["", *PATH]
        sys.path_importer_cache.clear()
        sys.argv = [""]
        main_module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec"), main_module.__dict__)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for file in (sys.stdout, sys.stderr):
            file.flush()
        os._exit(code)


def serve(listening: socket.socket, until: int) -> list[str]:
    """Fork a process for each connection; return in each of these with the arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while listening in select.select([listening, until], [], [])[0]:
        connection, _address = listening.accept()
        sitecustomize.load()
        if os.fork() == 0:
            break
        connection.close()
    else:
        place = listening.getsockname()
        shutil.rmtree(constants.DEFAULT_LOCAL_TMP, ignore_errors=True)
        shutil.rmtree(Path(place).parent, ignore_errors=True)
        os._exit(0)
    listening.close()
    os.close(until)
    # Somebody has to wait for the play, and the loop above has no time for it.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, outputs, _flags, _sender = socket.recv_fds(connection, 1 << 20, 2)
    play = os.fork()
    if play:
        for output in outputs:
            os.close(output)
        connection.send(str(play).encode())
        _pid, status = os.waitpid(play, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    return begun(outputs, json.loads(message))


def begun(outputs: Sequence[int], asked: Mapping[str, Any]) -> list[str]:
    """Make this process one that a shell would have started, and return the arguments."""
    for target, output in enumerate(outputs, start=1):
        os.dup2(output, target)
        os.close(output)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    arguments: list[str] = asked["arguments"]
    if {name: text for name, text in os.environ.items() if name.startswith("ANSIBLE_")} != SETTINGS:
        os.execv(Path(sys.executable).with_name(arguments[0]), arguments)
    return arguments


if __name__ == "__main__":
    preload()
    execute, local.Connection.exec_command = local.Connection.exec_command, exec_command
    dataloader.copy = types.SimpleNamespace(deepcopy=copied)  # type: ignore[assignment]
    share_packed_modules()
    compile_, AnsibleEnvironment.compile = AnsibleEnvironment.compile, compile_template
    expression, AnsibleEnvironment.compile_expression = AnsibleEnvironment.compile_expression, compile_expression
    # The directory for temporary files is the one of all plays, so that a module is packed for the first of them only.
    atexit.unregister(cleanup_tmp_file)
    # What is here is never garbage, and a look at it would copy its pages into each process.
    gc.freeze()
    gc.disable()
    sys.argv = serve(socket.socket(fileno=int(sys.argv[1])), os.pidfd_open(int(sys.argv[2])))
    main(sys.argv)
