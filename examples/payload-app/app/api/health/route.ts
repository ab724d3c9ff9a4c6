// SPDX-License-Identifier: GPL-3.0-or-later
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import config from '@payload-config'
import { type CollectionSlug, getPayload } from 'payload'

export const dynamic = 'force-dynamic'

/** A reason that may be told to anybody: no paths, no SQL. */
class Unhealthy extends Error {}

// Both file:/data/payload.db and file:///data/payload.db are in use.
const databaseFile = (process.env.DATABASE_URI ?? '').replace(/^file:(\/\/)?/, '')
let seenFirst: string | undefined

async function readVendors(): Promise<number> {
  if (databaseFile === '') {
    throw new Unhealthy('DATABASE_URI is not set')
  }
  // In WAL mode SQLite writes beside the file too, so the directory matters as well.
  const writable = (path: string) => access(path, constants.W_OK)
  await writable(dirname(databaseFile)).catch((cause) => {
    throw new Unhealthy('the database directory is not writable', { cause })
  })

  // The first call of all connects and migrates.
  const payload = await getPayload({ config })
  // Counting does not notice rows that cannot be read, so read those that changed last.
  const own = payload.config.collections.filter(({ slug }) => !slug.startsWith('payload-'))
  for (const { slug, timestamps } of own) {
    const sort = timestamps ? '-updatedAt' : '-id'
    await payload
      .find({ collection: slug as CollectionSlug, depth: 0, limit: 10, pagination: false, sort })
      .catch((cause) => {
        throw new Unhealthy(`the newest rows of ${slug} cannot be read`, { cause })
      })
  }
  const { totalDocs } = await payload.count({ collection: 'vendors' })

  // An open file can be read after it was deleted or replaced, but what is written to it is
  // lost: only the name tells.
  const { dev, ino } = await stat(databaseFile).catch((cause) => {
    throw new Unhealthy('the database file is missing', { cause })
  })
  seenFirst ??= `${dev}:${ino}`
  if (seenFirst !== `${dev}:${ino}`) {
    throw new Unhealthy('the database file was replaced while the application runs')
  }
  await writable(databaseFile).catch((cause) => {
    throw new Unhealthy('the database file is not writable', { cause })
  })
  return totalDocs
}

// Next.js answers HEAD with this as well.
export async function GET() {
  const timestamp = new Date().toISOString()
  try {
    const vendorCount = await readVendors()
    return Response.json({ status: 'healthy', timestamp, database: 'connected', vendorCount })
  } catch (error) {
    console.error('Health check failed:', error)
    const reason = error instanceof Unhealthy ? error.message : 'the application cannot use its database'
    return Response.json({ status: 'unhealthy', timestamp, error: reason }, { status: 503 })
  }
}
