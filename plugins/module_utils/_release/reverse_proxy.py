# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a reverse proxy serve the site of an application, or no longer; other sites notice nothing of a wrong one.

What a proxy reads is a folder, in which its own file and those of all sites are. A copy of it with what is new is read
by the same image first. Then the files are put in place and the proxy is reloaded, and has to say that it runs these
very files; otherwise they are as they were before, and so is what it runs.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

from .._core.errors import DockerVpsError, InvalidInput
from .._core.remedies import setting
from .._core.reverse_proxy import KINDS, Found, Kind, Site, generation, port_taken, site_path, sites, whole, without
from .._store import files
from .._store.certificate import check_certificate
from .._store.lock import locked

ANSWERS_WITHIN = 60.0  # seconds in which a new configuration has to run
_LIMIT = 1 << 20  # bytes of a file of configuration
_WAIT = 120.0  # seconds for another application's turn
_PRIVATE, _PUBLIC = 0o600, 0o644
_PAGE = "maintenance/index.html"
PRESENT, SITE_ABSENT, ABSENT = "present", "site_absent", "absent"


class Proxy(Protocol):
    """What is needed of the container of a reverse proxy."""

    def look(self) -> Optional[Found]:
        """Return what there is of the container; None when there is none."""
        raise NotImplementedError

    def has_image(self) -> bool:
        """Return whether its image is on the host."""
        raise NotImplementedError

    def taken(self) -> Optional[tuple[int, str, str]]:
        """Return a port that it would publish and something else holds, as number, protocol and holder."""
        raise NotImplementedError

    def validate(self, tree: str) -> None:
        """Have the proxy read a directory of configuration."""
        raise NotImplementedError

    def up(self, directory: str) -> None:
        """Have Compose bring it up as the definition in a directory says."""
        raise NotImplementedError

    def reload(self) -> None:
        """Have it read its configuration."""
        raise NotImplementedError

    def generation(self) -> str:
        """Return which configuration it runs; empty when it does not answer."""
        raise NotImplementedError

    def last_lines(self) -> str:
        """Return the end of its log."""
        raise NotImplementedError

    def remove(self) -> None:
        """Remove it; its volume stays."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module reverse_proxy."""

    state: str
    kind: str
    name: str
    directory: str
    network: str
    definition: str
    config: str
    page: str
    site: Site

    @property
    def compose(self) -> str:
        """The file that defines the container."""
        return os.path.join(self.directory, "compose.yml")

    @property
    def tree(self) -> str:
        """The folder that it reads."""
        return os.path.join(self.directory, "config")


