# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package manager installs the dependencies of an application, and in which version.

The field ``packageManager`` of package.json decides (https://nodejs.org/api/packages.html#packagemanager), and without
it the only lockfile that is there. Nothing is guessed: what is not clear is a problem, told before anything is built.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Collection, Mapping, NamedTuple, Optional, Sequence

from .dockerfile import NAME
from .errors import InvalidInput
from .text import listed

LOCKFILES: Mapping[str, Sequence[str]] = {
    "npm": ("package-lock.json", "npm-shrinkwrap.json"),
    "pnpm": ("pnpm-lock.yaml",),
    "yarn": ("yarn.lock",),
    "bun": ("bun.lock", "bun.lockb"),
}
_EXAMPLES = {"npm": "npm@10.9.2", "pnpm": "pnpm@10.4.1", "yarn": "yarn@4.5.0", "bun": "bun@1.2.2"}
# The newest that reads a format of pnpm-lock.yaml.
_PNPM = {"6": "pnpm@9", "9": "pnpm@10"}
_YARN_CLASSIC = "yarn@1.22.22"  # the last one
_VERSION = r"(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)"
_FIELD = re.compile(rf"(npm|pnpm|yarn|bun)@{_VERSION}(?:\+(sha(?:1|224|256|384|512)\.[0-9a-f]+))?")
_YARN_PATH = re.compile(r"""^yarnPath:\s*["']?([^"'#\n]+?)["']?\s*(?:#.*)?$""", re.MULTILINE)
_PNPM_FORMAT = re.compile(r"^lockfileVersion:\s*['\"]?(\d+)", re.MULTILINE)

Text = Callable[[str], Optional[str]]


@dataclass(frozen=True)
class PackageManager:
    """What installs the dependencies.

    Attributes:
        name: npm, pnpm, yarn or bun.
        package: what npm gets it from; empty when it is the npm of the base image, or ``program``.
        program: a file of the sources that is it.
        integrity: the hash that packageManager wants, as ``sha512.0123…``; empty when it wants none.
        lockfile: the one that counts.
        cautions: what is unusual, in sentences.
        problem: why the dependencies cannot be installed, in sentences; empty when they can.
    """

    name: str
    package: str = ""
    program: str = ""
    integrity: str = ""
    lockfile: str = ""
    cautions: tuple[str, ...] = ()
    problem: str = ""

    def facts(self) -> dict[str, Any]:
        """Return all of it as a module returns it."""
        return {**asdict(self), "cautions": list(self.cautions)}


class _Wanted(NamedTuple):
    """What packageManager says."""

    name: str
    version: str
    integrity: str


def manager_of(names: Collection[str], text: Text) -> PackageManager:
    """Return what installs the dependencies of sources; npm for those with a Dockerfile, which has its own ways.

    Args:
        names: what is at the top of the sources.
        text: returns the content of one of their files, None when it is not there.
    """
    if NAME in names:
        return PackageManager("npm")
    lockfiles = {name: [file for file in files if file in names] for name, files in LOCKFILES.items()}
    present = {name: files for name, files in lockfiles.items() if files}
    try:
        return _manager_of(present, names, text)
    except InvalidInput as problem:
        return PackageManager("npm", problem=problem.message)


def _manager_of(present: Mapping[str, Sequence[str]], names: Collection[str], text: Text) -> PackageManager:
    wanted = _wanted(text)
    name = wanted.name if wanted else _only(present, names)
    if name not in present:
        raise InvalidInput(_without_lockfile(name, present))
    integrity = wanted.integrity if wanted else ""
    made = replace(_installer(name, wanted, present[name][0], text), lockfile=present[name][0], integrity=integrity)
    ignored = [file for other, files in present.items() if other != name for file in files]
    if not ignored:
        return made
    verb = "is" if len(ignored) == 1 else "are"
    caution = f"package.json names {name} as its package manager, so {listed(ignored)} {verb} ignored."
    return replace(made, cautions=(caution,))


def _wanted(text: Text) -> Optional[_Wanted]:
    """Return what package.json wants, None when it wants nothing."""
    try:
        manifest = json.loads(text("package.json") or "{}")
    except ValueError as error:
        raise InvalidInput(f"package.json is not JSON: {error}. Correct it and commit it.") from error
    field = manifest.get("packageManager") if isinstance(manifest, dict) else None
    if not field:
        return None
    match = _FIELD.fullmatch(str(field))
    if not match:
        raise InvalidInput(
            f"packageManager in package.json is {json.dumps(field)}, which is none of npm, pnpm, yarn and bun with an "
            f'exact version. Write it as "{_EXAMPLES["pnpm"]}".'
        )
    return _Wanted(match[1], match[2], match[3] or "")


def _only(present: Mapping[str, Sequence[str]], names: Collection[str]) -> str:
    """Return the only package manager of which there is a lockfile."""
    if len(present) > 1:
        several = listed([name for files in present.values() for name in files])
        raise InvalidInput(
            f"There are {several}, and package.json does not say which counts. Remove those that are not kept up to "
            f'date, or add "packageManager": "{_EXAMPLES[next(iter(present))]}", or such, to package.json.'
        )
    if present:
        return next(iter(present))
    if "package.json" not in names:
        raise InvalidInput(
            "There is no package.json at their top, and no Dockerfile. Correct where they are, or bring a Dockerfile."
        )
    raise InvalidInput(
        "There is no lockfile: package-lock.json of npm, pnpm-lock.yaml of pnpm, yarn.lock of Yarn, or bun.lock of "
        "Bun. Make one by installing with one of these and commit it, or bring a Dockerfile."
    )


def _without_lockfile(name: str, present: Mapping[str, Sequence[str]]) -> str:
    others = listed([file for files in present.values() for file in files])
    return (
        f"packageManager in package.json names {name}, but there is no {LOCKFILES[name][0]}"
        f"{f', only {others}' if others else ''}. Make it with {name} install and commit it, or name the package "
        "manager whose lockfile is there."
    )


def _installer(name: str, wanted: Optional[_Wanted], lockfile: str, text: Text) -> PackageManager:
    if name == "yarn":
        return _yarn(wanted, text(lockfile) or "", text)
    if wanted:
        return PackageManager(name, f"{name}@{wanted.version}")
    if name == "pnpm":
        return PackageManager(name, _pnpm(text(lockfile) or ""))
    return PackageManager(name, "bun@1" if name == "bun" else "")


def _pnpm(lockfile: str) -> str:
    match = _PNPM_FORMAT.search(lockfile)
    if not match or match[1] not in _PNPM:
        what = f"lockfileVersion {match[1]}" if match else "no lockfileVersion"
        raise InvalidInput(
            f"pnpm-lock.yaml has {what}, and which pnpm reads that is not known here. Add "
            f'"packageManager": "{_EXAMPLES["pnpm"]}", or such, to package.json.'
        )
    return _PNPM[match[1]]


def _yarn(wanted: Optional[_Wanted], lockfile: str, text: Text) -> PackageManager:
    """Return Yarn 1, or the newer one, whose lockfiles differ."""
    classic = "__metadata:" not in lockfile
    if wanted and classic != wanted.version.startswith("1."):
        kind = "Yarn 1" if classic else "Yarn 2 or newer"
        raise InvalidInput(
            f"packageManager in package.json is yarn@{wanted.version}, but yarn.lock is one of {kind}. Make it again "
            "with yarn install and commit it, or correct packageManager."
        )
    if classic:
        return PackageManager("yarn", f"yarn@{wanted.version}" if wanted else _YARN_CLASSIC)
    program = _program(text)
    if wanted:
        return PackageManager("yarn", f"@yarnpkg/cli-dist@{wanted.version}")
    if program:
        return PackageManager("yarn", program=program)
    raise InvalidInput(
        "yarn.lock is one of Yarn 2 or newer, and nothing says of which. Add "
        f'"packageManager": "{_EXAMPLES["yarn"]}", or such, to package.json.'
    )


def _program(text: Text) -> str:
    """Return what yarnPath names, which Yarn of any version runs in its place; empty when it names nothing."""
    match = _YARN_PATH.search(text(".yarnrc.yml") or "")
    if match and text(match[1]) is None:
        raise InvalidInput(
            f"yarnPath in .yarnrc.yml names {match[1]}, which is not among the sources. Commit that file, or remove "
            "the line and name the version as packageManager in package.json."
        )
    return match[1] if match else ""
