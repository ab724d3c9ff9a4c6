// SPDX-License-Identifier: GPL-3.0-or-later
// SQLite as applications in Node.js have it, for tests that read and write with it.
//
//   witness.cjs LIBRARY read            answers each line with a path by a digest of what is in that database
//   witness.cjs LIBRARY write PATH KEY  writes documents of four rows each, a transaction a document, until SIGTERM;
//                                       says how many there are, and ends with a trace as soon as anything fails
//
// LIBRARY is libsql or better-sqlite3; KEY encrypts the database (libsql alone), and may be left out.
const { createHash } = require('node:crypto')
const readline = require('node:readline')

const [library, task, path, key] = process.argv.slice(2)
const Database = require(library)

const typed = (value) => (Buffer.isBuffer(value) ? `blob ${value.toString('hex')}` : `${typeof value} ${value}`)

function digest(file) {
  const db = new Database(file)
  try {
    if (db.unsafeMode) db.unsafeMode()
    if (db.function) db.function('slug', { deterministic: true }, (value) => String(value).toLowerCase().replaceAll(' ', '-'))
  } catch {} // libsql has no functions of the application
  try {
    db.exec('PRAGMA writable_schema = ON')
    const found = createHash('sha256')
    const objects = db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid').raw().all()
    let rows = 0
    for (const [kind, name, , sql] of objects) {
      found.update(`${kind} ${name} ${sql}\n`)
      if (kind !== 'table') continue
      try {
        for (const row of db.prepare(`SELECT * FROM "${name.replaceAll('"', '""')}"`).raw().safeIntegers().iterate()) {
          found.update(row.map(typed).join('\t') + '\n')
          rows++
        }
      } catch (error) {
        found.update(String(error))
      }
    }
    return `${found.digest('hex')} of ${rows} rows in ${objects.length} objects`
  } finally {
    db.close()
  }
}

function write() {
  const db = new Database(path, key ? { encryptionCipher: 'aes256cbc', encryptionKey: key } : {})
  let over = false
  process.on('SIGTERM', () => { over = true })
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA busy_timeout = 5000')
  db.exec('CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY, text TEXT)')
  db.exec('CREATE TABLE IF NOT EXISTS parts (document INTEGER, text TEXT)')
  const document = db.prepare('INSERT INTO documents VALUES (?, ?)')
  const part = db.prepare('INSERT INTO parts VALUES (?, ?)')
  let id = 0
  const one = () => {
    if (over) {
      db.close()
      console.log(id)
      return
    }
    db.exec('BEGIN IMMEDIATE')
    id++
    document.run(id, 'x'.repeat(id % 700))
    for (let number = 0; number < 3; number++) part.run(id, 'y'.repeat(id % 300))
    db.exec('COMMIT')
    setTimeout(one, 1)
  }
  one()
}

if (task === 'write') {
  write()
} else {
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    let answer
    try {
      answer = digest(JSON.parse(line))
    } catch (error) {
      answer = String(error)
    }
    console.log(JSON.stringify(answer))
  })
}
