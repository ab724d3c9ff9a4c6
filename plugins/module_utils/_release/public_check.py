# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for the application at its public address, by its name and on this host, and say where the way is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from .._core.errors import DockerVpsError
from .._core.public_check import FAIL, OFF, THIS_HOST, Visit, served_elsewhere, serves, unserved

Visitor = Callable[[str, str, str], Visit]
"""From a URL, the text that the page must contain, and the address to ask instead of that of the name."""


@dataclass(frozen=True)
class Params:
    """What to ask for.

    Attributes:
        mode: off, warn or fail.
        text: what the page must contain.
        container: the application as the proxy knows it.
        here: whether the proxy is on this host, so that it can be asked whatever the name leads to.
        asked_from: what this machine is called in what is said, unless it is the host.
    """

    url: str = ""
    mode: str = OFF
    text: str = ""
    container: str = ""
    here: bool = True
    asked_from: str = ""


def run(params: Params, visit: Visitor) -> dict[str, Any]:
    """Ask by the name and, if that fails, on this host, and return what was seen.

    Raises:
        DockerVpsError: visitors are not served, and that is to fail.
    """
    if params.mode == OFF or not params.url:
        return {"changed": False, "served": None, "status": 0, "days_left": None, "summary": ""}
    public, summary = visit(params.url, params.text, ""), ""
    here = visit(params.url, params.text, THIS_HOST) if public.broken is not None and params.here else None
    if public.broken is not None and serves(here):
        summary = served_elsewhere(params.url, public)
    elif public.broken is not None:
        summary = unserved(params.url, public, here, params.container, params.asked_from)
        if params.mode == FAIL:
            raise DockerVpsError(summary)
    served = public.broken is None or serves(here)
    days_left = None if public.days_left is None else round(public.days_left, 1)
    seen = {"status": public.status, "days_left": days_left}
    return {"changed": False, "served": served, **seen, "summary": summary}
