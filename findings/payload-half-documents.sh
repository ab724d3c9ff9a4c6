#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Payload 3.90.2 with @payloadcms/db-sqlite 3.90.2, the adapter without transactionOptions: one payload.update of a document with
# an array is several transactions. Copies by SQLite's own online backup, each of one state of the database, are made during
# updates that write the same number into the name and into all 30 array rows. With transactionOptions: {} no copy is half.
#
# Seen:  without transactions: half documents in some of the copies (1,111 of 5,105 in one run); with transactions: in none
export ADAPTER='...(process.env.TRANSACTIONS ? { transactionOptions: {} } : {}),'
# shellcheck source=/dev/null
. "$(dirname "$0")/payload.bash"

cat >copies.py <<'PY'
import sqlite3, sys, time

made = half = 0
until = time.monotonic() + 6
while time.monotonic() < until:
    live, copy = sqlite3.connect("file:see.db?mode=ro", uri=True), sqlite3.connect(":memory:")
    live.backup(copy)
    live.close()
    (name,) = copy.execute("SELECT name FROM vendors").fetchone()
    urls = [url for (url,) in copy.execute("SELECT url FROM vendors_links")]
    made, half = made + 1, half + (urls != [name] * 30)
    copy.close()
print(f"seen: half {'some' if half else 'none'} ({half} of {made})")
PY
cat >see.ts <<'TS'
import { spawn } from 'node:child_process'
import { payload } from './open'

const data = (number: number) => ({ name: String(number), links: Array.from({ length: 30 }, () => ({ url: String(number) })) })
const { id } = await payload.create({ collection: 'vendors', data: data(0) })
let copying = true
spawn('python3', ['copies.py'], { stdio: 'inherit' }).once('exit', () => (copying = false))
for (let number = 1; copying; number++) {
  await payload.update({ collection: 'vendors', id, data: data(number) })
  await new Promise(setImmediate) // nothing in an update waits for the system, so the end of the copies would not be seen
}
process.exit(0)
TS
payload migrate:create initial

copied() {
    rm -f see.db see.db-*
    payload migrate
    payload run see.ts | sed 's/seen: //'
}
without="without transactions: $(copied)"
with="with transactions: $(TRANSACTIONS=1 copied)"
printf '%s\n' "$without" "$with"
[[ $without == 'without transactions: half some '* && $with == 'with transactions: half none '* ]]
