# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed image build says, in a sentence and a few lines.

In BuildKit's plain progress each line begins with the number of its step: its name, its output with the seconds since
it began, and at last ``#8 ERROR: …`` for the step that failed. What it repeats at its end is only the end of that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .environment import ACTIONS_KEY
from .logs import CONTROL
from .remedies import setting
from .text import counted

_LOST = "ERROR: failed to receive status: "
_KILLED = (
    "the build was killed, most likely because the host ran out of memory; add swap, or build on a larger machine, "
    f"which {setting('build_on')} names"
)
_CAUSES = (
    # What the role's docker.sh adds.
    (
        "The build was ended after ",
        f"the build took longer than {setting('build_timeout')} allows, and was ended; raise that, or take a larger "
        "machine",
    ),
    (
        "no space left on device",
        "the disk of the host is full; free some with: docker builder prune --all",
    ),
    (
        " > resolve image config for ",  # at the end, where only the step that failed stands
        "what the line # syntax= of the Dockerfile names cannot be pulled; check the host's network, or leave that "
        "line out, as the host's own builder may do",
    ),
    (
        "failed to resolve source metadata",
        f"its base image is neither on the host nor can it be pulled; check {setting('base_image')}, or FROM in a "
        "Dockerfile of the application's own, and the host's network",
    ),
    (
        "failed to solve: target stage ",
        f"the Dockerfile has no stage of the name that {setting('build_target')} says; correct one of the two",
    ),
    (
        "failed to solve: dockerfile parse error",
        "the Dockerfile is invalid; correct the line that the builder names below",
    ),
    (
        "failed to solve: secret ",
        f"the Dockerfile requires a secret that {setting('build_secrets')} does not give by that id; give it there",
    ),
    (
        "code ERESOLVE",  # after "npm error", or "npm ERR!" before npm 10
        "npm finds no versions that are compatible with each other; see what it says below, and settle it with "
        "overrides in package.json, or with legacy-peer-deps=true in an .npmrc that the Dockerfile copies",
    ),
    (
        "npm ci` can only install",
        "package.json and package-lock.json do not agree; run npm install and commit the lockfile",
    ),
    (
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        f"a certificate is not trusted; behind a proxy that inspects TLS, name its CA with {setting('build_ca')}",
    ),
    (
        "ERR_PNPM_OUTDATED_LOCKFILE",
        "package.json and pnpm-lock.yaml do not agree; run pnpm install and commit the lockfile",
    ),
    (
        "ERR_PNPM_IGNORED_BUILDS",
        "pnpm runs no build scripts of packages that nobody has approved; see below which, run pnpm approve-builds, "
        "and commit what it writes",
    ),
    (
        "The lockfile would have been modified by this install",  # Yarn 2 and newer
        "package.json and yarn.lock do not agree; run yarn install and commit the lockfile",
    ),
    (
        "Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`",  # Yarn 1
        "package.json and yarn.lock do not agree; run yarn install and commit the lockfile",
    ),
    (
        "error: lockfile had changes, but lockfile is frozen",
        "package.json and the lockfile of Bun do not agree; run bun install and commit the lockfile",
    ),
    ("failed to stat", f"a file that the build needs is not on the host; check {setting('build_ca')}"),
    ("ENOTFOUND", "the host cannot resolve the package registry's name; check its DNS"),
    (
        "JavaScript heap out of memory",
        f"the build ran out of memory; add swap, or build on a larger machine, which {setting('build_on')} names",
    ),
    ("exit code: 137", _KILLED),
    ("SIGKILL", _KILLED),  # of a worker, for which the build itself ends with 1
    (
        _LOST,
        "the engine ended meanwhile: it was restarted, or killed because the host ran out of memory (journalctl --unit "
        f"docker tells); add swap then, or build on a larger machine, which {setting('build_on')} names",
    ),
)


