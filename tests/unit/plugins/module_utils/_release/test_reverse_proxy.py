# SPDX-License-Identifier: GPL-3.0-or-later
"""How a reverse proxy gets another configuration, and what becomes of it when it does not bear it."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.reverse_proxy import Found, Site
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.reverse_proxy import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.support.certificates import certificate
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock

SHOP, BLOG = Site("shop", ["shop.test"], "shop.test {}\n"), Site("blog", ["blog.test"], "blog.test {}\n")


class Container:
    """A proxy that runs what is in its folder when it starts or is reloaded, unless it does not bear it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[str] = []
        self.found: Optional[Found] = None
        self.port: Optional[tuple[int, str, str]] = None
        self.image = True
        self.running = ""
        self.validates: Callable[[str], bool] = lambda _text: True
        self.bears: Callable[[str], bool] = lambda _text: True

    def text(self) -> str:
        paths = sorted((self.directory / "config").rglob("*.caddy"))
        return "".join(path.read_text() for path in paths)

    def look(self) -> Optional[Found]:
        return self.found

    def has_image(self) -> bool:
        return self.image

    def taken(self) -> Optional[tuple[int, str, str]]:
        return self.port

    def validate(self, tree: str) -> None:
        self.asked.append("validate")
        if not self.validates("".join(path.read_text() for path in sorted(Path(tree).rglob("*.caddy")))):
            raise DockerVpsError("The command docker run ended with code 1: no such directive")

    def up(self, directory: str) -> None:
        self.asked.append("up")
        if not self.found:
            self.read()
        self.found = Found(True, ["proxy"])

    def reload(self) -> None:
        self.asked.append("reload")
        self.read()

    def read(self) -> None:
        if self.bears(self.text()):
            self.running = (self.directory / "config/generation.caddy").read_text().split('"')[1]

    def generation(self) -> str:
        return self.running if self.found else ""

    def last_lines(self) -> str:
        return "its last line"

    def remove(self) -> None:
        self.asked.append("remove")
        self.found = None


def params(place: Path, site: Site, state: str = "present", **others: str) -> Params:
    given = {"network": "proxy", "definition": "services: {}\n", **others}
    return Params(state, "caddy", "front", str(place), config="import\n", page="<p>\n", site=site, **given)


@dataclasses.dataclass
class World:
    place: Path
    proxy: Container

    def run(self, site: Site, state: str = "present", check: bool = False, **others: str) -> dict[str, Any]:
        self.proxy.asked.clear()
        clock = FakeClock()
        return run(params(self.place, site, state, **others), self.proxy, check, clock.now, clock.sleep)

    def refused(self, site: Site, state: str = "present", **others: str) -> str:
        before = self.files()
        with pytest.raises(DockerVpsError) as caught:
            self.run(site, state, **others)
        assert self.files() == before
        return caught.value.message

    def files(self) -> dict[str, str]:
        paths = [path for path in self.place.rglob("*") if path.is_file() and path.name != ".lock"]
        return {str(path.relative_to(self.place)): path.read_text() for path in paths}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "front", Container(tmp_path / "front"))


def test_the_first_site_and_the_second(world: World) -> None:
    assert world.run(SHOP, check=True)["changed"] is True
    assert not world.place.exists()
    first = world.run(SHOP)
    assert (first["action"], world.proxy.asked) == ("started", ["validate", "validate", "up"])
    assert first["files"][-2:] == ["compose.yml", "maintenance/index.html"]
    assert first["diff"]["after"].endswith("shop.test {}\n")
    again = world.run(SHOP)
    assert (again["changed"], again["files"], world.proxy.asked) == (False, [], [])
    second = world.run(BLOG)
    assert (second["action"], second["files"]) == ("reloaded", ["generation.caddy", "sites/blog.caddy"])
    assert world.proxy.asked == ["validate", "reload"]


def test_a_page_of_ones_own_is_left_alone(world: World) -> None:
    world.run(SHOP)
    (world.place / "maintenance/index.html").write_text("mine")
    assert world.run(SHOP)["changed"] is False
    assert world.files()["maintenance/index.html"] == "mine"


def test_what_runs_is_compared_and_not_what_lies_there(world: World) -> None:
    world.run(SHOP)
    world.proxy.running = "what was before"
    assert world.run(SHOP, check=True)["action"] == "reloaded"
    assert world.run(SHOP)["action"] == "reloaded"
    assert world.run(SHOP)["changed"] is False


def test_a_definition_that_changes_and_a_proxy_that_stopped(world: World) -> None:
    world.run(SHOP)
    changed = world.run(SHOP, definition="services: {proxy: {}}\n")
    assert (changed["action"], changed["files"]) == ("started", ["compose.yml"])
    world.proxy.found = Found(False, ["proxy"])
    assert world.run(SHOP, definition="services: {proxy: {}}\n")["action"] == "started"


