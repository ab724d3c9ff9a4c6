# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values a container gets as files, and what its environment has in their place.

Compose mounts what a definition names as ``secrets`` below /run/secrets. Those that are files are mounted as they are
on the host, so their owner and mode there count. https://docs.docker.com/reference/compose-file/secrets/
"""

from __future__ import annotations

import posixpath
from typing import Any, Collection, Iterable, Mapping, Optional, Sequence

from .environment import ACTIONS_KEY, KEYS, SECRET
from .errors import DockerVpsError
from .remedies import play, setting
from .secrets import password_in

ENVIRONMENT, FILES = "environment", "files"
MOUNT = "/run/secrets"
SUFFIX = "_FILE"
LABEL = "ptnextjs.docker_vps.secrets"
"""What an image is labelled with that takes secrets from files; the value is FILES."""
_ALWAYS = (SECRET, ACTIONS_KEY, "SENDGRID_API_KEY")
_USER = "1000"  # as in roles/image/files/docker-entrypoint.sh


def names(values: Mapping[str, Any], listed: Collection[str]) -> list[str]:
    """Return the keys whose values are secret: the well-known ones, those listed, and addresses with a password.

    One without a value is none.
    """
    return sorted(
        name for name, value in values.items() if value and (name in (*_ALWAYS, *listed) or password_in(str(value)))
    )


def problems(listed: Sequence[str], extra: Mapping[str, Any], mode: str) -> list[str]:
    """Return what is wrong with the keys that are listed as secret, in sentences.

    Args:
        extra: what an inventory adds to the environment.
    """
    found = []
    unknown = [name for name in listed if name not in extra and name not in (key.name for key in KEYS)]
    if unknown:
        found.append(
            f"{setting('secret_keys')} names {', '.join(unknown)}, which {setting('env')} does not have. Add them "
            "there, or take them out."
        )
    if "DATABASE_URI" in listed and not password_in(str(extra.get("DATABASE_URI", ""))):
        found.append(
            f"{setting('secret_keys')} names DATABASE_URI, which is taken for secret when it has a password, and is "
            "read in the container's environment otherwise. Take it out."
        )
    both = [name + SUFFIX for name in (*_ALWAYS, *listed) if mode == FILES and name + SUFFIX in extra]
    if both:
        found.append(f"{setting('env')} has {', '.join(both)}, which {setting('secrets', FILES)} adds. Take it out.")
    return found


def environment(values: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Return the environment of a container that gets some of its values as files.

    Raises:
        DockerVpsError: there is no value for one of them.
    """
    absent = [name for name in secrets if not values.get(name)]
    if absent:
        raise DockerVpsError(
            f"{', '.join(absent)} should be given to the application as a file, and the env file has no value for it. "
            f"Run {play('deploy')} without --tags, which writes both."
        )
    kept = {name: value for name, value in values.items() if name not in secrets}
    return {**kept, **{name + SUFFIX: posixpath.join(MOUNT, name) for name in secrets}}


def content(value: str) -> str:
    """Return what a file has so that a reader who takes one newline from its end has the value."""
    return value + "\n" if value.endswith("\n") else value


def owner(values: Mapping[str, str]) -> tuple[int, int]:
    """Return user and group of the application.

    Raises:
        DockerVpsError: they are no numbers.
    """
    user, group = (values.get(name) or _USER for name in ("PUID", "PGID"))
    if not (user.isdecimal() and group.isdecimal()):
        raise DockerVpsError(
            f"PUID and PGID must be numbers, but are {user} and {group}, so nobody can be given the files of secrets. "
            "Correct them."
        )
    return int(user), int(group)


def mounted(container: Optional[Mapping[str, Any]]) -> dict[str, str]:
    """Return the files on the host that a container has as secrets, by their names."""
    places = {
        str(mount.get("Destination")): str(mount.get("Source")) for mount in (container or {}).get("Mounts") or ()
    }
    return {posixpath.basename(at): source for at, source in places.items() if posixpath.dirname(at) == MOUNT}


def takes_files(image: Optional[Mapping[str, Any]]) -> bool:
    """Return whether an inspected image says that it takes secrets from files."""
    labels = ((image or {}).get("Config") or {}).get("Labels") or {}
    return labels.get(LABEL) == FILES
