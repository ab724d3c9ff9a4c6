# SPDX-License-Identifier: GPL-3.0-or-later
#
# For the scripts beside it: a Payload site in a temporary folder, without a web server. Its collection "vendors" has a name, a
# number and an array. ADAPTER holds further options of the SQLite adapter.
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
export PAYLOAD_SECRET=only-for-this-look-0123456789 NODE_NO_WARNINGS=1 NODE_ENV=production
cat >package.json <<'JSON'
{
  "type": "module",
  "dependencies": {
    "payload": "3.90.2",
    "@payloadcms/db-sqlite": "3.90.2",
    "@libsql/client": "0.14.0",
    "graphql": "16.11.0"
  }
}
JSON
npm install --silent --no-audit --no-fund --include=dev
echo '{"compilerOptions": {"module": "esnext", "moduleResolution": "bundler"}}' >tsconfig.json
cat >payload.config.ts <<TS
import { sqliteAdapter } from '@payloadcms/db-sqlite'
import { buildConfig } from 'payload'

export default buildConfig({
  secret: process.env.PAYLOAD_SECRET!,
  telemetry: false,
  collections: [
    {
      slug: 'vendors',
      fields: [
        { name: 'name', type: 'text', required: process.env.OPTIONAL !== '1' },
        { name: 'founded', type: 'number' },
        { name: 'links', type: 'array', fields: [{ name: 'url', type: 'text' }] },
      ],
    },
  ],
  db: sqliteAdapter({ client: { url: 'file:see.db' }, wal: true, push: false, migrationDir: 'migrations', ${ADAPTER:-} }),
})
TS
cat >open.ts <<'TS'
import { getPayload } from 'payload'
import config from './payload.config'

export const payload = await getPayload({ config })
/** Return the one value that a query has, past Payload. */
export const value = async (sql: string) => Object.values((await (payload.db as any).client.execute(sql)).rows[0])[0]
TS

# Run a command of Payload and show only what goes to standard output without its log.
payload() {
    npx --no-install payload "$@" >out 2>err || { cat out err >&2; return 1; }
    grep '^seen: ' out || true
}
