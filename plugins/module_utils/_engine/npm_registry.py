# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a registry of npm for known vulnerabilities of packages; names and versions are all that it is told."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Mapping, Sequence

ANSWER_WITHIN = 10.0  # seconds
LARGEST = 32 << 20  # bytes of an answer
_PATH = "/-/npm/v1/security/advisories/bulk"


class NotAnswered(Exception):
    """There is no answer that could be used; the argument says why."""


class NpmRegistry:
    """A registry, by its address."""

    def __init__(self, url: str, within: float = ANSWER_WITHIN) -> None:
        self._url, self._within = url, within

    @property
    def url(self) -> str:
        """Its address."""
        return self._url

    def advisories(self, packages: Mapping[str, Sequence[str]]) -> Any:
        """Return what it knows of these versions of packages; see _core/advisories.py.

        Raises:
            NotAnswered: it does not say.
        """
        body = json.dumps({name: list(versions) for name, versions in packages.items()}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        asked = urllib.request.Request(self._url.rstrip("/") + _PATH, body, headers)  # noqa: S310  # a kind of its own
        try:
            with urllib.request.build_opener().open(asked, timeout=self._within) as answer:
                return json.loads(answer.read(LARGEST))
        except urllib.error.HTTPError as error:
            raise NotAnswered(f"it answered {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise NotAnswered(str(error.reason)) from error
        except ValueError as error:
            raise NotAnswered("its answer is no JSON") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(str(error) or type(error).__name__) from error
