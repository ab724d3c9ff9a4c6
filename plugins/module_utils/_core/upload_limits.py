# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an application takes other uploads than its reverse proxy; configuration is read as text, never run."""

from __future__ import annotations

import math
import re
from typing import Callable, Optional, Sequence

from .payload import configuration_of, without_comments
from .remedies import setting
from .text import size

Text = Callable[[str], Optional[str]]
"""Returns the content of a file of the sources, None when it is not there."""
_CUT_BY_DEFAULT = 10 << 20  # bytes; experimental.middlewareClientMaxBodySize, in Next.js 16 proxyClientMaxBodySize
_CUTS_SINCE, _CALLS_IT_PROXY_SINCE = 15, 16  # Next.js; 15.4.11 does, 15.4 at first did not
_NEXT_CONFIGURATIONS = tuple(f"next.config.{suffix}" for suffix in ("js", "mjs", "ts", "mts"))
_UNITS = {unit: 1 << 10 * power for power, unit in enumerate(("b", "kb", "mb", "gb"))}
# What is not written there itself may come from elsewhere: an object that is spread, or one that has a name.
_ELSEWHERE = re.compile(r"\.\.\.(?!\s*\[)|\bexperimental\b\s*(?:[,}=]|:\s*[^\s{])")


def cautions_of(text: Text, upload_max: int) -> Sequence[str]:
    """Return where the limits differ such that uploads fail or are cut, in sentences; nothing when that cannot be seen.

    Args:
        upload_max: bytes of the largest request that the reverse proxy lets through, 0 when it is not known.
    """
    return (*_of_next(text, upload_max), *_of_payload(text, upload_max)) if upload_max else ()


def _of_next(text: Text, upload_max: int) -> Sequence[str]:
    """Next.js keeps this much of a body that a middleware may read, and passes no more on.

    See https://nextjs.org/docs/app/api-reference/config/next-config-js/proxyClientMaxBodySize.
    """
    version = _major(text("package.json") or "")
    reader = _first(text, (*_places("middleware"), *(_places("proxy") if version >= _CALLS_IT_PROXY_SINCE else ())))
    name = _first(text, _NEXT_CONFIGURATIONS)
    limit = _cut_at(without_comments(text(name) or "")) if name else _CUT_BY_DEFAULT
    if version < _CUTS_SINCE or not reader or limit is None or limit >= upload_max:
        return ()
    option = f"experimental.{'proxy' if version >= _CALLS_IT_PROXY_SINCE else 'middleware'}ClientMaxBodySize"
    return (
        f"Next.js passes on only the first {size(limit)} of a request that {reader} matches, and the reverse proxy "
        f"lets {size(upload_max)} through, so larger uploads fail or are cut. Lower {setting('upload_max')} to that, "
        f"or raise {option} in {name or _NEXT_CONFIGURATIONS[0]}.",
    )


def _places(name: str) -> Sequence[str]:
    return [f"{folder}{name}.{suffix}" for folder in ("", "src/") for suffix in ("ts", "js")]


def _first(text: Text, names: Sequence[str]) -> str:
    return next((name for name in names if text(name) is not None), "")


def _major(package: str) -> int:
    """Return the major version of Next.js that a package.json wants at least, 0 when it says none."""
    found = re.search(r'"next"\s*:\s*"[~^>=v\s]*(\d+)', package)
    return int(found.group(1)) if found else 0


def _cut_at(configuration: str) -> Optional[int]:
    """Return the limit in bytes that a next.config sets or leaves, None when that cannot be seen."""
    settings = re.findall(r"\b(?:middleware|proxy)ClientMaxBodySize\b['\"]?\s*(?::\s*([^,}\n]+))?", configuration)
    if settings:
        return _bytes(settings[0]) if len(settings) == 1 else None
    return None if _ELSEWHERE.search(configuration) else _CUT_BY_DEFAULT


def _bytes(written: str) -> Optional[int]:
    """Return what a literal, or a product of numbers, says in bytes; None for anything else."""
    plain = written.strip()
    text = re.fullmatch(r"(['\"`])\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)\s*\1", plain.lower())
    if text:
        return int(float(text.group(2)) * _UNITS[text.group(3)])
    if re.fullmatch(r"\d[\d_]*(\s*\*\s*\d[\d_]*)*", plain):
        return math.prod(int(number.replace("_", "")) for number in plain.split("*"))
    return None


def _of_payload(text: Text, upload_max: int) -> Sequence[str]:
    """Payload cuts a file at its limit unless it is told to abort, and has none by itself.

    See https://payloadcms.com/docs/upload/overview#payload-wide-upload-options.
    """
    name, configuration = configuration_of(text)
    settings = re.findall(r"\blimits['\"]?\s*:\s*\{[^{}]*?\bfileSize['\"]?\s*:\s*([^,}\n]+)", configuration)
    limit = _bytes(settings[0]) if len(settings) == 1 else None
    if limit is None:
        return ()
    if limit > upload_max:
        return (
            f"{name} allows files of {size(limit)}, and the reverse proxy refuses requests above {size(upload_max)}. "
            f"Raise {setting('upload_max')}, or lower upload.limits.fileSize.",
        )
    if limit == upload_max or re.search(r"\babortOnLimit['\"]?\s*:\s*true\b", configuration):
        return ()
    return (
        f"{name} has Payload cut files at {size(limit)}, and the reverse proxy lets {size(upload_max)} through, so "
        f"larger files are stored incomplete. Lower {setting('upload_max')} to that, or set upload.abortOnLimit.",
    )
