# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed image build says, in a sentence and its last lines.

BuildKit's plain progress ends with the failing step between two rulers of dashes, the place
in the Dockerfile, and a line ``ERROR: failed to solve: …``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RULER = re.compile(r"^------$", re.MULTILINE)
_CAUSES = (
    (
        "no space left on device",
        "the disk of the host is full; free some with: docker builder prune --all",
    ),
    (
        "failed to resolve source metadata",
        "its base image is neither on the host nor can it be pulled; check image_base and the host's network",
    ),
    (
        "npm ci` can only install",
        "package.json and package-lock.json do not agree; run npm install and commit the lockfile",
    ),
    (
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "a certificate is not trusted; behind a proxy that inspects TLS, name its CA with image_build_ca",
    ),
    ('"/package-lock.json": not found', "the sources have no package-lock.json; run npm install and commit it"),
    ("failed to stat", "a file that the build needs is not on the host; check image_build_ca"),
    ("ENOTFOUND", "the host cannot resolve the package registry's name; check its DNS"),
    ("JavaScript heap out of memory", "the build ran out of memory; add swap, or build on a larger machine"),
    ("exit code: 137", "the build was killed, most likely because the host ran out of memory; add swap"),
)


@dataclass(frozen=True)
class BuildFailure:
    """Why a build failed: the step, the cause when it is a known one, the last lines."""

    step: str
    cause: str
    lines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The failure in one sentence."""
        return f"the step {self.step} failed" + (f": {self.cause}" if self.cause else "")


def failure(log: str, lines: int) -> BuildFailure:
    """Read the log of a failed build and keep at most ``lines`` lines of the failing step."""
    cause = next((told for sign, told in _CAUSES if sign in log), "")
    parts = _RULER.split(log)
    step = [line for line in (parts[-2] if len(parts) >= 3 else "").strip().splitlines() if line.strip()]
    if step:
        name = step[0].strip().lstrip("> ").rstrip(":")
        return BuildFailure(name[:160], cause, tuple(step[1:][-lines:]))
    last = [line for line in log.strip().splitlines() if line.strip()]
    return BuildFailure("of the builder before the first line of the Dockerfile", cause, tuple(last[-lines:]))
