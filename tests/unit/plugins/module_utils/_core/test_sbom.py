# SPDX-License-Identifier: GPL-3.0-or-later
"""Bills of materials, of files as images have them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.os_release import System
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.sbom import (
    Package,
    bill,
    is_wanted,
    packages,
    parse,
    purl,
    system,
)

DEBIAN, ALPINE = System("debian", "12"), System("alpine", "3.22.1")
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 Version: of a line that goes on

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: held
Status: hold ok installed
Version: 1:2.0~rc1
"""
INSTALLED = """\
C:Q1abc=
P:musl
V:1.2.5-r10
A:x86_64
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755

P:nothing

P:busybox
V:1.37.0-r18
"""


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("app/node_modules/next/package.json", True),
        ("node_modules/@payloadcms/next/package.json", True),
        ("app/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json", True),
        ("app/package.json", False),
        ("app/node_modules/next/dist/package.json", False),
        ("app/node_modules/@payloadcms/package.json", False),
        ("app/node_modules/.bin/package.json", False),
        ("app/my_node_modules/a/package.json", False),
        ("var/lib/dpkg/status", True),
        ("var/lib/dpkg/status-old", False),
        ("var/lib/dpkg/status.d/base-files", True),
        ("var/lib/dpkg/status.d/base-files.md5sums", False),
        ("lib/apk/db/installed", True),
        ("usr/lib/apk/db/installed", True),
        ("opt/lib/apk/db/installed", False),
        ("etc/os-release", True),
        ("usr/lib/os-release", True),
        ("usr/lib/python3/dist-packages/foo-1.dist-info/METADATA", True),
        ("foo-1.dist-info/RECORD", False),
    ],
)
def test_which_files_name_packages(path: str, wanted: bool) -> None:
    assert is_wanted(path) is wanted


