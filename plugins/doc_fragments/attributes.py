# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules say of check mode, diff mode and the controller; a module adds details of its own."""

from __future__ import annotations


class ModuleDocFragment:
    """Each string is a fragment; a module has the first, or INFO when it only reads."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Whether it runs in check mode, and then says what it would do and changes nothing.
    support: full
"""

    INFO = r"""
attributes:
  check_mode:
    description: Whether it runs in check mode. It only reads, so check mode makes no difference.
    support: full
"""

    DIFF = r"""
attributes:
  diff_mode:
    description: Whether it shows in diff mode what changes.
    support: full
"""

    ACTION = r"""
attributes:
  action:
    description: Whether part of it runs on the controller.
    support: full
"""
