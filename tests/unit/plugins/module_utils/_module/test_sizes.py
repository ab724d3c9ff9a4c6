# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules read sizes; what is refused is tested with the module host_info."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.sizes import bytes_of


@pytest.mark.parametrize(("size", "read"), [("0", 0), ("768M", 768 * 1024**2), ("2g", 2 * 1024**3)])
def test_a_size(size: str, read: int) -> None:
    assert bytes_of({"memory_min": size}, "memory_min") == read
