#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Payload 3.90.2 with @payloadcms/db-sqlite 3.90.2 (@libsql/client 0.14.0), the adapter without transactionOptions: a number of
# 2^53, which is a valid value of a number field, is refused by create, and stored. The client cannot represent it and throws
# whenever a row with it is read; the list of the collection fails from then on. Counting works.
#
# Seen:  create failed, rows 1, count 1, find failed
# shellcheck source=/dev/null
. "$(dirname "$0")/payload.bash"

payload migrate:create initial
payload migrate
cat >see.ts <<'TS'
import { payload, value } from './open'

const outcome = (work: Promise<unknown>) => work.then(() => 'worked', () => 'failed')
const created = await outcome(payload.create({ collection: 'vendors', data: { name: 'Example Ltd', founded: 2 ** 53 } }))
const rows = await value('SELECT count(*) FROM vendors')
const { totalDocs } = await payload.count({ collection: 'vendors' })
const found = await outcome(payload.find({ collection: 'vendors' }))
console.log(`seen: create ${created}, rows ${rows}, count ${totalDocs}, find ${found}`)
process.exit(0)
TS
payload run see.ts | tee seen
grep --quiet --line-regexp 'seen: create failed, rows 1, count 1, find failed' seen
