# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a set of a volume, with nothing imported that this does not need, since the start of a process counts.

python benchmarks/one_set.py VOLUME DIRECTORY COMPRESSION STORE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".ansible/collections"))

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import sdk
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets


def engine() -> sdk.Engine:
    """Return this machine's engine."""
    return sdk.Engine.connect(sdk.Address(os.environ.get("DOCKER_HOST", sdk.DEFAULT_ADDRESS)))


def make_set(
    volume: str, directory: str, kind: str, without: Sequence[str] = (), store: str = "files"
) -> dict[str, Any]:
    """Back up a volume, as if some Python packages were not installed."""
    sys.modules.update(dict.fromkeys(without))
    params = backup.Params("bench", {"data": volume}, kind, store)
    return backup.run(params, Sets(directory, "bench"), engine, sdk.SystemClock(), False)["set"]


if __name__ == "__main__":
    make_set(sys.argv[1], sys.argv[2], sys.argv[3], store=sys.argv[4])
