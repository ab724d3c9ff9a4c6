# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a backup set with the real engine, as a process of its own that a test can kill.

    make_backup.py '{"directory": …, "volumes": {…}}'

Says "ready" before it begins. The last line is JSON: the result or the error, the peak memory of the backup above
what the interpreter with its imports takes (bytes), and the seconds.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.backup import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets


def memory(name: str) -> int:
    """Return a figure of this process's memory in bytes; VmHWM is the peak (proc(5))."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def main(given: dict[str, Any]) -> None:
    """Make it."""
    address, sets = Address(given.pop("url", Address().url)), Sets(given.pop("directory"), "shop")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    before, began = memory("VmRSS"), time.monotonic()
    try:
        result = run(Params(app="shop", **given), sets, lambda: Engine.connect(address), SystemClock(), False)
    except DockerVpsError as error:
        result = {"error": error.message}
    result["memory"], result["seconds"] = memory("VmHWM") - before, time.monotonic() - began
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
