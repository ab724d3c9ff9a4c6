# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that takes long shows its progress."""

from __future__ import annotations


class ModuleDocFragment:
    """The option ``progress``, and how modules are followed that run on the host."""

    DOCUMENTATION = r"""
options:
  progress:
    description:
      - How progress is shown. V(live) is one line that is written over itself, for terminals. V(lines) is a whole line
        every 15 seconds. V(off) is nothing.
      - V(auto) is V(live) where a terminal is, and V(lines) elsewhere and in AWX.
    type: str
    choices: [auto, live, lines, "off"]
    default: auto
"""

    FOLLOWED = r"""
options:
  progress_id:
    description: Under which name the host writes down how far the work is. The action sets it; do not.
    type: str
    default: ""
"""
