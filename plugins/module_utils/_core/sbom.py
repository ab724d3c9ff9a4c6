# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages the files of an image name, as a bill of materials that others read.

The format is CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/), and packages are named by package URLs
(https://github.com/package-url/purl-spec). Of the same image it is the same to the byte, so it has no time in it.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, replace
from typing import Any, Iterable, Iterator, Mapping, Optional
from urllib.parse import quote

from . import os_release
from .os_release import System

SPECIFICATION = "1.5"
_SCHEMA = f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json"
_NAMESPACE = uuid.UUID("6f1d3c52-3b1a-5c8e-9d3f-2f0f6a7d4b10")  # of the serial numbers of these bills
_NODE = re.compile(r"(?:.*/)?node_modules/(?:@[^/@]+/)?[^/@.][^/]*/package\.json")
_PYTHON = re.compile(r"(?:.*/)?[^/]+\.dist-info/METADATA")
_DPKG = re.compile(r"var/lib/dpkg/status(?:\.d/[^/]+(?<!\.md5sums))?")
_APK = re.compile(r"(?:usr/)?lib/apk/db/installed")
_SYSTEM = re.compile(r"(?:etc|usr/lib)/os-release")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True)
class Package:
    """A package of an image.

    Attributes:
        kind: the type of its package URL: npm, pypi, deb or apk.
        architecture: of a package of the system, empty otherwise.
        private: whether its manifest says that no registry has it.
        locations: where the image has it.
    """

    kind: str
    name: str
    version: str
    architecture: str = ""
    private: bool = False
    locations: tuple[str, ...] = ()


def is_wanted(path: str) -> bool:
    """Return whether a file of an image, by its path without a leading slash, says something of packages."""
    return any(pattern.fullmatch(path) for pattern in (_NODE, _PYTHON, _DPKG, _APK, _SYSTEM))


def packages(files: Mapping[str, str]) -> list[Package]:
    """Return the packages that files name, by their paths; what cannot be read names none."""
    found: dict[tuple[str, ...], Package] = {}
    for path in sorted(files):
        for package in _read(path, files[path]):
            key = (package.kind, package.name, package.version, package.architecture)
            known = found.get(key, replace(package, locations=()))
            private = known.private and package.private
            found[key] = replace(known, private=private, locations=(*known.locations, *package.locations))
    return [found[key] for key in sorted(found)]


def _read(path: str, text: str) -> Iterable[Package]:
    if _NODE.fullmatch(path):
        return _npm(path, text)
    if _PYTHON.fullmatch(path):
        return _pypi(path, text)
    if _DPKG.fullmatch(path):
        return _deb(path, text)
    return _apk(path, text) if _APK.fullmatch(path) else ()


def _npm(path: str, text: str) -> Iterator[Package]:
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        return
    says = manifest if isinstance(manifest, dict) else {}
    name, version = says.get("name"), says.get("version")
    if name and version and isinstance(name, str) and isinstance(version, str):
        place = f"/{path.rpartition('/')[0]}"
        yield Package("npm", name, version, private=says.get("private") is True, locations=(place,))


def _pypi(path: str, text: str) -> Iterator[Package]:
    says = _fields(text.partition("\n\n")[0])
    if says.get("Name") and says.get("Version"):
        name = re.sub(r"[-_.]+", "-", says["Name"]).lower()
        yield Package("pypi", name, says["Version"], locations=(f"/{path.rpartition('/')[0]}",))


def _deb(path: str, text: str) -> Iterator[Package]:
    for paragraph in _PARAGRAPHS.split(text):
        says = _fields(paragraph)
        # Images without a package manager have a file for each package, without its state.
        installed = says.get("Status", "install ok installed").endswith(" installed")
        if installed and says.get("Package") and says.get("Version"):
            yield Package(
                "deb", says["Package"], says["Version"], says.get("Architecture", ""), locations=(f"/{path}",)
            )


def _fields(paragraph: str) -> dict[str, str]:
    """Return the first lines of the fields of a paragraph, as RFC 822 and deb822(5) have them."""
    lines = [line.partition(":") for line in paragraph.splitlines() if line[:1].strip()]
    return {name: value.strip() for name, _colon, value in lines}


def _apk(path: str, text: str) -> Iterator[Package]:
    for paragraph in _PARAGRAPHS.split(text):
        says = dict(reversed([line.split(":", 1) for line in paragraph.splitlines() if line[1:2] == ":"]))
        if says.get("P") and says.get("V"):
            yield Package("apk", says["P"], says["V"], says.get("A", ""), locations=(f"/{path}",))


def system(files: Mapping[str, str]) -> System:
    """Return the distribution that files tell of, and its version."""
    found = os_release.system(files.get("etc/os-release") or files.get("usr/lib/os-release") or "")
    return System(found.id, found.version)


def purl(package: Package, of: System) -> str:
    """Return the package URL of a package in an image with this distribution."""
    namespace = ""
    if package.kind in ("deb", "apk"):
        namespace = of.id or {"deb": "debian", "apk": "alpine"}[package.kind]
    distro = f"{of.id}-{of.version}" if of.id and of.version else ""
    qualifiers = {"arch": package.architecture, "distro": distro if namespace else ""}
    query = "&".join(f"{key}={_escaped(value)}" for key, value in qualifiers.items() if value)
    # The scope of an npm package is its namespace.
    parts = filter(None, [package.kind, namespace, *package.name.split("/")])
    return f"pkg:{'/'.join(map(_escaped, parts))}@{_escaped(package.version)}" + (f"?{query}" if query else "")


def _escaped(text: str) -> str:
    return quote(text, safe=":")


def bill(name: str, identity: str, found: Iterable[Package], of: System) -> str:
    """Return the bill of materials of an image.

    Args:
        name: what the image is called.
        identity: which image it is, as ``images.identity`` says.
    """
    components = [_system(of)] if of.id else []
    components += [_component(package, of) for package in found]
    data = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, identity)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": identity, "name": name, "version": identity}},
        "components": components,
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _system(of: System) -> dict[str, Any]:
    version = {"version": of.version} if of.version else {}
    return {"type": "operating-system", "bom-ref": f"os:{of.id}", "name": of.id, **version}


def _component(package: Package, of: System) -> dict[str, Any]:
    named = purl(package, of)
    private = {"properties": [{"name": "npm:private", "value": "true"}]} if package.private else {}
    return {
        "type": "library",
        "bom-ref": named,
        "name": package.name,
        "version": package.version,
        "purl": named,
        **private,
        "evidence": {"occurrences": [{"location": place} for place in package.locations]},
    }


@dataclass(frozen=True)
class Known:
    """What a bill of materials that is there says: of which image, how many packages, and npm's public ones."""

    identity: str
    packages: int
    npm: Mapping[str, tuple[str, ...]]


def parse(text: str) -> Optional[Known]:
    """Read a bill of materials of ours, None when it is none."""
    try:
        data = json.loads(text)
        libraries = [component for component in data["components"] if component["type"] == "library"]
        npm: dict[str, tuple[str, ...]] = {}
        for library in libraries:
            if library["purl"].startswith("pkg:npm/") and not library.get("properties"):
                npm[library["name"]] = (*npm.get(library["name"], ()), library["version"])
        return Known(str(data["metadata"]["component"]["version"]), len(libraries), npm)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