def test_a_configuration_that_is_refused_changes_nothing(world: World) -> None:
    world.run(SHOP)
    world.proxy.validates = lambda text: "blog" not in text
    message = world.refused(BLOG)
    assert message.startswith("The reverse proxy refuses what its configuration would be, so nothing was changed")
    assert message.endswith("no such directive")
    world.proxy.image = False
    assert world.run(BLOG, check=True)["changed"] is True


def test_one_that_does_not_run_is_put_back(world: World) -> None:
    world.run(SHOP)
    runs = world.proxy.running
    world.proxy.bears = lambda text: "blog" not in text
    message = world.refused(BLOG)
    assert message.startswith("60 s after it was told, the reverse proxy does not serve its new configuration.")
    assert "The end of its log: its last line" in message
    assert message.endswith("Its files are as they were before, and it runs with those again.")
    assert world.proxy.running == runs


def test_the_first_one_that_does_not_run(world: World) -> None:
    world.proxy.bears = lambda _text: False
    with pytest.raises(DockerVpsError, match=r"as they were before, and it does not run\.$"):
        world.run(SHOP)
    assert world.proxy.found is None
    assert world.files().keys() == {"maintenance/index.html"}


def test_one_that_does_not_run_with_the_old_one_either(world: World) -> None:
    world.run(SHOP)
    world.proxy.bears = lambda _text: False
    world.proxy.running = "something"
    assert "and it does not run with those either: 60 s after" in world.refused(BLOG)


def test_a_certificate_is_kept_secret_and_checked(world: World, tmp_path: Path) -> None:
    text, key = certificate(tmp_path, "shop.test", days=3)
    site = dataclasses.replace(SHOP, certificate=text, key=key)
    assert "ends in 3 days" in world.run(site)["warnings"][0]
    path = world.place / "config/certificates/shop.key"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (key, 0o600)
    message = world.refused(dataclasses.replace(site, domains=["blog.test"]))
    assert message.endswith("Nothing was changed.")
    assert world.run(SHOP)["files"] == ["certificates/shop.key", "certificates/shop.pem", "generation.caddy"]
    assert not path.exists()


def test_what_is_in_the_way(world: World) -> None:
    world.proxy.port = (443, "udp", "the process caddy (7)")
    assert world.refused(SHOP).startswith("Port 443/udp of this host is taken by the process caddy (7).")
    assert not world.place.exists()
    world.proxy.port = None
    world.proxy.found = Found(True, ["web"])
    assert world.refused(SHOP).startswith("There is a container front already, which")
    world.proxy.found = None
    world.run(SHOP)
    assert "serves other sites on the network proxy, and this one would be on web." in world.refused(
        BLOG, network="web"
    )
    # There is nobody else.
    world.proxy.found = Found(True, ["proxy"])
    assert world.run(SHOP, network="web", definition="networks: {}\n")["action"] == "started"


def test_a_site_that_goes(world: World) -> None:
    assert world.run(SHOP, "site_absent")["changed"] is False
    assert world.run(SHOP, "absent")["changed"] is False
    world.run(SHOP)
    world.run(BLOG)
    assert "sites/blog.caddy of other applications would not be served" in world.refused(SHOP, "absent")
    assert world.run(SHOP, "site_absent", check=True)["files"] == ["generation.caddy", "sites/shop.caddy"]
    assert world.run(SHOP, "site_absent")["action"] == "reloaded"
    assert world.run(SHOP, "site_absent")["changed"] is False
    assert world.run(BLOG, "absent", check=True)["action"] == "removed"
    gone = world.run(BLOG, "absent")
    assert (gone["action"], gone["files"], world.proxy.asked) == ("removed", [str(world.place)], ["remove"])
    assert gone["warnings"] == [
        "The volume front-data with the certificates stays. To remove it: docker volume rm front-data"
    ]
    assert not world.place.exists()


def test_a_site_goes_while_the_proxy_is_stopped(world: World) -> None:
    world.run(SHOP)
    world.run(BLOG)
    world.proxy.found = Found(False, ["proxy"])
    result = world.run(SHOP, "site_absent")
    assert (result["action"], world.proxy.asked) == ("", ["validate"])
    assert "sites/shop.caddy" in result["files"]


def test_files_that_are_not_whole_do_not_count(world: World) -> None:
    world.run(SHOP)
    (world.place / "config/sites/blog.caddy.partial").write_text("half of")
    assert world.run(SHOP)["changed"] is False
    with pytest.raises(InvalidInput):
        world.run(Site("blog", ["shop.test"], ""))
