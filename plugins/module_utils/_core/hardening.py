# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container is kept from, and which part of that is the likely cause when its application fails.

The application's log is a hint for people only: nothing is decided by it.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Sequence

from .remedies import setting
from .text import counted, short

CARRIED = ("CapAdd", "CapDrop", "Init", "MemorySwap", "PidsLimit", "ReadonlyRootfs", "SecurityOpt", "Tmpfs")
"""The keys of a container's ``HostConfig`` that say it."""

LOOKED_AT = 200  # lines of a log
_SHOWN = 200  # characters of a line of a log
# Not "code: 'EROFS'", which Node.js (v22.23) writes below its message. The last is how it says that it could not make a
# directory with its parents.
_READ_ONLY = re.compile(r"EROFS:|read-only file system|ENOENT: no such file or directory, mkdir", re.IGNORECASE)
# Where Next.js keeps pages that it makes again, besides memory; an empty directory there would hide those of the build.
_PAGES = re.compile(r"/\.next/server/")
_THREADS = re.compile(
    r"EAGAIN|pthread_create|uv_thread_create|resource temporarily unavailable|can't fork|cannot fork", re.IGNORECASE
)
_PRIVILEGES = re.compile(r"no.new.privileges|effective uid is not 0|\bsudo:|\bsu: ", re.IGNORECASE)
_DENIED = re.compile(r"EPERM|EACCES|operation not permitted|permission denied|must be (?:run as )?root", re.IGNORECASE)
_CAPABILITIES = {
    "SETGID": re.compile(r"setgroups|setgid|setregid|setresgid|initgroups", re.IGNORECASE),
    "SETUID": re.compile(r"setuid|setreuid|setresuid|seteuid", re.IGNORECASE),
    "FOWNER": re.compile(r"chmod|utime", re.IGNORECASE),
    "CHOWN": re.compile(r"chown", re.IGNORECASE),
    "NET_BIND_SERVICE": re.compile(r"\bbind|\blisten", re.IGNORECASE),
    "SYS_CHROOT": re.compile(r"chroot", re.IGNORECASE),
    "MKNOD": re.compile(r"mknod", re.IGNORECASE),
}
_INIT_OF_IMAGE = ("/init", "/s6-init", "/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd")


def likely_cause(container: Mapping[str, Any], lines: Sequence[str]) -> str:
    """Return a sentence on the part of the hardening that has most likely kept a container from working, or nothing.

    Args:
        container: what the engine knows about it.
        lines: what it has written, the last one last.
    """
    host = container.get("HostConfig") or {}
    for line in reversed(lines[-LOOKED_AT:]):
        remedy = _remedy(host, line)
        if remedy:
            return f'Its hardening is a likely cause, since it has written "{short(line.strip(), _SHOWN)}": {remedy}.'
    return ""


def _remedy(host: Mapping[str, Any], line: str) -> str:
    if host.get("ReadonlyRootfs") and _READ_ONLY.search(line) and not _PAGES.search(line):
        return (
            f"its root is read-only, so name the directory that it writes to in {setting('tmpfs')}, or leave it "
            f"writable with {setting('read_only', 'false')}"
        )
    if host.get("PidsLimit") and _THREADS.search(line):
        return f"it may have {host['PidsLimit']} processes and threads, so raise {setting('pids_limit')}"
    if any(option.startswith("no-new-privileges") for option in host.get("SecurityOpt") or ()) and _PRIVILEGES.search(
        line
    ):
        return f"its programs gain no privileges, so start it without them, or {_without('no_new_privileges')}"
    if "ALL" in (host.get("CapDrop") or ()) and _DENIED.search(line):
        return (
            f"it has few capabilities, so add {_capability(host, line)} to {setting('capabilities')}, or "
            f"{_without('capabilities')}"
        )
    return ""


def lacks_threads(text: str) -> bool:
    """Return whether a program says that it could start no further process or thread."""
    return bool(_THREADS.search(text))


def _without(part: str) -> str:
    return f"name {part} in {setting('hardening_off')}"


def _capability(host: Mapping[str, Any], line: str) -> str:
    has = {name.replace("CAP_", "") for name in host.get("CapAdd") or ()}
    missing = [name for name, pattern in _CAPABILITIES.items() if name not in has and pattern.search(line)]
    return missing[0] if missing else "the one that it needs, such as DAC_OVERRIDE,"


def why_no_init(container: Mapping[str, Any]) -> str:
    """Return why an image cannot have a first process of the engine before its own, empty when it can or has none.

    Supervisors such as s6 refuse to run as anything else than the first process.
    """
    first = ((container.get("Config") or {}).get("Entrypoint") or [""])[0]
    if not (container.get("HostConfig") or {}).get("Init") or first not in _INIT_OF_IMAGE:
        return ""
    return f"begins with {first}, which has to be the first process of its container"


def refused_writes(lines: Sequence[str]) -> str:
    """Return a sentence on what a container with a read-only root could not write, or nothing.

    Args:
        lines: what it has written since its start.
    """
    refused = [line for line in lines if _READ_ONLY.search(line)]
    if not refused:
        return ""
    seen = (
        f"Its root is read-only, and {counted(len(refused), 'line')} of its log since its start tell of that, the last "
        f'"{short(refused[-1].strip(), _SHOWN)}". '
    )
    if _PAGES.search(refused[-1]):
        return (
            f"{seen}Pages are kept in memory as well; experimental.isrFlushToDisk: false in its next.config ends these "
            "lines, and the cache of resized pictures with them."
        )
    return f"{seen}Name the directory in {setting('tmpfs')}, unless it can do without."


def carried(host: Optional[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what another container has to have in its ``HostConfig`` to be kept from the same things."""
    return {key: host[key] for key in CARRIED if host and host.get(key)}
