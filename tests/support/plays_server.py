# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Ansible once, and fork a process for each play: half of what a short play costs is imports.

Started by plays.py in the directory and with the variables ANSIBLE_… of the plays, which Ansible reads while it is
imported; its argument is the number of a socket. Ends when the other end of that is closed.

A message holds the arguments and the whole environment of a play. With it come two open files: one for what the play
writes, and one for the answer, which is the number of its process, and then the code with which it ended. The play
begins where the command ansible-playbook does, in a process in which nothing was run before.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import sys
import warnings
from typing import Any, Mapping

from ansible import constants
from ansible.cli.playbook import main
from ansible.plugins import loader
from ansible.utils.path import cleanup_tmp_file


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


def serve(control: socket.socket) -> list[str]:
    """Fork a process for each message; return in each of these with the arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, 1 << 20, 2)
        if not message:
            shutil.rmtree(constants.DEFAULT_LOCAL_TMP, ignore_errors=True)
            os._exit(0)
        if os.fork() == 0:
            break
        for one in descriptors:
            os.close(one)
    # Somebody has to wait for the play, and the loop above has no time for it.
    control.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, answer = descriptors
    play = os.fork()
    if play:
        os.close(out)
        os.write(answer, f"{play}\n".encode())
        _pid, status = os.waitpid(play, 0)
        os.write(answer, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(answer)
    return begun(out, json.loads(message))


def begun(out: int, asked: Mapping[str, Any]) -> list[str]:
    """Make this process one that a shell would have started, and return the arguments."""
    for target in (1, 2):
        os.dup2(out, target)
    os.close(out)
    os.environ.clear()
    os.environ.update(asked["environment"])
    arguments: list[str] = asked["arguments"]
    return arguments


if __name__ == "__main__":
    del sys.path[0]  # our own helpers, which a play must not find
    preload()
    # The directory for temporary files is the one of all plays, so that a module is packed for the first of them only.
    atexit.unregister(cleanup_tmp_file)
    sys.argv = serve(socket.socket(fileno=int(sys.argv[1])))
    main(sys.argv)
