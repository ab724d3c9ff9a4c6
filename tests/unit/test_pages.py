# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages in docs and the README say of the collection: links, commands, names, quoted messages and figures."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command import cli
from ansible_collections.ptnextjs.docker_vps.tests.support import guide, messages, variables
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

PAGES = sorted([Path("README.md"), *(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md"))])
# Tables with one of these in their heading quote messages, in backticks.
QUOTING = ("It says", "You see")
# What they quote of others.
FOREIGN = {"Attempting to decrypt but no vault secrets found": "Ansible", "unable to open database file": "SQLite"}


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", text_of(page))


def blocks(page: Path) -> list[guide.Block]:
    return guide.blocks(str(page), text_of(page))


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@functools.lru_cache(maxsize=None)
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    titles = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text(encoding="utf-8")))
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def broken(page: Path, link: str) -> str:
    """Return why a link leads nowhere, or nothing."""
    path, _hash, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    if not target.resolve().is_relative_to(ROOT.resolve()) or not target.exists():
        return f"{page}: {link} is not there"
    if anchor and (target.suffix != ".md" or anchor not in anchors(target)):
        return f"{page}: {link} has no such heading"
    return ""


def test_each_link_leads_somewhere() -> None:
    found = [(page, link) for page in PAGES for link in links(page)]
    assert len(found) > 250
    assert [why for page, link in found if (why := broken(page, link))] == []


@pytest.mark.parametrize(
    "link", ["nothing.md", "deploy.md#nothing", "#nothing", "../../etc/passwd", "status.png#nothing"]
)
def test_a_link_that_leads_nowhere_is_found(link: str) -> None:
    assert broken(Path("docs/update.md"), link)


def test_each_page_has_the_blocks_that_are_counted() -> None:
    found = {str(page): blocks(page) for page in PAGES if blocks(page)}
    assert {
        page: (len(every), sum(not block.why_not for block in every)) for page, every in found.items()
    } == guide.BLOCKS


def test_each_block_of_a_shell_is_one_that_is_run_or_marked() -> None:
    """Another language or another mark would have it left out unnoticed."""
    languages = {"", "dockerfile", "sh", "yaml"}
    for page in PAGES:
        assert set(re.findall(r"(?m)^ *```(\S*)$", text_of(page))) <= languages, page
        marks = re.findall(r"<!--.*not run.*-->", text_of(page))
        assert marks == [f"<!-- not run: {block.why_not} -->" for block in blocks(page) if block.why_not], page


def test_each_page_is_in_the_navigation_of_the_site() -> None:
    listed = re.findall(r"(?m)^docs/(\w+)$", (ROOT / "docs/docsite/index.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(page.stem for page in PAGES if page.parent.name == "docs")


def names(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text names of ours, each with its kind."""
    for kind, pattern in (
        ("playbook", r"ansible-playbook(?: -\S+)* ptnextjs\.docker_vps\.(\w+)"),
        ("playbook", r"ansible-playbook ([a-z]\w*)\.yml"),
        ("anything", r"(?<!LABEL )ptnextjs\.docker_vps\.(\w+)"),
        ("variable", r"\b(docker_vps_\w+)\b"),
        ("target", r"(?m)(?:^|`)make ([a-z][\w-]*)"),
        ("job", r"(?:bin/|`)docker-vps (?:--\w+ )*([a-z]+)"),
    ):
        yield from ((kind, name) for name in re.findall(pattern, text))


@functools.lru_cache(maxsize=None)
def known(kind: str) -> set[str]:
    """Return the names that there are of a kind."""
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    if kind == "playbook":
        return playbooks
    if kind == "variable":
        return {*variables.variables(), "docker_vps_failure"}
    if kind == "target":
        return set(re.findall(r"(?m)^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    if kind == "job":
        return set(cli._JOBS)
    plugins = {
        path.stem for kind in ("modules", "filter", "lookup") for path in (ROOT / f"plugins/{kind}").glob("*.py")
    }
    return playbooks | plugins | {path.name for path in (ROOT / "roles").iterdir()}


def unknown(text: str) -> list[str]:
    """Return the names in a text that nothing has."""
    return [
        f"{kind} {name}"
        for kind, name in names(text)
        if name not in known(kind) and not (kind == "variable" and name.endswith("_"))
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_only_what_there_is(page: Path) -> None:
    assert unknown(text_of(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "ansible-playbook ptnextjs.docker_vps.undeploy -i prod",
        "ansible-playbook ptnextjs.docker_vps.env_file -i prod",
        "ansible all -m ptnextjs.docker_vps.nothing",
        "-e docker_vps_nothing=1",
        "make nothing",
        "/opt/ptnextjs/bin/docker-vps nothing",
    ],
)
def test_a_name_that_nothing_has_is_found(text: str) -> None:
    assert unknown(text)


def quotes(page: Path) -> Iterator[str]:
    """Yield what the tables of a page quote."""
    for table in re.findall(r"(?m)^\|.*\n\| ---.*\n(?:\|.*\n)+", prose(page)):
        head, _line, *rows = [re.split(r" *(?<!\\)\| *", row.strip())[1:-1] for row in table.splitlines()]
        for column in (number for number, title in enumerate(head) if title in QUOTING):
            for row in rows:
                yield from re.findall(r"`([^`]+)`", row[column])


FILLED = re.compile(r"(?s)\{\{.*?\}\}|\{%.*?%\}|<[^<>]+>|\$\{[^}]*\}|\$\w+")


def constants(source: str) -> Iterator[str]:
    """Yield the strings in a Python file, with … for what they are filled with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
            yield constant(node)


def constant(node: ast.expr) -> str:
    """Return a string as it stands in the code."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(constant, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return constant(node.left) + constant(node.right)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"


@functools.lru_cache(maxsize=None)
def said() -> str:
    """Return what the code can say: its failures, its strings, and the files from which all else comes."""
    folders = ("tasks", "vars", "files", "templates")
    files = [path for folder in folders for path in (ROOT / "roles").glob(f"*/{folder}/*")]
    files += (ROOT / "playbooks").rglob("*.yml")
    found = [path.read_text(encoding="utf-8") for path in files] + [one.text for one in messages.every()]
    for path in (ROOT / "plugins").rglob("*.py"):
        found += constants(path.read_text(encoding="utf-8"))
    return "\n".join(" ".join(FILLED.sub("…", text.replace('\\"', '"')).split()) for text in found)


def unsaid(quote: str) -> list[str]:
    """Return the pieces of a quote that nothing says; … stands for what the code fills in."""
    pieces = [piece.strip(" ;:,.") for piece in re.split(r"…|<[^>]+>", quote)]
    return [piece for piece in pieces if piece not in said() and quote not in FOREIGN]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "messages.md"], ids=str)
def test_what_is_quoted_can_be_said(page: Path) -> None:
    assert [piece for quote in quotes(page) for piece in unsaid(quote)] == []


def test_quotes_are_found_and_checked() -> None:
    found = {page.stem: len(list(quotes(page))) for page in PAGES}
    assert {stem: found[stem] for stem in ("migration", "oncall", "quickstart", "troubleshooting")} == {
        "migration": 3,
        "oncall": 16,
        "quickstart": 4,
        "troubleshooting": 37,
    }
    assert unsaid("The server refuses the cat, or … was given") == ["The server refuses the cat, or"]


def medians() -> dict[str, str]:
    """Return the medians of benchmarks/results.md, by section and row."""
    found, section = {}, ""
    for line in (ROOT / "benchmarks/results.md").read_text(encoding="utf-8").splitlines():
        section = line.removeprefix("## ") if line.startswith("## ") else section
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7:
            found[f"{section}, {cells[1]}"] = cells[2]
    return found


def test_figures_are_about_those_of_the_benchmarks() -> None:
    rows = re.findall(r"(?m)^\| (.+?) \| ([\d.]+)((?: \S+)?) \| (\w+, .+) \|$", text_of(Path("docs/scaling.md")))
    assert len(rows) == 12
    for _what, figure, unit, where in rows:
        number, _space, measured_in = medians()[where].partition(" ")
        assert (unit.strip(), float(number)) == (measured_in, pytest.approx(float(figure), rel=0.3)), where


def test_the_glossary_is_short() -> None:
    rows = re.findall(r"(?m)^\| ([^|]+) \| [^|]+ \| \[[^|]+ \|$", text_of(Path("docs/glossary.md")))
    assert 10 <= len(rows) <= 15
    assert rows == sorted(rows)


def test_the_comparison_has_a_source_for_each_claim_about_others() -> None:
    rows = re.findall(r"(?m)^\| ([^|]*[^-| ][^|]*) \| ([^|]+) \| ([^|]+) \|$", text_of(Path("docs/comparison.md")))
    others = {what: other.strip() for what, other, _ours in rows if what.strip() != "Tool"}
    claims = [(what, other) for what, other in others.items() if other not in ("There", "not found")]
    assert len(claims) > 30
    assert [what for what, other in claims if "](http" not in other] == []


def test_the_picture_can_be_read_by_those_who_do_not_see_it() -> None:
    picture = (ROOT / "docs/concepts.svg").read_text(encoding="utf-8")
    assert re.search(r'<svg [^>]*role="img"[^>]*aria-labelledby="title desc"', picture)
    assert all(re.search(rf'<{name} id="{name}">\w', picture) for name in ("title", "desc"))


def test_the_tarball_that_the_quickstart_unpacks_has_its_requirements() -> None:
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8")).get("build_ignore", [])
    assert "requirements.txt" in text_of(Path("docs/quickstart.md"))
    assert not {"requirements.txt", "requirements*", "*.txt"} & set(ignored)
