# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what is compiled of zip archives and templates: Python and Jinja do not by themselves, and Ansible sends each
module as an archive, and compiles each template in each process that needs it.

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


def kept(digest, make):  # type: ignore[no-untyped-def]
    """Return the code that is kept as a digest of what it was made of; it is made and kept when there is none."""
    if digest in _loaded:
        return _loaded[digest]
    name = os.path.join(PLACE, digest)
    try:
        with open(name, "rb") as file:
            _loaded[digest] = marshal.load(file)
            return _loaded[digest]
    except (OSError, ValueError, EOFError, TypeError):
        pass  # it is not there yet
    code = _loaded[digest] = make()
    try:
        os.makedirs(PLACE, exist_ok=True)
        with open(f"{name}.{os.getpid()}", "wb") as file:
            marshal.dump(code, file)
        os.replace(f"{name}.{os.getpid()}", name)
    except OSError:
        pass
    return code


def _of_archive(path, source):  # type: ignore[no-untyped-def]
    """Return the code of a source (bytes) at a path in an archive."""
    digest = hashlib.sha256(os.path.basename(path).encode() + b"\0" + source).hexdigest()
    return kept(digest, lambda: _compile(path, source))


if os.environ.get("COMPILED_ZIPS"):
    zipimport._compile_source = _of_archive  # type: ignore[attr-defined]
