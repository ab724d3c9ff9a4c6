# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about a fleet in a real browser: what it loads, how wide it is, and what screen readers are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.action.status_page import rendered
from ansible_collections.ptnextjs.docker_vps.tests.unit.fleets import FLEETS, NOW
from chromium import Chromium, chromium

SHOTS = os.environ.get("SHOTS", "")
"""Where pictures of what was checked are left, if anywhere."""
WIDTHS = (1280, 390)  # pixels


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(params=FLEETS)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param.replace(' ', '-')}.html"
    path.write_text(rendered(FLEETS[request.param], NOW), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_loads_nothing_and_is_as_wide_as_the_window(browser: Chromium, page: Path, width: int, dark: bool) -> None:
    browser.visit(page, width, dark)
    if SHOTS:
        browser.shoot(Path(SHOTS) / f"{page.stem}-{width}-{'dark' if dark else 'light'}.png")
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []  # such as of a style that the policy of the page forbids, or of a dialogue
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    # All in the page that is wider than the window is in something that scrolls by itself.
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
    assert browser.evaluate(f"{wide} && !e.closest('.wide')).map(e => e.outerHTML.slice(0, 80))") == []
    colours = browser.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (colours[1] == "rgb(255, 255, 255)") is not dark
    assert colours[0] != colours[1]


def test_what_screen_readers_are_told(browser: Chromium, page: Path) -> None:
    browser.visit(page, WIDTHS[0])
    tree = browser.tree()
    roles = [part["role"] for part in tree]
    assert [roles.count(role) for role in ("banner", "main", "contentinfo")] == [1, 1, 1]
    regions = [part["name"] for part in tree if part["role"] == "region"]
    assert regions[:2] == ["Findings", "Fleet"]
    assert "" not in regions
    tables = [part["name"] for part in tree if part["role"] == "table"]
    assert tables[0].startswith("Each host with what is live there")
    assert roles.count("columnheader") >= 12
    fleet = FLEETS[page.stem.replace("-", " ")]
    down = sum("down" in facts for facts in fleet.values())
    links = [part["name"] for part in tree if part["role"] == "link"]
    assert len(links) >= 1 + len(fleet) - down
    assert all(links)


def test_the_keyboard_reaches_the_table_and_a_link_opens_its_host(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "some.html"
    path.write_text(rendered(FLEETS["some"], NOW), encoding="utf-8")
    browser.visit(path, WIDTHS[1])
    focused = []
    for _turn in range(12):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        focused.append(browser.evaluate("document.activeElement.className || document.activeElement.tagName"))
    assert focused[0] == "skip"
    assert "wide" in focused
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 0
    browser.evaluate("document.querySelector('tbody a').click()")
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 1
