# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of the real application with a real migration, while people use it: criterion 10 of the specification.

The migration adds a column and then makes names unique, which fails as long as two vendors have the same one: half-way,
and without a transaction. So one new version, which is built once, tells what becomes of both an update that fails and
one that succeeds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml
from lab import ROOT, App, Played, commit, copied, inspect, request, until
from payload import ACTIONS_KEY, AGAIN, PASSWORD, PICTURE, Site, stored
from traffic import Report, Traffic, proxy

PORT, RATE = 8099, 10
SECRET = "c0ffee5eed5a1ad0" * 4
MIGRATION = "20261201_120000_phone"
MIGRATION_SOURCE = """\
import { MigrateDownArgs, MigrateUpArgs, sql } from '@payloadcms/db-sqlite'

export async function up({ db }: MigrateUpArgs): Promise<void> {
  await db.run(sql`ALTER TABLE \\`vendors\\` ADD \\`phone\\` text;`)
  await db.run(sql`CREATE UNIQUE INDEX \\`vendors_name_idx\\` ON \\`vendors\\` (\\`name\\`);`)
}

export async function down({ db }: MigrateDownArgs): Promise<void> {
  await db.run(sql`DROP INDEX \\`vendors_name_idx\\`;`)
  await db.run(sql`ALTER TABLE \\`vendors\\` DROP COLUMN \\`phone\\`;`)
}
"""


def change(sources: Path) -> None:
    """Make the new version: a vendor has a telephone and a name that no other one has, and pages are made again."""
    vendors = sources / "collections/Vendors.ts"
    name = "{ name: 'name', type: 'text', required: true }"
    text = vendors.read_text()
    assert name in text
    new = f"{name.replace(' }', ', unique: true }')},\n    {{ name: 'phone', type: 'text' }}"
    vendors.write_text(text.replace(name, new))
    (sources / f"migrations/{MIGRATION}.ts").write_text(MIGRATION_SOURCE)
    index = sources / "migrations/index.ts"
    text = index.read_text().replace("];", f"  {{ up: added.up, down: added.down, name: '{MIGRATION}' }},\n];")
    index.write_text(f"import * as added from './{MIGRATION}';\n{text}")
    for path, text in AGAIN.items():
        (sources / path).parent.mkdir(parents=True, exist_ok=True)
        (sources / path).write_text(text)
    commit(sources)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example application in a git repository of its own."""
    path = copied(ROOT / "examples/payload-app", tmp_path_factory.mktemp("sources") / "app")
    commit(path)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Iterator[Site]:
    """The application as it was, with some content, behind the documented reverse proxy."""
    variables = {
        "docker_vps_git_url": f"file://{sources}",
        "docker_vps_payload_secret": SECRET,
        "docker_vps_server_actions_key": ACTIONS_KEY,
        "docker_vps_health_wait": 60,
        "docker_vps_read_only": True,
    }
    app = App("site", tmp_path_factory.mktemp("acceptance"), **variables)
    app.remove()
    try:
        app.deploy().succeeded()
        with proxy("acceptance-proxy", app, PORT) as url:
            site = Site(app, url)
            site.fill()
            yield site
    finally:
        app.remove()


def open_form(site: Site) -> tuple[str, int]:
    """Open a page that has a Server Action; return its id, and the status with which it answers."""
    found = re.search(r'\\"id\\":\\"([0-9a-f]{42})\\",\\"bound', site.ask("/admin/login").body.decode())
    assert found
    return found[1], posted(site, found[1])


def posted(site: Site, action: str) -> int:
    """Post to a Server Action, which here is one of Payload's that knows of no such function, and return the status."""
    body = json.dumps([{"name": "none", "args": {}}]).encode()
    headers = {"Next-Action": action, "Content-Type": "text/plain;charset=UTF-8"}
    return request(f"{site.url}/admin/login", body, headers).status


def used(site: Site, action: Callable[[], Played]) -> tuple[Played, Traffic]:
    """Do something while people read and write, and return what was said and what they met."""
    read = "/api/vendors?limit=1&depth=0"
    with Traffic(site.url, RATE, read=read, headers=site.headers) as traffic:
        played = action()
    return played, traffic


def flawless(site: Site, traffic: Traffic) -> Report:
    """Check that every request was answered well and every write is there once."""
    return traffic.report(site.vendors()).flawless()


