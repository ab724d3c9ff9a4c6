#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Payload 3.90.2 with @payloadcms/db-sqlite 3.90.2 and transactionOptions: {}. The migration that Payload generates for a field
# that becomes optional makes the table anew between PRAGMA foreign_keys=OFF and ON. It runs in a transaction, where SQLite
# ignores that pragma (https://sqlite.org/pragma.html#pragma_foreign_keys), so dropping the old table deletes, by ON DELETE
# CASCADE, what refers to it. Without transactionOptions the rows stay.
#
# Seen:  without transactions: 1 vendor, 2 links before; 1 vendor, 2 links after
#        with transactions: 1 vendor, 2 links before; 1 vendor, 0 links after
export ADAPTER='...(process.env.TRANSACTIONS ? { transactionOptions: {} } : {}),'
# shellcheck source=/dev/null
. "$(dirname "$0")/payload.bash"

cat >fill.ts <<'TS'
import { payload } from './open'

await payload.create({ collection: 'vendors', data: { name: 'Example Ltd', links: [{ url: 'a' }, { url: 'b' }] } })
process.exit(0)
TS
cat >see.ts <<'TS'
import { value } from './open'

console.log(`seen: ${await value('SELECT count(*) FROM vendors')} vendor, ${await value('SELECT count(*) FROM vendors_links')} links`)
process.exit(0)
TS
payload migrate:create initial
payload migrate
payload run fill.ts
before="$(payload run see.ts)"
for file in see.db see.db-wal; do [ ! -e "$file" ] || cp "$file" "kept-$file"; done
OPTIONAL=1 payload migrate:create optional

migrated() {
    rm -f see.db see.db-*
    for file in see.db see.db-wal; do [ ! -e "kept-$file" ] || cp "kept-$file" "$file"; done
    OPTIONAL=1 payload migrate
    OPTIONAL=1 payload run see.ts
}
without="without transactions: ${before#seen: } before; $(migrated | sed 's/seen: //') after"
with="with transactions: ${before#seen: } before; $(TRANSACTIONS=1 migrated | sed 's/seen: //') after"
printf '%s\n' "$without" "$with"
[ "$without" = 'without transactions: 1 vendor, 2 links before; 1 vendor, 2 links after' ]
[ "$with" = 'with transactions: 1 vendor, 2 links before; 1 vendor, 0 links after' ]