def test_packages_of_node_modules() -> None:
    files = {
        "b/node_modules/a/package.json": '{"name": "a", "version": "1.0.0", "private": true}',
        "a/node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}',
        "a/node_modules/b/package.json": '{"name": "b", "version": "2.0.0", "private": true}',
        "a/node_modules/@s/c/package.json": '{"name": "@s/c", "version": "1"}',
    }
    assert packages(files) == [
        Package("npm", "@s/c", "1", locations=("/a/node_modules/@s/c",)),
        Package("npm", "a", "1.0.0", locations=("/a/node_modules/a", "/b/node_modules/a")),
        Package("npm", "b", "2.0.0", private=True, locations=("/a/node_modules/b",)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", "[" * 100000),
        *('{"name": "a"}', '{"version": "1"}', '{"name": 1, "version": "1"}', '{"name": "a", "version": {}}'),
    ],
)
def test_a_manifest_that_names_no_package(text: str) -> None:
    assert packages({"node_modules/a/package.json": text}) == []


def test_packages_of_the_system() -> None:
    assert packages({"var/lib/dpkg/status": STATUS}) == [
        Package("deb", "held", "1:2.0~rc1", locations=("/var/lib/dpkg/status",)),
        Package("deb", "libc6", "2.36-9+deb12u10", "amd64", locations=("/var/lib/dpkg/status",)),
    ]
    alone = packages({"var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2026a-0\nArchitecture: all\n"})
    assert alone == [Package("deb", "tzdata", "2026a-0", "all", locations=("/var/lib/dpkg/status.d/tzdata",))]
    assert packages({"lib/apk/db/installed": INSTALLED}) == [
        Package("apk", "busybox", "1.37.0-r18", locations=("/lib/apk/db/installed",)),
        Package("apk", "musl", "1.2.5-r10", "x86_64", locations=("/lib/apk/db/installed",)),
    ]


def test_packages_of_python() -> None:
    path = "usr/lib/python3/site-packages/Typing_Extensions-4.dist-info/METADATA"
    text = "Metadata-Version: 2.1\nName: Typing.Extensions\nVersion: 4.1\n\nVersion: no field any more\n"
    place = "/usr/lib/python3/site-packages/Typing_Extensions-4.dist-info"
    assert packages({path: text}) == [Package("pypi", "typing-extensions", "4.1", locations=(place,))]
    assert packages({path: "Name: x\n"}) == []


def test_other_files_name_none() -> None:
    assert packages({"etc/os-release": "ID=debian\n", "anything": "Package: a\nVersion: 1\n"}) == []


def test_which_system_it_is() -> None:
    text = 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n# no pair\n'
    assert system({"etc/os-release": text}) == DEBIAN
    assert system({"usr/lib/os-release": "ID='alpine'\nVERSION_ID=3.22.1"}) == ALPINE
    assert system({}) == System()


@pytest.mark.parametrize(
    ("package", "of", "named"),
    [
        (Package("npm", "lodash", "4.17.21"), DEBIAN, "pkg:npm/lodash@4.17.21"),
        (Package("npm", "@payloadcms/next", "3.0.0-beta.1+b"), DEBIAN, "pkg:npm/%40payloadcms/next@3.0.0-beta.1%2Bb"),
        (Package("pypi", "django", "1.11.1"), ALPINE, "pkg:pypi/django@1.11.1"),
        (
            Package("deb", "libc6", "1:2.36-9+deb12u10", "amd64"),
            DEBIAN,
            "pkg:deb/debian/libc6@1:2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
        ),
        (Package("deb", "g++", "12"), System(), "pkg:deb/debian/g%2B%2B@12"),
        (Package("apk", "musl", "1-r0", "x86_64"), ALPINE, "pkg:apk/alpine/musl@1-r0?arch=x86_64&distro=alpine-3.22.1"),
        (Package("apk", "musl", "1-r0"), System("wolfi", ""), "pkg:apk/wolfi/musl@1-r0"),
    ],
)
def test_package_urls(package: Package, of: System, named: str) -> None:
    assert purl(package, of) == named


FOUND = [
    Package("deb", "libc6", "2.36", "amd64", locations=("/var/lib/dpkg/status",)),
    Package("npm", "a", "1.0.0", locations=("/a/node_modules/a",)),
    Package("npm", "a", "2.0.0", locations=("/b/node_modules/a",)),
    Package("npm", "own", "1.0.0", private=True, locations=("/a/node_modules/own",)),
]


def test_a_bill_is_cyclonedx_and_the_same_each_time() -> None:
    text = bill("shop-app", "sha256:1", FOUND, DEBIAN)
    assert text == bill("shop-app", "sha256:1", list(FOUND), DEBIAN)
    data: Any = json.loads(text)
    assert (data["bomFormat"], data["specVersion"], data["version"]) == ("CycloneDX", "1.5", 1)
    assert data["serialNumber"].startswith("urn:uuid:")
    assert data["serialNumber"] != json.loads(bill("shop-app", "sha256:2", FOUND, DEBIAN))["serialNumber"]
    assert data["metadata"]["component"] == {
        "type": "container",
        "bom-ref": "sha256:1",
        "name": "shop-app",
        "version": "sha256:1",
    }
    system_itself, *libraries = data["components"]
    assert system_itself == {"type": "operating-system", "bom-ref": "os:debian", "name": "debian", "version": "12"}
    references = [one["bom-ref"] for one in data["components"]]
    assert len(set(references)) == len(references) == 5
    assert libraries[1] == {
        "type": "library",
        "bom-ref": "pkg:npm/a@1.0.0",
        "name": "a",
        "version": "1.0.0",
        "purl": "pkg:npm/a@1.0.0",
        "evidence": {"occurrences": [{"location": "/a/node_modules/a"}]},
    }
    assert libraries[3]["properties"] == [{"name": "npm:private", "value": "true"}]
    assert json.loads(bill("x", "1", [], System()))["components"] == []
    assert "version" not in json.loads(bill("x", "1", [], System("wolfi")))["components"][0]


def test_a_bill_is_read_again() -> None:
    known = parse(bill("shop-app", "sha256:1", FOUND, DEBIAN))
    assert known
    assert (known.identity, known.packages, known.npm) == ("sha256:1", 4, {"a": ("1.0.0", "2.0.0")})
    for text in ("", "{", "[]", "{}", '{"components": [{"type": "library"}]}', '{"components": [1]}', "[" * 100000):
        assert parse(text) is None
