# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the configuration of a Payload application."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.payload import cautions_of

WITHOUT = "import { buildConfig } from 'payload'\nexport default buildConfig({ db: sqliteAdapter({ push: false }) })\n"
WHOLE = "db: sqliteAdapter({ prodMigrations: migrations, transactionOptions: {} })"
MIGRATIONS, TRANSACTIONS = "has no prodMigrations", "uses sqliteAdapter without transactions"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (WITHOUT, [MIGRATIONS, TRANSACTIONS]),
        (WHOLE, []),
        ("sqliteAdapter({ prodMigrations })", [TRANSACTIONS]),
        ("sqliteAdapter ({ transactionOptions: {} })", [MIGRATIONS]),
        (
            "sqliteAdapter({ // prodMigrations\n url: 'https://x', /* transactionOptions\n */ })",
            [MIGRATIONS, TRANSACTIONS],
        ),
        ("db: wholeDocuments({ push: false })", []),
        ("// sqliteAdapter()\npostgresAdapter({})", []),
        ("", []),
    ],
)
def test_what_is_known_to_end_badly_is_told(text: str, told: list[str]) -> None:
    for name in ("payload.config.ts", "src/payload.config.mjs"):
        found = cautions_of({name: text}.get)
        assert [sentence for sentence in found if sentence.startswith(name)] == list(found)
        assert [any(part in sentence for part in told) for sentence in found] == [True] * len(told)


def test_other_applications_are_told_nothing() -> None:
    assert cautions_of({"package.json": "sqliteAdapter()"}.get) == ()