# A build may print its environment.
_KEY = re.compile(rf"({ACTIONS_KEY}\W{{1,4}})[A-Za-z0-9+/=]{{22,}}")
_REFUSED = re.compile(r"refused before anything is installed: (.*)")  # by the role's own scripts
_FAILED = re.compile(r"^#(\d+) ERROR: ", re.MULTILINE)
_CANCELED = re.compile(r"^#(\d+) CANCELED", re.MULTILINE)  # so are others when one fails
_AT_WORK = re.compile(rf"^#(\d+) .*\n+{_LOST}", re.MULTILINE)
_OUTPUT = r"^#{0} \d+\.\d+ ?(.*)$"
_NAME = r"^#{0} (\[.*)$"
_MOUNT = re.compile(r"--(?:mount|network|security)=\S+ ")
_ERROR = re.compile(r"\berr(or|!)|\bfail(ed|ure)?\b|\bfatal\b|exception|cannot |could not |not found", re.IGNORECASE)
_TALK = re.compile(
    r"npm (notice|warn)|^\s*at .*[:(]|\b0 errors?\b|--", re.IGNORECASE
)  # which may name errors, and is none
_LONGEST_NAME = 300  # characters
_WAITS = "Another build is running on this host."  # of the role's docker.sh
_STEP = re.compile(r"^#(\d+) (.*)$", re.MULTILINE)
_NO_STEP = re.compile(r"building with |\.\.\.$|\d+\.\d+(?: |$)")  # the builder, a change between steps, output
_ENDED = re.compile(r"(?:DONE|CACHED|CANCELED|ERROR)\b")


@dataclass(frozen=True)
class BuildFailure:
    """Why a build failed: the step, the cause when it is a known one, and lines from its first error and its end."""

    step: str
    cause: str
    lines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The failure in one sentence."""
        return f"the step {self.step} failed" + (f": {self.cause}" if self.cause else "")


def failure(log: str, lines: int) -> BuildFailure:
    """Read the log of a failed build and keep at most ``lines`` lines of the failing step.

    Those are the first error with what follows it, and the end. They hold no colours, and nothing else for a terminal.
    """
    log = "\n".join(CONTROL.sub("", line) for line in _KEY.sub(r"\1…", log).split("\n"))
    refused = _REFUSED.search(log)
    cause = refused[1] if refused else next((explanation for sign, explanation in _CAUSES if sign in log), "")
    failed = _FAILED.search(log) or _CANCELED.search(log) or _AT_WORK.search(log)
    name = failed and re.search(_NAME.format(failed[1]), log, re.MULTILINE)
    if not failed or not name:
        last = [line for line in log.strip().splitlines() if line.strip()]
        return BuildFailure("of the builder before the first line of the Dockerfile", cause, tuple(last[-lines:]))
    output = re.findall(_OUTPUT.format(failed[1]), log, re.MULTILINE)
    return BuildFailure(_shown(name[1]), cause, tuple(_worth_reading([line for line in output if line.strip()], lines)))


def values_of(secrets: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of build secrets by their ids; one that is a file of the host has none here."""
    return {name: given if isinstance(given, str) else given.get("value", "") for name, given in secrets.items()}


def under_way(log: str) -> str:
    """Return the step that a build is at, of several at once the one begun last; empty when none is.

    The log may lack the output of steps, which is not read.
    """
    names: dict[str, str] = {}
    ended = set()
    for number, text in _STEP.findall(log):
        if _ENDED.match(text):
            ended.add(number)
        elif not _NO_STEP.match(text):
            names.setdefault(number, text)
    at_work = [name for number, name in names.items() if number not in ended]
    if at_work:
        return _shown(at_work[-1])
    return "waits for another build on this host" if not names and _WAITS in log else ""


def _shown(name: str) -> str:
    """Return the name of a step with its command, without options that stand before it."""
    name = _MOUNT.sub("", name.strip())
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _worth_reading(output: Sequence[str], most: int) -> Sequence[str]:
    """Return the first error with what follows it and the end, when not all is few enough."""
    if len(output) <= most:
        return output
    signs = (place for place, line in enumerate(output) if _ERROR.search(line) and not _TALK.search(line))
    first, end = next(signs, len(output)), most // 3
    begin = max(0, min(first, len(output) - most))
    if begin + most >= len(output) or most < 3:
        return output[-most:]
    return [
        *output[begin : begin + most - end - 1],
        f"… ({counted(len(output) - begin - most + 1, 'more line')})",
        *output[-end:],
    ]
