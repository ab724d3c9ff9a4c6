# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a bill of materials of an image beside the application, and ask for known vulnerabilities of what is in it.

The image is not run: of a container that is never started, the engine gives all files, whatever has built the image and
whichever store it is in.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Optional, Protocol, Sequence

from .._core import advisories, images, sbom
from .._core.advisories import NEVER
from .._core.errors import DockerVpsError, InvalidInput
from .._core.remedies import setting
from .._core.text import sentence, shown
from .._engine.npm_registry import NotAnswered
from .._store import files
from .._store.image_chunks import Stream

SUFFIX = ".cdx.json"
LARGEST = 32 << 20  # bytes of a file that names packages; more is passed over
_READABLE = 0o644  # what an image holds is no secret
_BUFFER = 1 << 20


class SbomEngine(Protocol):
    """What is needed of an engine."""

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return an image or None."""
        raise NotImplementedError

    def tags(self, repository: str) -> Sequence[str]:
        """Return the images of a name, as name:tag."""
        raise NotImplementedError

    def create_container(self, name: str, config: Mapping[str, Any]) -> None:
        """Create a container."""
        raise NotImplementedError

    def export(self, container: str) -> Iterator[bytes]:
        """Yield the files of a container as an archive."""
        raise NotImplementedError

    def remove_container(self, container: str) -> None:
        """Remove a container."""
        raise NotImplementedError


class Advising(Protocol):
    """What is needed of a registry of npm."""

    @property
    def url(self) -> str:
        """Its address."""
        raise NotImplementedError

    def advisories(self, packages: Mapping[str, Sequence[str]]) -> Any:
        """Return what it knows of these versions of packages."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """An image, with a tag, and the directory for the bills of materials of the images of its name.

    Attributes:
        scan: whether known vulnerabilities are asked for.
        scan_fail: how severe one is at least with which the image is refused, or never.
    """

    image: str
    directory: str
    scan: bool = False
    scan_fail: str = NEVER

    @property
    def path(self) -> str:
        """Where its bill of materials is."""
        return os.path.join(self.directory, images.tag(self.image) + SUFFIX)


def run(params: Params, engine: SbomEngine, registry: Advising, check_mode: bool) -> dict[str, Any]:
    """Make the bill of materials unless it is there, ask for known vulnerabilities, and return the result.

    Raises:
        DockerVpsError: there is no such image, it cannot be read, or it has vulnerabilities that are too severe.
    """
    image = engine.image(params.image)
    if not image and not check_mode:
        raise InvalidInput(
            f"There is no image {params.image} to list the packages of. Build it first, or correct the name."
        )
    identity = images.identity(image)
    known = _kept(params.path)
    current = bool(image) and known is not None and known.identity == identity
    if not current:
        known = None if check_mode else _made(params, engine, identity)
    stale = [] if check_mode else _stale(params, engine)
    for path in stale:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return {
        "changed": not current or bool(stale),
        "path": params.path,
        "packages": known.packages if known else 0,
        **_scanned(params, registry, known),
    }


def _kept(path: str) -> Optional[sbom.Known]:
    """Return what a bill of materials that is there says; one that cannot be read is made again."""
    try:
        kept = files.read(path, links=False, limit=LARGEST)
    except DockerVpsError:
        return None
    return sbom.parse(kept.text) if kept else None


def _made(params: Params, engine: SbomEngine, identity: str) -> Optional[sbom.Known]:
    found = _files(engine, params.image, identity)
    text = sbom.bill(images.repository(params.image), identity, sbom.packages(found), sbom.system(found))
    files.make_directory(params.directory)
    files.replace(params.path, files.own(text, _READABLE))
    return sbom.parse(text)


def _files(engine: SbomEngine, name: str, identity: str) -> dict[str, str]:
    """Return the files of an image that name packages, by their paths."""
    container = f"docker-vps-sbom-{images.short(identity)}"
    engine.remove_container(container)  # of a run that was killed
    engine.create_container(container, {"Image": name, "Cmd": ["never started"], "NetworkDisabled": True})
    try:
        found, links = _read(engine.export(container), sbom.is_wanted)
        # What a link leads to comes before it, and was passed over when it has another name, as in a store of pnpm.
        targets = set(links.values()) - set(found)
        behind = _read(engine.export(container), targets.__contains__)[0] if targets else {}
        return {**{path: {**found, **behind}.get(target, "") for path, target in links.items()}, **found}
    except tarfile.TarError as error:
        raise DockerVpsError(
            f"The engine has written the files of {name} as an archive that cannot be read ({error}). Look at the log "
            "of the engine (journalctl -u docker)."
        ) from error
    finally:
        engine.remove_container(container)


def _read(pieces: Iterator[bytes], wanted: Callable[[str], bool]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the wanted files of an archive by their paths, and of those that are hard links, where they lead."""
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=io.BufferedReader(Stream(pieces), _BUFFER), mode="r|", bufsize=_BUFFER) as archive:
        for member in archive:
            path = _path(member.name)
            if member.islnk() and wanted(path):
                links[path] = _path(member.linkname)
            elif member.isreg() and member.size <= LARGEST and wanted(path):
                file = archive.extractfile(member)
                found[path] = file.read().decode("utf-8", "replace") if file else ""
    return found, links


def _path(name: str) -> str:
    return shown(name[2:] if name.startswith("./") else name.lstrip("/"))


def _stale(params: Params, engine: SbomEngine) -> list[str]:
    """Return the bills of materials of images that are gone."""
    current = {images.tag(name) + SUFFIX for name in engine.tags(images.repository(params.image))}
    kept = sorted(name for name in os.listdir(params.directory) if name.endswith(SUFFIX))
    return [os.path.join(params.directory, name) for name in kept if name not in current]


def _scanned(params: Params, registry: Advising, known: Optional[sbom.Known]) -> dict[str, Any]:
    """Return which vulnerabilities are known; that there is no answer is a result of its own, and refuses nothing."""
    if not params.scan or known is None:
        return _outcome(params, "", [])
    try:
        found = advisories.advisories(registry.advisories(known.npm) if known.npm else {}, known.npm)
    except NotAnswered as error:
        return _outcome(params, str(error), [], registry.url)
    except ValueError as error:
        return _outcome(params, f"its answer is not understood, {error}", [], registry.url)
    severe = advisories.refused(found, params.scan_fail)
    outcome = _outcome(params, "", found)
    if severe:
        raise DockerVpsError(
            f"The image {params.image} has npm packages with {advisories.number(severe)} that "
            f"{setting('scan_fail', params.scan_fail)} refuses: {advisories.named(severe)}. Use newer ones, or set "
            f"{setting('scan_fail', NEVER)} to put it live all the same. What is live stays.",
            **outcome,
        )
    return outcome


def _outcome(params: Params, why: str, found: Sequence[advisories.Advisory], url: str = "") -> dict[str, Any]:
    unasked = (
        f"Known vulnerabilities of the npm packages of {params.image} were not checked, since {url} does not say: "
        f"{sentence(why)}"
    )
    caution = unasked if why else advisories.caution(params.image, found)
    return {
        "not_scanned": why,
        "advisories": [vars(advisory) for advisory in found],
        "severities": advisories.counts(found),
        "cautions": [caution] if caution else [],
    }
