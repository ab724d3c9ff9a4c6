# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say what of sources a build is given."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of what decides which files a build sees."""

    DOCUMENTATION = r"""
options:
  ignore:
    description: The content of the C(.dockerignore) to use for sources that have neither such a file nor a Dockerfile.
    type: str
    default: ""
  dockerfile_path:
    description:
      - The path of the Dockerfile in the sources, which may be outside of O(context_path). When empty, it is the
        C(Dockerfile) at the top of the context, if there is one.
    type: str
    default: ""
  context_path:
    description: The path of the build's context, a directory of the sources. When empty, it is their top.
    type: str
    default: ""
"""
