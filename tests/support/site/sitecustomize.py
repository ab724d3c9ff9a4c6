# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what Python compiles of zip archives: it does not by itself, and Ansible sends each module as one.

Python imports this when it starts with this directory in PYTHONPATH, as plays of tests do; most of what a short task
costs is compiling. The same sources give the same code. Nothing is kept where nothing can be written.
"""

import hashlib
import marshal
import os
import sys
import zipimport

PLACE = os.path.join(os.environ.get("COMPILED_ZIPS", ""), sys.implementation.cache_tag or "")
_compile = zipimport._compile_source  # type: ignore[attr-defined]
_loaded = {}  # type: ignore[var-annotated]


def load():  # type: ignore[no-untyped-def]
    """Take into memory what is kept by now; processes that are forked then have it at once."""
    if os.path.isdir(PLACE):
        for name in os.listdir(PLACE):
            if name not in _loaded and "." not in name:
                with open(os.path.join(PLACE, name), "rb") as file:
                    _loaded[name] = marshal.load(file)


def _kept(path, source):  # type: ignore[no-untyped-def]
    """Return the code of a source (bytes) at a path in an archive."""
    digest = hashlib.sha256(os.path.basename(path).encode() + b"\0" + source).hexdigest()
    if digest in _loaded:
        return _loaded[digest]
    name = os.path.join(PLACE, digest)
    try:
        with open(name, "rb") as file:
            return marshal.load(file)
    except (OSError, ValueError, EOFError, TypeError):
        pass  # it is not there yet
    code = _compile(path, source)
    try:
        os.makedirs(PLACE, exist_ok=True)
        with open(f"{name}.{os.getpid()}", "wb") as file:
            marshal.dump(code, file)
        os.replace(f"{name}.{os.getpid()}", name)
    except OSError:
        pass
    return code


if os.environ.get("COMPILED_ZIPS"):
    zipimport._compile_source = _kept  # type: ignore[attr-defined]
