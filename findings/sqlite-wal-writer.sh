#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# SQLite 3.51.3 makes a database and 3.45.3 then changes its rows (both as bundled with APSW). The header has a number for
# the library that last wrote the file, which file(1) prints, too. In WAL mode it goes on to name the first one: it is
# written with the first page alone, and a commit that changes rows has no reason to write that.
#
# Seen:  delete: made by 3.51.3, rows changed by 3.45.3, the header says 3.45.3
#        wal: made by 3.51.3, rows changed by 3.45.3, the header says 3.51.3
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
for version in 3.45.3 3.51.3; do
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$version" "apsw==$version.0"
done
cat >run.py <<'PYTHON'
import sys

import apsw

path, *statements = sys.argv[1:]
connection = apsw.Connection(path)
for statement in statements:
    connection.execute(statement).fetchall()
connection.close()  # the last one: what a WAL has is in the file now
PYTHON
code=0
for mode in delete wal; do
    PYTHONPATH=3.51.3 python3 run.py "$mode.db" "PRAGMA journal_mode = $mode" "CREATE TABLE vendors (name)" \
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO vendors SELECT 'a' FROM n"
    PYTHONPATH=3.45.3 python3 run.py "$mode.db" "UPDATE vendors SET name = 'b'"
    says="$(python3 -c 'import sys
number = int.from_bytes(open(sys.argv[1], "rb").read()[96:100], "big")
print(f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}")' "$mode.db")"
    echo "$mode: made by 3.51.3, rows changed by 3.45.3, the header says $says"
    [ "$mode $says" = "delete 3.45.3" ] || [ "$mode $says" = "wal 3.51.3" ] || code=1
    [ ! -e "$mode.db-wal" ] || code=1
done
exit "$code"
