# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a host that may have nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.engine_packages import Wanted
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.os_release import System, system
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.engine_setup import (
    OWN_PYTHON,
    Params,
    run,
)

TRIXIE = (
    'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n# a comment=x\n\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n'
)


class Bare:
    """A host with what a test says."""

    def __init__(self, **has: Any) -> None:
        self.python, self.sdk = has.get("python", OWN_PYTHON), has.get("sdk", False)
        self.has = has

    def sdk_fault(self) -> str:
        return str(self.has.get("fault", ""))

    def absent(self, commands: Sequence[str]) -> list[str]:
        return [command for command in commands if command not in self.has.get("commands", ())]

    def plugin_versions(self, plugins: Sequence[str]) -> list[str]:
        return [self.has.get(plugin, "") for plugin in plugins]

    def installed(self) -> set[str]:
        return set(self.has.get("packages", ()))

    def version(self) -> str:
        return str(self.has.get("engine", ""))

    def holders_of_its_socket(self) -> Sequence[str]:
        return list(self.has.get("holders", ()))


def seen(host: Bare, source: str = "docker") -> Any:
    params = Params(Wanted("25.0", "2.20", source), ["git"], system(TRIXIE))
    return run(params, host, host, host)


def test_a_bare_host() -> None:
    result = seen(Bare())
    assert result["packages"][:1] == ["docker-ce"]
    assert result["packages"][-2:] == ["git", "python3-docker"]
    assert (result["repository"], result["changed"], result["warnings"]) == (True, False, [])
    assert (result["distribution"], result["codename"]) == ("debian", "trixie")


def test_one_that_has_all() -> None:
    result = seen(Bare(engine="28.5.2", compose="2.40.3", buildx="0.29.1", sdk=True, commands=["git"]))
    assert (result["packages"], result["repository"]) == ([], False)
    assert (result["engine_version"], result["compose_version"], result["buildx_version"]) == (
        "28.5.2",
        "2.40.3",
        "0.29.1",
    )


def test_a_repository_that_was_named_before_is_looked_after(tmp_path: Path) -> None:
    """Another entry that came meanwhile would stop every run of apt."""
    host = Bare(engine="28.5.2", compose="2.40.3", buildx="0.29.1", sdk=True)
    params = Params(Wanted("25.0", "2.20", "docker"), [], system(TRIXIE), str(tmp_path / "docker.sources"))
    assert run(params, host, host, host)["repository"] is False
    for text, ours in (("Types: deb\n", False), ("# Written by ptnextjs.docker_vps.\nTypes: deb\n", True)):
        Path(params.apt_source).write_text(text)
        assert run(params, host, host, host)["repository"] is ours


def test_the_sdk_of_another_python() -> None:
    with pytest.raises(InvalidInput, match=r"is to be installed for /opt/venv/bin/python, and the distribution has it"):
        seen(Bare(python="/opt/venv/bin/python"))
    assert "python3-docker" not in seen(Bare(python="/opt/venv/bin/python", sdk=True))["packages"]


def test_an_sdk_whose_parts_do_not_go_together() -> None:
    fault = "docker 5.0.3 in /usr/lib/python3/dist-packages, requests 2.32.3 in /usr/local: Not supported URL scheme"
    with pytest.raises(InvalidInput, match=r"does not work: docker 5.0.3 in .*uninstall.* Nothing was changed.$"):
        seen(Bare(sdk=True, fault=fault))


def test_who_may_not_bear_a_newer_engine() -> None:
    old = {"engine": "24.0.7", "packages": ["docker.io"], "holders": ["traefik", "autoheal"]}
    (warning,) = seen(Bare(**old))["warnings"]
    assert warning.startswith("Engine 24.0.7 is replaced by a newer one")
    assert warning.endswith("work afterwards: traefik, autoheal.")
    assert seen(Bare(**{**old, "engine": "26.1.5"}))["warnings"] == []
    assert seen(Bare(**{**old, "holders": []}))["warnings"] == []


def test_a_host_that_does_not_say_what_it_is() -> None:
    host = Bare()
    with pytest.raises(InvalidInput, match="This host runs an unknown system"):
        run(Params(Wanted("25", "2.20", "docker"), [], System()), host, host, host)
