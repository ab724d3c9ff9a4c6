// SPDX-License-Identifier: GPL-3.0-or-later
import { sqliteAdapter } from '@payloadcms/db-sqlite'
import { drizzle } from '@payloadcms/db-sqlite/drizzle/libsql'

type Args = Parameters<typeof sqliteAdapter>[0]
type Write = (args: { req?: object }) => Promise<unknown>

// What writes more than one row; upsert calls updateOne.
const writes = [
  'create', 'updateOne', 'updateMany', 'deleteOne', 'deleteMany', 'updateJobs',
  'createGlobal', 'updateGlobal',
  'createVersion', 'updateVersion', 'deleteVersions', 'createGlobalVersion', 'updateGlobalVersion',
]

/**
 * Payload's SQLite adapter, with each write of a document in a transaction of its own: nobody, a
 * backup neither, ever sees a document without some of its rows, and a write that fails leaves
 * nothing behind. README.md says why not transactionOptions.
 */
export function wholeDocuments(args: Args): ReturnType<typeof sqliteAdapter> {
  const adapter = sqliteAdapter(args)
  return {
    ...adapter,
    init: (given) => {
      const db = adapter.init(given)
      const methods = db as unknown as Record<string, Write>
      const inTransaction = writer(db)
      for (const name of writes) {
        const write = methods[name].bind(db)
        methods[name] = (given) => inTransaction((transactionID) => write({ ...given, req: { ...given.req, transactionID } }))
      }
      return db
    },
  }
}

/** Return what runs one piece of work after the other, each in a transaction. */
function writer(db: ReturnType<ReturnType<typeof sqliteAdapter>['init']>) {
  const id = 'writer'
  let connected: Promise<ReturnType<typeof drizzle>['$client']> | undefined
  let last: Promise<unknown> = Promise.resolve()

  // A connection of its own, since what one connection writes it also reads before it is committed.
  async function connect() {
    const connection = drizzle({ connection: db.clientConfig, schema: db.schema })
    db.sessions[id] = { db: connection, reject: async () => {}, resolve: async () => {} } as never
    await connection.$client.execute(`PRAGMA busy_timeout = ${db.busyTimeout}`)
    return connection.$client
  }

  async function transaction<T>(work: (id: string) => Promise<T>): Promise<T> {
    const client = await (connected ??= connect())
    await client.execute('BEGIN IMMEDIATE')
    try {
      const result = await work(id)
      await client.execute('COMMIT')
      return result
    } catch (error) {
      await client.execute('ROLLBACK').catch(() => {}) // SQLite may have done it already
      throw error
    }
  }

  return <T>(work: (id: string) => Promise<T>): Promise<T> => {
    const turn = last.then(() => transaction(work))
    last = turn.catch(() => {})
    return turn
  }
}
