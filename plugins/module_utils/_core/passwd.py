# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers the user of an image has; see passwd(5), and USER in the reference of Dockerfiles."""

from __future__ import annotations

from typing import Optional, Tuple


def ids_of(user: str, passwd: str) -> Optional[Tuple[int, int]]:
    """Return the numbers of a user and of the group it works in, None when there is no such user.

    Args:
        user: a name or a number, perhaps with a group behind a colon; one that is no number is not looked up.
        passwd: the content of the image's /etc/passwd. A number need not be in it, and is then in the group 0.
    """
    name, _colon, group = user.partition(":")
    found = (int(name), 0) if name.isdecimal() else None
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) > 3 and name in (fields[0], fields[2]) and fields[2].isdecimal() and fields[3].isdecimal():
            found = int(fields[2]), int(fields[3])
            break
    return (found[0], int(group)) if found and group.isdecimal() else found