def test_10_a_migration_that_fails_half_way_takes_no_data_along(site: Site, sources: Path) -> None:
    for _turn in range(2):
        assert site.ask("/api/vendors", {"name": "Twice Ltd"}).status == 201
    before, names, image = stored(site.app), site.vendors(), inspect(site.app.container)["Image"]
    change(sources)
    failed, traffic = used(site, lambda: site.app.playbook("update").failed())
    report = flawless(site, traffic)

    assert stored(site.app) == before
    assert len(site.vendors()) == len(names) + report.writes
    assert set(names) < set(site.vendors())
    assert site.ask(site.picture).body == PICTURE
    site.app.becomes_healthy()
    assert inspect(site.app.container)["Image"] == image

    message = re.search(r"Release (\d{8}-\d{6}), site-app:\w+, failed\. [^\n]+", failed.text)
    assert message, failed.output
    assert "was put back and is healthy" in message[0]
    assert "The data is as it was before." in message[0]
    log = site.app.directory / f"releases/{message[1]}/log"
    assert str(log) in message[0]
    assert "UNIQUE constraint failed: vendors.name" in log.read_text()
    assert json.loads((log.parent / "release.json").read_text())["result"] == "failed"
    assert SECRET not in failed.output + log.read_text()


def login_as_smoke_test() -> dict[str, Any]:
    """Return the variables of the smoke test that the documentation shows, for a user that is there."""
    shown = (ROOT / "docs/update.md").read_text().partition("### A login as the smoke test")[2]
    variables: dict[str, Any] = yaml.safe_load(shown.partition("```yaml\n")[2].partition("```")[0])
    variables["docker_vps_env"] = {"SMOKE_EMAIL": PASSWORD["email"], "SMOKE_PASSWORD": PASSWORD["password"]}
    return variables


def test_10_an_update_preserves_database_and_media_under_traffic(site: Site) -> None:
    twice = [row["id"] for row in site.ask("/api/vendors?limit=0").json["docs"] if row["name"] == "Twice Ltd"]
    assert site.ask(f"/api/vendors/{twice[0]}", method="DELETE").status == 200
    before, names, (action, answer) = stored(site.app), site.vendors(), open_form(site)
    smoke_test = login_as_smoke_test()
    updated, traffic = used(site, lambda: site.app.playbook("update", **smoke_test).succeeded())
    report = flawless(site, traffic)

    assert len(site.vendors()) == len(names) + report.writes
    assert set(names) < set(site.vendors())
    assert site.ask(site.picture).body == PICTURE
    assert stored(site.app).migrations == [*before.migrations, MIGRATION]
    assert site.ask("/api/vendors", {"name": "New Ltd", "phone": "+1 555 0100"}).json["doc"]["phone"] == "+1 555 0100"
    assert site.ask("/api/vendors", {"name": "Twice Ltd"}).status == 400
    assert re.search(r"is live and healthy after [\d.]+ s; for [\d.]+ s nothing served, with backup", updated.text)
    assert SECRET not in updated.output
    assert PASSWORD["password"] not in updated.output
    assert posted(site, action) == answer, "the form was open during the update"
    assert posted(site, action[::-1]) == 404


def test_10_pages_are_made_anew_with_a_read_only_root(site: Site) -> None:
    """Every second, when first asked for, and when told to; kept meanwhile."""

    def made(page: str) -> str:
        found = re.search(rb"made at (\d+)\.", site.ask(f"/again{page}").body)
        assert found
        return found[1].decode()

    first = made("")
    until(lambda: made("") != first, 30, "a page of another second")
    one = made("/one")
    assert made("/one") == one
    assert site.ask("/api/again?path=/again/one").status == 200
    assert made("/one") != one


def test_10_a_rollback_by_hand_returns_to_the_data_of_then(site: Site) -> None:
    """Refused until it is said that what was written since may be lost; nobody is turned away meanwhile."""
    refused = site.app.playbook("rollback").failed()
    assert "docker_vps_rollback_data: restore" in refused.text
    assert re.search(r"\d+ rows of vendors", refused.text), refused.output
    assert "New Ltd" in site.vendors()
    assert "vendors_name_idx" in dict(stored(site.app).schema)

    returned, traffic = used(
        site, lambda: site.app.playbook("rollback", docker_vps_rollback_data="restore").succeeded()
    )
    assert traffic.report([]).failed == []
    assert stored(site.app).migrations == [one for one in stored(site.app).migrations if one != MIGRATION]
    assert "vendors_name_idx" not in dict(stored(site.app).schema)
    vendors = site.vendors()
    assert (vendors.count("Example Ltd"), vendors.count("Twice Ltd"), vendors.count("New Ltd")) == (1, 1, 0)
    assert site.ask(site.picture).body == PICTURE
    assert site.ask("/api/vendors", {"name": "Twice Ltd"}).status == 201, "the version before asks for no unique names"
    assert "lost" in returned.text
