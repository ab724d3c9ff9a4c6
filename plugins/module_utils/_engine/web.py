# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at an address of the web."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from .._core.errors import DockerVpsError

ANSWER_WITHIN = 30.0  # seconds
LARGEST = 1 << 20  # bytes


def fetch(url: str) -> str:
    """Return a small text, through the proxy of the environment when there is one.

    Raises:
        DockerVpsError: it cannot be had.
    """
    try:
        with urllib.request.build_opener().open(url, timeout=ANSWER_WITHIN) as answer:  # people choose it
            return str(answer.read(LARGEST).decode("utf-8", "replace"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DockerVpsError(
            f"{url} cannot be fetched: {_why(error)}. Nothing was changed. See whether the host reaches it, perhaps "
            "through a proxy (https_proxy)."
        ) from error


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error) or type(error).__name__
