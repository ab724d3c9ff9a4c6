# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of two applications on one host look at."""

from __future__ import annotations

from testinfra.host import Host

NOTES = "/root/notes"
JOBS = ("backup", "drill", "maintenance", "recover", "verify", "watch")
"""What an application has timers of."""


def timers(host: Host, app: str) -> list[str]:
    """The timers of an application that are running."""
    lines = host.check_output("systemctl list-units --type timer --plain --no-legend %s", f"{app}-*")
    return sorted(line.split()[0] for line in lines.splitlines())


def assert_blog_untouched(host: Host, *steps: str) -> None:
    """After each step, its container, volumes, data and files were those of before, and every request was answered."""
    before, *after = (host.file(f"{NOTES}/{step}").content_string for step in ("before", *steps))
    assert "blog.png" in before
    assert after == [before] * len(steps)
    asked = [int(host.file(f"{NOTES}/{step}.asked").content_string) for step in ("before", *steps)]
    assert asked == sorted(set(asked)), "it was not asked meanwhile"
    lines = host.check_output("journalctl --unit asking --output cat --grep '^(ok|failed)'").splitlines()
    assert set(lines) == {"ok"}
