# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the env file of an application, and keep the one before."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from .._core import dotenv, environment
from .._core.environment import SECRET
from .._core.errors import DockerVpsError, InvalidInput
from . import files

HEADER = "Written by ptnextjs.docker_vps from the inventory: changes made here are lost at the next deploy."
MODE = 0o600
EXPANDED = "\0"  # what no value is


@dataclass(frozen=True)
class Params:
    """What to write where, owner and group as numbers; ``rotate`` is whether the secret has to be another one."""

    path: str
    values: Mapping[str, str]
    data_mount: str
    uid: int
    gid: int
    example: bool
    rotate: bool = False


def user_id(name: str) -> int:
    """Return the number of a user.

    Raises:
        InvalidInput: there is none of that name.
    """
    return _number(name, lambda known: pwd.getpwnam(known).pw_uid, "user")


def group_id(name: str) -> int:
    """Return the number of a group.

    Raises:
        InvalidInput: there is none of that name.
    """
    return _number(name, lambda known: grp.getgrnam(known).gr_gid, "group")


def _number(name: str, lookup: Callable[[str], int], kind: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return lookup(name)
    except KeyError:
        raise InvalidInput(
            f"There is no {kind} {name} on this host to own the env file. Make it, or name another."
        ) from None


def run(params: Params, new_secret: Callable[[], str], check_mode: bool) -> dict[str, Any]:
    """Write the file when it differs and return the result.

    Raises:
        InvalidInput: keys are wrong; nothing was written.
        DockerVpsError: the file cannot be read or written.
    """
    if os.path.islink(params.path):
        raise DockerVpsError(
            f"{params.path} is a link to {os.readlink(params.path)}, and this would replace it. Put "
            "its contents into the inventory, and remove the link."
        )
    existing = files.read(params.path)
    current = values_of(params.path, existing)
    expanded = dotenv.expanded(existing.text) if existing else []
    if SECRET in expanded and not params.values.get(SECRET) and not params.rotate:
        raise DockerVpsError(
            f"{SECRET} in {params.path} has a $ that Compose replaces, so the application has another value than "
            f"the file shows. Ask the container for it (printenv {SECRET}), and put it into the inventory."
        )
    # The container has other values of these than stand there, so whatever is wanted is another one.
    current = {**current, **dict.fromkeys(expanded, EXPANDED)}
    plan = environment.plan(params.values, current, params.data_mount, new_secret, params.rotate)
    wanted = files.Kept(dotenv.dump(plan.values, HEADER), MODE, params.uid, params.gid)
    example = params.path + ".example"
    explained = files.Kept(environment.example(), 0o644, params.uid, params.gid)
    writes_example = params.example and files.read(example) != explained
    if not check_mode:
        _apply(params.path, existing, wanted)
        if writes_example:
            files.replace(example, explained)
    return {
        "changed": existing != wanted or writes_example,
        "path": params.path,
        "previous": params.path + ".previous" if existing and existing.text != wanted.text else None,
        "names": list(plan.values),
        "added": list(plan.added),
        "updated": list(plan.changed),
        "removed": list(plan.removed),
        "generated": list(plan.generated),
        "diff": {
            "before_header": params.path,
            "after_header": params.path,
            "before": plan.shown(before=True) if existing else "",
            "after": plan.shown(before=False),
        },
    }


def due(path: str, wanted: Mapping[str, Any]) -> bool:
    """Return whether the file would be written, or it would be said why that cannot be.

    Args:
        wanted: ``values``, ``data_mount``, ``owner`` and ``group``, as an inventory gives them.
    """
    values = wanted["values"]
    if not all(isinstance(value, str) for value in values.values()):
        return True
    try:
        uid, gid = user_id(str(wanted["owner"])), group_id(str(wanted["group"]))
        params = Params(path, values, wanted["data_mount"], uid, gid, example=True)
        return bool(run(params, lambda: "", check_mode=True)["changed"])
    except DockerVpsError:
        return True


def values_of(path: str, kept: Optional[files.Kept]) -> Mapping[str, str]:
    """Return the values of an env file, none when there is no such file.

    Raises:
        DockerVpsError: it is not one, told with its path.
    """
    try:
        return dotenv.parse(kept.text) if kept else {}
    except InvalidInput as error:
        raise DockerVpsError(f"{path} cannot be understood: {error.message}. Fix that line.") from None


def _apply(path: str, existing: Optional[files.Kept], wanted: files.Kept) -> None:
    if existing == wanted:
        return
    files.make_directory(os.path.dirname(path))
    if existing and existing.text != wanted.text:
        files.replace(path + ".previous", files.Kept(existing.text, MODE, wanted.uid, wanted.gid))
    files.replace(path, wanted)
