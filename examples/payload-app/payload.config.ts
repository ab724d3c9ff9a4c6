// SPDX-License-Identifier: GPL-3.0-or-later
import { buildConfig } from 'payload'
import sharp from 'sharp'

import { Media } from './collections/Media'
import { Users } from './collections/Users'
import { Vendors } from './collections/Vendors'
import { wholeDocuments } from './database'
import { migrations } from './migrations'

// Next.js replaces process.env.NEXT_PUBLIC_… by its value while it builds. A name that is looked
// up like this is read when the server starts, so that one image serves any address.
const env = (name: string) => process.env[name] ?? ''

export default buildConfig({
  // No fallbacks: without a secret or a database the application must fail, not run unsafely.
  // Both are needed when the server runs, never when it is built.
  secret: env('PAYLOAD_SECRET'),
  serverURL: env('NEXT_PUBLIC_SERVER_URL'),
  admin: { user: Users.slug },
  collections: [Users, Vendors, Media],
  db: wholeDocuments({
    client: { url: env('DATABASE_URI') },
    wal: true, // backups can read while the application writes
    busyTimeout: 5000,
    push: false, // the schema changes through migrations only, in development as well
    migrationDir: 'migrations',
    prodMigrations: migrations, // compiled in: the image holds no payload command
  }),
  graphQL: { disable: true },
  telemetry: false,
  sharp,
})
