# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of the hardening is named when an application fails."""

from __future__ import annotations

from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.hardening import (
    LOOKED_AT,
    carried,
    likely_cause,
    refused_writes,
    why_no_init,
)

HARDENED: Mapping[str, Any] = {
    "CapAdd": ["CHOWN", "SETGID"],
    "CapDrop": ["ALL"],
    "Init": True,
    "MemorySwap": 2**30,
    "PidsLimit": 100,
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges:true"],
    "Tmpfs": {"/tmp": "size=64M"},
}


def cause(*lines: str, **host: Any) -> str:
    """Return the likely cause for a container with these lines."""
    return likely_cause({"HostConfig": {**HARDENED, **host}}, lines)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("Error: EROFS: read-only file system, open '/app/x'", "in ⟦setting tmpfs⟧, or leave it writable with"),
        ("Error: ENOENT: no such file or directory, mkdir '/app/x'", "⟦setting read_only false⟧."),
        ("cp: cannot create 'x': Read-only file system", "⟦setting read_only false⟧."),
        (
            "fork: Resource temporarily unavailable",
            "it may have 100 processes and threads, so raise ⟦setting pids_limit⟧",
        ),
        ("uv_thread_create failed", "⟦setting pids_limit⟧"),
        ('sudo: The "no new privileges" flag is set', "or name no_new_privileges in ⟦setting hardening_off⟧."),
        ("sudo: effective uid is not 0", "name no_new_privileges in"),
        ("error: setuid: Operation not permitted", "add SETUID to ⟦setting capabilities⟧, or name capabilities in"),
        ("chmod: changing permissions of '/data': Operation not permitted", "add FOWNER to"),
        ("listen EACCES: permission denied 0.0.0.0:80", "add NET_BIND_SERVICE to"),
        # It has this capability already.
        (
            "chown: Operation not permitted",
            "add the one that it needs, such as DAC_OVERRIDE, to ⟦setting capabilities⟧",
        ),
        ("EACCES: permission denied, open '/app/x'", "such as DAC_OVERRIDE, to"),
    ],
)
def test_the_part_that_a_line_of_the_log_tells_of(line: str, named: str) -> None:
    sentence = cause("starting", line, "bye")
    assert sentence.startswith(f'Its hardening is a likely cause, since it has written "{line}": ')
    assert named in sentence


@pytest.mark.parametrize(
    ("line", "off"),
    [
        ("EROFS: read-only file system", {"ReadonlyRootfs": False}),
        (
            "Error: EROFS: read-only file system, open '/app/.next/server/app/a.html'",
            {},
        ),  # which Next.js can do without
        ("  code: 'EROFS',", {}),
        ("uv_thread_create failed", {"PidsLimit": None}),
        ("sudo: no new privileges", {"SecurityOpt": None}),
        ("setuid: Operation not permitted", {"CapDrop": None}),
        ("Cannot find module 'next'", {}),
    ],
)
def test_a_part_that_is_off_is_no_cause(line: str, off: Mapping[str, Any]) -> None:
    assert cause(line, **off) == ""


def test_the_last_line_counts_and_old_ones_do_not() -> None:
    assert "FOWNER" in cause("setuid: EPERM", "chmod: EPERM")
    assert "SETUID" in cause("setuid: EPERM", *["…"] * (LOOKED_AT - 1))
    assert cause("setuid: EPERM", *["…"] * LOOKED_AT) == ""
    assert likely_cause({}, ["EROFS"]) == ""


@pytest.mark.parametrize(
    ("entrypoint", "init", "refused"),
    [(["/init"], True, True), (["/init"], False, False), (["docker-entrypoint.sh"], True, False), (None, True, False)],
)
def test_an_image_with_a_supervisor_of_its_own(entrypoint: Any, init: bool, refused: bool) -> None:
    why = why_no_init({"Config": {"Entrypoint": entrypoint}, "HostConfig": {"Init": init}})
    assert why == ("begins with /init, which has to be the first process of its container" if refused else "")
    assert why_no_init({}) == ""


def test_what_could_not_be_written() -> None:
    assert refused_writes(["ready", "listening"]) == ""
    assert refused_writes(["EROFS: open '/app/a'", "ready", "EROFS: open '/app/b' "]) == (
        "Its root is read-only, and 2 lines of its log since its start tell of that, the last "
        "\"EROFS: open '/app/b'\". "
        "Name the directory in ⟦setting tmpfs⟧, unless it can do without."
    )


def test_pages_that_could_not_be_kept() -> None:
    """As Next.js 15.4.11 tells it."""
    error = "Error: EROFS: read-only file system, open '/app/.next/server/app/a.html'"
    line = f"Failed to update prerender cache for /a [{error}] {{"
    lines = ["ready", line, "  errno: -30,", "  code: 'EROFS',", "  syscall: 'open',", "}"]
    assert refused_writes(lines) == (
        f'Its root is read-only, and 1 line of its log since its start tell of that, the last "{line}". '
        "Pages are kept in memory as well; experimental.isrFlushToDisk: false in its next.config ends these lines, and "
        "the cache of resized pictures with them."
    )


def test_another_container_is_kept_from_the_same() -> None:
    assert carried({**HARDENED, "Memory": 5, "NanoCpus": 0, "Binds": ["/:/host"]}) == HARDENED
    assert carried({"CapAdd": None, "Init": False}) == {}
    assert carried(None) == {}
