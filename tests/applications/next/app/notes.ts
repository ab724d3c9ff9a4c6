// The notes: a row of the database, a file and a picture for each.
import { writeFile } from 'node:fs/promises'

import { type Client, createClient } from '@libsql/client'
import sharp from 'sharp'

export const FILES = process.env.FILES ?? 'public/media'
const THUMBNAILS = process.env.THUMBNAILS ?? FILES
let opened: Promise<Client> | undefined

async function open() {
  const client = createClient({ url: process.env.DATABASE_URI ?? '' })
  await client.executeMultiple(
    'PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)',
  )
  return client
}

// Nothing is opened while it is built.
const database = () => (opened ??= open())

export async function notes() {
  const { rows } = await (await database()).execute('SELECT id, text FROM notes ORDER BY id')
  return rows.map(({ id, text }) => ({ id: Number(id), text: String(text) }))
}

export async function keep(text: string) {
  const { lastInsertRowid: id } = await (await database()).execute('INSERT INTO notes (text) VALUES (?)', [text])
  await writeFile(`${FILES}/${id}.txt`, text)
  const square = sharp({ create: { width: 8, height: 8, channels: 3, background: '#2060c0' } })
  await writeFile(`${THUMBNAILS}/${id}.png`, await square.png().toBuffer())
}
