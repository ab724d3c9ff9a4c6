# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a tree, one after the other, opened from its root: so their own paths may be long."""

from __future__ import annotations

import errno
import os
from typing import Callable, Iterator, List, Optional, Tuple

LONGEST = 4000
"""How many bytes a path in a tree may have: the kernel takes 4,095 at a time, and tools put something before it."""

# How a name answers that was removed, or replaced by something else, since its directory was read.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ESPIPE)


def folders(root: str, mount: Callable[[str], object] = lambda _path: None) -> Iterator[Tuple[str, int]]:
    """Yield the directories of a tree: the path in it, empty for the root, and a descriptor until the next one.

    Links are not followed, other file systems not entered, and paths longer than ``LONGEST`` neither.

    Args:
        mount: is called with the path of each directory on another file system.

    Raises:
        OSError: the root is not a directory, or one below it may not be read.
    """
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        device = os.fstat(top).st_dev
        pending = [""]
        while pending:
            folder = pending.pop()
            descriptor = _opened(folder, top)
            if descriptor is None:
                continue
            try:
                if os.fstat(descriptor).st_dev != device:
                    mount(folder)
                    continue
                yield folder, descriptor
                pending.extend(path for path in _below(folder, descriptor) if not is_too_long(path))
            finally:
                os.close(descriptor)
    finally:
        os.close(top)


def is_too_long(path: str) -> bool:
    """Whether a path in a tree is longer than the tools take."""
    return len(os.fsencode(path)) > LONGEST


def _opened(folder: str, top: int) -> Optional[int]:
    """Open a directory; None when it is gone."""
    if not folder:
        return os.dup(top)
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return None


def _below(folder: str, descriptor: int) -> List[str]:
    with os.scandir(descriptor) as entries:
        return [os.path.join(folder, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
