# SPDX-License-Identifier: GPL-3.0-or-later
"""The action status_page: its file, and what a real parser and the colours of its style say of that."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.status_page import ROLE, ActionModule, rendered
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.status_page import LARGEST, timeless
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import docs
from ansible_collections.ptnextjs.docker_vps.tests.unit.fleets import FLEETS, HOSTILE, NOW, facts_of


def acted(check: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
    task = Task()
    task.args, task.async_val, task.check_mode, task.diff = arguments, 0, check, diff
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    return ActionModule(task, connection, None, None, None, None).run()  # type: ignore[no-any-return]


def parsed(page: str) -> Element:
    """Return a page as a browser understands it, and fail where it would have to guess."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    root: Element = parser.parse(page)
    return root


PAGE = pytest.mark.parametrize("name", FLEETS)


@functools.lru_cache(maxsize=None)
def page_of(name: str) -> str:
    """Return the page about one of the fleets."""
    return rendered(FLEETS[name], NOW)


@PAGE
def test_a_page_is_valid(name: str) -> None:
    """All of it in one test: parsing the page of a large fleet takes seconds."""
    page = page_of(name)
    assert len(page.encode()) <= LARGEST
    root = parsed(page)
    assert_it_has_no_more_than_it_should(root)
    assert_it_can_be_heard(root, len(FLEETS[name]))


def assert_it_has_no_more_than_it_should(root: Element) -> None:
    tags = {element.tag for element in root.iter() if isinstance(element.tag, str)}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    loads = [value for element in root.iter() for key, value in element.items() if key in ("src", "href", "action")]
    assert all(value.startswith("#") for value in loads)
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on") or key == "style"]
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in loads} <= {*ids}
    named = {value for element in root.iter() for value in [element.get("aria-labelledby")] if value}
    assert named <= {*ids}
    style = root.find(".//style")
    assert style is not None
    assert "http" not in (style.text or "")
    assert "url(" not in (style.text or "")


def assert_it_can_be_heard(root: Element, hosts: int) -> None:
    assert root.get("lang") == "en"
    body = root.find("body")
    assert body is not None
    assert [child.tag for child in body] == ["a", "header", "main", "footer"]
    levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch(r"h\d", str(element.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    for table in root.iter("table"):
        assert all(cell.get("scope") == "col" for cell in table.findall("thead/tr/th"))
        assert table.find("caption") is not None or table.find("tbody/tr/th[@scope='row']") is not None
        widths = [sum(int(cell.get("colspan", "1")) for cell in row) for row in table.iter("tr")]
        assert len(set(widths)) == 1
    rows = root.findall(".//section[2]//tbody/tr")
    assert len(rows) == hosts


def test_hostile_text_stays_text() -> None:
    words = "".join(parsed(page_of("some")).itertext())
    assert words.count(HOSTILE) >= 10
    assert page_of("some").count("<script") == page_of("some").count("</style></title>") == 0


def test_the_policy_allows_the_style_and_nothing_else() -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', page_of("one"))
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'", policy
    )


def test_all_is_shown_of_a_small_fleet() -> None:
    words = "".join(parsed(page_of("one")).itertext())
    for text in ("2026-01-31 03:00", "5.9 s", "40 %", "Size of the sets: 33 KiB on 2026-01-03", "alice@laptop"):
        assert text in words
    assert "less is shown" not in words
    assert "less is shown" in page_of("many hostile")
    assert 'class="days"' in page_of("many")
    assert "Nothing was found in what was checked." in words
    assert "No host was asked." in page_of("none")


def colours() -> list[dict[str, str]]:
    """Return the colours of the light and of the dark scheme by their names."""
    style = (ROLE / "files/status.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root\{(.*?)\}", style, re.DOTALL)
    schemes = [dict(re.findall(r"--(\w+):#([0-9a-f]{6})", part)) for part in (light, dark)]
    assert schemes[0].keys() == schemes[1].keys()
    rest = style.split("*{box-sizing", 1)[1]
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|hsl", rest)
    return schemes


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours; see WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_the_measure_of_contrast_itself() -> None:
    assert contrast("ffffff", "000000") == pytest.approx(21)
    assert contrast("ffffff", "777777") == pytest.approx(4.48, abs=0.01)


def test_the_contrast_suffices_in_both_schemes() -> None:
    style = (ROLE / "files/status.css").read_text(encoding="utf-8").split("*{box-sizing", 1)[1]
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    own = [
        (re.search(r"(?<![\w-])color:var\(--(\w+)\)", does), re.search(r"background:var\(--(\w+)\)", does))
        for _selector, does in rules
    ]
    texts = [(front[1], back[1] if back else "bg") for front, back in own if front]
    edges = r"(?:border|stroke|outline)[\w-]*:[^;}]*var\(--(\w+)\)"
    drawn = {name for _selector, does in rules for name in re.findall(edges, does)}
    assert len(texts) >= 8
    assert {"line", "link"} <= drawn
    for scheme in colours():
        for front, back in texts:
            assert contrast(scheme[front], scheme[back]) >= 4.5, (front, back)
        for name in drawn:
            assert contrast(scheme[name], scheme["bg"]) >= 3, name


RESULTS = {"web1": {**facts_of(), "changed": False}, "web2": {"unreachable": True, "msg": "no route"}, "web3": {}}


def test_what_is_returned_is_what_is_documented(tmp_path: Path) -> None:
    returned = set(docs("status_page", "RETURN"))
    assert set(acted(results=RESULTS, path=str(tmp_path / "x.html"))) == returned | {"changed"}


def test_without_a_page() -> None:
    result = acted(results=RESULTS)
    assert result["changed"] is False
    assert result["summary"][0] == "web2: unreachable: no route"
    assert result["fleet"]["total"]["down"] == 2
    assert "path" not in result


def test_a_page_is_written_and_only_its_time_changes(tmp_path: Path) -> None:
    path = tmp_path / "status.html"
    before = os.umask(0o077)
    try:
        assert acted(check=True, results=RESULTS, path=str(path))["changed"] is True
        assert not path.exists()
        result = acted(diff=True, results=RESULTS, path=str(path))
    finally:
        os.umask(before)
    assert (result["changed"], result["path"]) == (True, str(path))
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"] == timeless(path.read_text())
    assert path.stat().st_mode & 0o7777 == 0o644
    path.write_text(path.read_text().replace('<time id="stated" datetime="20', '<time id="stated" datetime="19'))
    again = acted(diff=True, results=RESULTS, path=str(path))
    assert (again["changed"], "diff" in again) == (False, False)
    assert 'datetime="20' in path.read_text()
    path.chmod(0o600)
    assert acted(check=True, results=RESULTS, path=str(path))["changed"] is True
    other = {**RESULTS, "web3": RESULTS["web1"]}
    assert acted(check=True, results=other, path=str(path))["changed"] is True
    assert [file.name for file in tmp_path.iterdir()] == ["status.html"]


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"none/status.html cannot be written: No such file or directory"):
        acted(results={}, path=str(tmp_path / "none/status.html"))
