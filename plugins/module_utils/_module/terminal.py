# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a play prints, for actions that show what is under way.

Ansible imports actions in the process that prints, before it forks the worker that runs one and has no terminal.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any, Optional

from .._core.progress import OFF, Progress, Work, way_of

_COLUMNS = 80


def print_at_once(stream: object) -> None:
    """Let lines that are printed leave at once, also when the stream is no terminal."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(line_buffering=True)


def columns_of(stream: object) -> int:
    """Return how many characters a line of the terminal has that a stream goes to; 0 when it goes elsewhere."""
    try:
        number = stream.fileno() if isinstance(stream, io.TextIOWrapper) else -1
        return (os.get_terminal_size(number).columns or _COLUMNS) if os.isatty(number) else 0
    except (OSError, ValueError):
        return 0


print_at_once(sys.stdout)
COLUMNS = columns_of(sys.stdout)


def display(displayed: Any, text: str, **how: bool) -> None:
    """Hand a text to Ansible's display, which prints it.

    The worker gives it to the first process through a queue, whose lock must not die with it at Ctrl-C: Ansible would
    wait for it for ever.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        displayed.display(text, **how)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Shown:
    """Shows the progress of one task on one host; also what else an action prints of it, as lines."""

    def __init__(self, display: Any, word: str, host: str) -> None:
        self.display = display
        self.progress = Progress(way_of(word, COLUMNS > 0, os.environ), host, COLUMNS or _COLUMNS)

    @property
    def wanted(self) -> bool:
        """Whether anything is shown at all."""
        return self.progress.way != OFF

    def due(self, elapsed: float) -> bool:
        """Return whether something would be shown now."""
        return self.progress.due(elapsed)

    def show(self, elapsed: float, work: Work) -> None:
        """Show how far the work is, if it is time for that; ``elapsed`` are seconds since it began."""
        live = self.progress.way == "live"
        self._print(self.progress.shown(elapsed, work), live)

    def clear(self) -> None:
        """Take a live line away."""
        self._print(self.progress.cleared(), live=True)

    def line(self, text: str) -> None:
        """Print a line of the host."""
        self._print(f"{self.progress.host} | {text}", live=False)

    def _print(self, text: Optional[str], live: bool) -> None:
        if text is not None:
            # A live line is not for a log file (ANSIBLE_LOG_PATH).
            display(self.display, text, **({"newline": False, "screen_only": True} if live else {}))