def run(
    params: Params,
    proxy: Proxy,
    check_mode: bool,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Have the proxy be as it is wanted, and return the result.

    Raises:
        DockerVpsError: something cannot be right, or the proxy does not work with it; everything is as it was before
            then.
    """
    cautions = _checked(params)
    change = _Change(params, proxy, now, sleep)
    exists = os.path.isdir(params.directory)
    if params.state == PRESENT and not exists and not check_mode:
        change.run(check_mode=True)  # which refuses what is wrong before there is as much as a folder
        exists = True
    if exists and not check_mode:
        _make_folders(params)
        with locked(os.path.join(params.directory, ".lock"), "a change of the reverse proxy", _WAIT):
            result = change.run(check_mode)
    else:
        result = change.run(check_mode)
    return {**result, "warnings": [*cautions, *result["warnings"]]}


def _checked(params: Params) -> list[str]:
    site = params.site
    if params.state != PRESENT or not site.certificate:
        return []
    try:
        return check_certificate(site.certificate, site.key, site.domains)
    except InvalidInput as error:
        error.also("Nothing was changed.")
        raise


def _make_folders(params: Params) -> None:
    for folder in ("", "config", "config/sites", "config/certificates", "maintenance"):
        files.make_directory(os.path.join(params.directory, folder))
    os.chmod(os.path.join(params.directory, "maintenance"), 0o755)  # noqa: S103  # Nginx reads it as nobody


@dataclass(frozen=True)
class _Before:
    """What is there: the files that the proxy reads, its definition, and its container."""

    tree: Mapping[str, files.Kept]
    definition: Optional[files.Kept]
    container: Optional[Found]

    @property
    def runs(self) -> bool:
        return self.container is not None and self.container.runs

    @property
    def texts(self) -> dict[str, str]:
        return {path: kept.text for path, kept in self.tree.items()}


class _Change:
    """One run."""

    def __init__(self, params: Params, proxy: Proxy, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._params, self._proxy, self._now, self._sleep = params, proxy, now, sleep
        self._kind: Kind = KINDS[params.kind]

    def run(self, check_mode: bool) -> dict[str, Any]:
        """See run."""
        params = self._params
        before = _Before(_read(params.tree), files.read(params.compose, limit=_LIMIT), self._proxy.look())
        others = without(before.texts, params.site.app)
        if params.state == ABSENT:
            return self._remove(others, before, check_mode)
        if params.state == SITE_ABSENT and others == before.texts:
            return _result()
        wanted = self._wanted(before, others)
        recreate = params.state == PRESENT and not (
            before.runs and before.definition and before.definition.text == params.definition
        )
        stale = before.runs and self._proxy.generation() != generation(wanted)
        if params.state == PRESENT:
            self._refuse(before, others)
        changes = _differing(before.texts, wanted)
        if changes or stale or recreate:
            self._validate(wanted, check_mode)
        page = [_PAGE] if params.state == PRESENT and not os.path.exists(os.path.join(params.directory, _PAGE)) else []
        if not check_mode:
            if page:
                _write(os.path.join(params.directory, _PAGE), params.page, _PUBLIC)
            if changes or stale or recreate:
                self._apply(before, wanted, recreate)
        action = "started" if recreate else "reloaded" if stale else ""
        path = site_path(params.site.app, self._kind)
        shown = {"before": before.texts.get(path, ""), "after": wanted.get(path, "")}
        return _result([*changes, *(["compose.yml"] if recreate else []), *page], action, shown)

    def _wanted(self, before: _Before, others: Mapping[str, str]) -> dict[str, str]:
        if self._params.state == PRESENT:
            return whole(self._kind, self._params.config, others, self._params.site)
        return whole(self._kind, before.texts.get(self._kind.main, ""), others, None)

    def _refuse(self, before: _Before, others: Mapping[str, str]) -> None:
        """Refuse what is there and does not suit."""
        params, found = self._params, before.container
        if found and not before.definition:
            raise InvalidInput(
                f"There is a container {params.name} already, which {params.compose} does not define. Remove it, or "
                f"set {setting('reverse_proxy_container')} to another name. Nothing was changed."
            )
        if found and params.network not in found.networks and sites(others):
            raise InvalidInput(
                f"The reverse proxy {params.name} serves other sites on the network {' and '.join(found.networks)}, "
                f"and this one would be on {params.network}. Set {setting('network', found.networks[0])}. Nothing was "
                "changed."
            )
        taken = None if before.runs else self._proxy.taken()
        if taken:
            raise port_taken(*taken)

    def _remove(self, others: Mapping[str, str], before: _Before, check_mode: bool) -> dict[str, Any]:
        params, left = self._params, sorted(sites(others))
        if left:
            raise InvalidInput(
                f"{' and '.join(left)} of other applications would not be served any more. Remove those first, or set "
                f"{setting('reverse_proxy_state', SITE_ABSENT)} to remove only this application's. Nothing was changed."
            )
        if not before.definition:
            return _result()
        if not check_mode:
            self._proxy.remove()
            files.remove_tree(params.directory)
        volume = f"{params.name}-data"
        kept = f"The volume {volume} with the certificates stays. To remove it: docker volume rm {volume}"
        return {**_result([params.directory], "removed"), "warnings": [kept]}

    def _validate(self, wanted: Mapping[str, str], check_mode: bool) -> None:
        if check_mode and not self._proxy.has_image():
            return
        place = self._params.directory if os.path.isdir(self._params.directory) else None
        with tempfile.TemporaryDirectory(prefix=".trial-", dir=place) as trial:
            for path, text in wanted.items():
                files.make_directory(os.path.dirname(os.path.join(trial, path)))
                _write(os.path.join(trial, path), text, _PRIVATE)
            try:
                self._proxy.validate(trial)
            except DockerVpsError as error:
                raise DockerVpsError(
                    "The reverse proxy refuses what its configuration would be, so nothing was changed, and "
                    f"what is served stays as it was. {error.message}"
                ) from error

    def _apply(self, before: _Before, wanted: Mapping[str, str], recreate: bool) -> None:
        params = self._params
        try:
            _put(params.tree, before.texts, wanted)
            if recreate:
                files.rewrite(params.compose, params.definition, before.definition)
                self._proxy.up(params.directory)
            if recreate or before.runs:
                self._settle(generation(wanted))
        except DockerVpsError as error:
            error.also(self._undone(before, wanted))
            raise

    def _settle(self, name: str) -> None:
        """Wait until the proxy runs a configuration, and tell it to once it answers."""
        end = self._now() + ANSWERS_WITHIN
        reloaded = False
        while True:
            runs = self._proxy.generation()
            if runs == name:
                return
            if runs and not reloaded:
                self._proxy.reload()
                reloaded = True
            elif self._now() >= end:
                break
            else:
                self._sleep(0.3)
        raise DockerVpsError(
            f"{ANSWERS_WITHIN:g} s after it was told, the reverse proxy does not serve its new configuration. The end "
            f"of its log: {self._proxy.last_lines() or 'nothing'}"
        )

    def _undone(self, before: _Before, wanted: Mapping[str, str]) -> str:
        """Put everything back, and return what became of it."""
        params = self._params
        for path in {**wanted, **before.tree}:
            files.put_back(os.path.join(params.tree, path), before.tree.get(path))
        files.put_back(params.compose, before.definition)
        try:
            if not before.runs:
                self._proxy.remove()
                return "Its files are as they were before, and it does not run."
            self._proxy.up(params.directory)
            self._settle(generation(before.texts))
        except DockerVpsError as worse:
            return f"Its files are as they were before, and it does not run with those either: {worse.message}"
        return "Its files are as they were before, and it runs with those again."


def _read(tree: str) -> dict[str, files.Kept]:
    found = {}
    for folder, _folders, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            kept = None if name.endswith(files.PARTIAL) else files.read(path, limit=_LIMIT)
            if kept:
                found[os.path.relpath(path, tree)] = kept
    return found


def _differing(before: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return sorted(path for path in {**before, **wanted} if before.get(path) != wanted.get(path))


def _put(tree: str, before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for path in _differing(before, wanted):
        target = os.path.join(tree, path)
        if path in wanted:
            _write(target, wanted[path], _PRIVATE)
        else:
            os.unlink(target)


def _write(path: str, text: str, mode: int) -> None:
    files.replace(path, files.own(text, mode))


def _result(changes: Sequence[str] = (), action: str = "", diff: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
    shown = diff or {"before": "", "after": ""}
    return {"changed": bool(changes or action), "files": list(changes), "action": action, "warnings": [], "diff": shown}
