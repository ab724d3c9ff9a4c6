#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# @libsql/client 0.14.0 (libsql 0.4.7) on a local file: transaction() gives its connection away and opens a new one for what
# comes next. A setting of the connection, such as busy_timeout, is lost, and the connection of an ended transaction stays open.
#
# Seen:  busy_timeout 5000 before the first transaction, 0 after it; 199 more open files after 100 transactions
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @libsql/client@0.14.0 libsql@0.4.7
cat >see.mjs <<'JS'
import { readdirSync, readlinkSync } from 'node:fs'
import { createClient } from '@libsql/client'

const open = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('see.db')
    } catch {
      return false // the one that lists
    }
  }).length
const client = createClient({ url: 'file:see.db' })
const timeout = async () => (await client.execute('PRAGMA busy_timeout')).rows[0].timeout
await client.execute('PRAGMA journal_mode = WAL')
await client.execute('CREATE TABLE rows (number INTEGER)')
await client.execute('PRAGMA busy_timeout = 5000')
const before = await timeout()
const files = open()
for (let number = 0; number < 100; number++) {
  const transaction = await client.transaction('write')
  await transaction.execute({ sql: 'INSERT INTO rows VALUES (?)', args: [number] })
  await transaction.commit()
  transaction.close()
}
const after = await timeout()
const more = open() - files
console.log(`busy_timeout ${before} before the first transaction, ${after} after it; ${more} more open files after 100 transactions`)
process.exitCode = before === 5000 && after === 0 && more === 199 ? 0 : 1
JS
node see.mjs
