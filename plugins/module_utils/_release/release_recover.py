# SPDX-License-Identifier: GPL-3.0-or-later
"""Recover what an interrupted cutover left, and put the files of what is live back."""

from __future__ import annotations

from typing import Any

from .cutover import recover_left
from .cutover_state import CutoverWorld


def run(app: str, put_back: bool, world: CutoverWorld, check_mode: bool) -> dict[str, Any]:
    """Recover, and return what became of each release.

    Raises:
        DockerVpsError: something is under way for too long, the engine does not answer, or no release was ever live.
    """
    left = world.releases.unfinished()
    if check_mode:
        recovered, summary = left, [f"Release {release_id} would be recovered." for release_id in left]
        files = world.releases.unreleased() if put_back else []
    else:
        done = recover_left(app, world) if left else []
        recovered, summary = [recovery.release.id for recovery in done], [recovery.summary for recovery in done]
        files = world.releases.put_back() if put_back else []
    verb = "would be put" if check_mode else "was put"
    summary += [
        f"{path} was not what is live, so that of release {world.releases.current()} {verb} back." for path in files
    ]
    return {"changed": bool(recovered or files), "recovered": recovered, "put_back": files, "summary": summary}
