# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Ansible once, and fork a process for each play: half of what a short play costs is imports.

Started by plays.py in the directory and with the variables ANSIBLE_… of the plays, which Ansible reads while it is
imported. Its arguments are the number of a listening socket, and that of a process with whose end it ends.

A message holds the arguments, the directory and the whole environment of a play, and with it comes an open file for
what the play writes. The answers are the number of its process, and then the code with which it ended. The play begins
where the command ansible-playbook does, in a process in which nothing was run before; with other variables ANSIBLE_… it
becomes that command.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any, Mapping

from ansible import constants
from ansible.cli.playbook import main
from ansible.plugins import loader
from ansible.utils.path import cleanup_tmp_file

SETTINGS = {name: text for name, text in os.environ.items() if name.startswith("ANSIBLE_")}


def preload() -> None:
    """Load what a play would load first; nothing of it depends on the play."""
    loader.init_plugin_loader()
    # Each play does that too, and is told that it has been done.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    # Each brings documentation that is parsed for its settings.
    for kind in ("become", "callback", "connection", "inventory", "shell", "strategy"):
        list(getattr(loader, f"{kind}_loader").all(class_only=True))
    for kind in ("filter", "test"):
        list(getattr(loader, f"{kind}_loader").all())


def serve(listening: socket.socket, until: int) -> list[str]:
    """Fork a process for each connection; return in each of these with the arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while listening in select.select([listening, until], [], [])[0]:
        connection, _address = listening.accept()
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
    message, (out,), _flags, _sender = socket.recv_fds(connection, 1 << 20, 1)
    play = os.fork()
    if play:
        os.close(out)
        connection.send(str(play).encode())
        _pid, status = os.waitpid(play, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    return begun(out, json.loads(message))


def begun(out: int, asked: Mapping[str, Any]) -> list[str]:
    """Make this process one that a shell would have started, and return the arguments."""
    for target in (1, 2):
        os.dup2(out, target)
    os.close(out)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    arguments: list[str] = asked["arguments"]
    if {name: text for name, text in os.environ.items() if name.startswith("ANSIBLE_")} != SETTINGS:
        os.execv(Path(sys.executable).with_name(arguments[0]), arguments)
    return arguments


if __name__ == "__main__":
    del sys.path[0]  # our own helpers, which a play must not find
    preload()
    # The directory for temporary files is the one of all plays, so that a module is packed for the first of them only.
    atexit.unregister(cleanup_tmp_file)
    sys.argv = serve(socket.socket(fileno=int(sys.argv[1])), os.pidfd_open(int(sys.argv[2])))
    main(sys.argv)
