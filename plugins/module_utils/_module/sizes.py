# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules read sizes."""

from __future__ import annotations

from typing import Any, Mapping

from ansible.module_utils.common.text.formatters import human_to_bytes

from .._core.errors import InvalidInput


def bytes_of(given: Mapping[str, Any], key: str) -> int:
    """Return a size of the parameters in bytes.

    Raises:
        InvalidInput: it is not one.
    """
    try:
        return int(human_to_bytes(given[key]))
    except ValueError:
        raise InvalidInput(f"{key} must be a size such as 512M or 2G, but is {given[key]!r}.") from None
