# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of an image's user."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.passwd import ids_of

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbroken\nodd:x:a:b::/:\nnode:x:1000:1001:Node:/home/node:/bin/sh\n"


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("node", (1000, 1001)),
        ("1000", (1000, 1001)),
        ("node:0", (1000, 0)),
        ("node:users", (1000, 1001)),
        ("1005", (1005, 0)),
        ("1005:997", (1005, 997)),
        ("root", (0, 0)),
        ("nobody", None),
        ("odd", None),
        ("", None),
    ],
)
def test_a_user_has_a_number_and_a_group(user: str, ids: Optional[tuple[int, int]]) -> None:
    assert ids_of(user, PASSWD) == ids
