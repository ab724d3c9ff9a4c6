// SPDX-License-Identifier: GPL-3.0-or-later
// Stands in for the real application where a test needs one within a second: a real SQLite
// database in WAL mode, media on disk, the same health route, and trouble on command.
//
//   STANDIN_CRASH=7          exit with this code at the start
//   STANDIN_CRASH_AFTER=2    exit with code 9 after so many seconds
//   STANDIN_DELAY=5          answer 503 for so many seconds after the start
//   STANDIN_UNHEALTHY=1      answer 503 for ever
//   STANDIN_MIGRATE=website  add a column of this name to the vendors before anything is answered
//   STANDIN_LOSE=vendors     delete the rows of this table before anything is answered
//   STANDIN_TELL=API_TOKEN   write the value of this variable to the log at the start
//
// POST /api/control {"unhealthy": true} and {"crash": 7} do the same while it runs, and {"hanging": true} leaves the health
// route without an answer.
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { DatabaseSync } = require('node:sqlite')

const { DATABASE_URI, PAYLOAD_SECRET, PORT = '3000', HOSTNAME = '0.0.0.0' } = process.env
const trouble = process.env
const media = path.join(process.cwd(), 'public/media')

if (!PAYLOAD_SECRET) {
  console.error('PAYLOAD_SECRET is missing')
  process.exit(78)
}
if (trouble.STANDIN_TELL) console.error(`told as commanded: ${process.env[trouble.STANDIN_TELL]}`)
if (trouble.STANDIN_CRASH) {
  console.error('crashing as commanded')
  process.exit(Number(trouble.STANDIN_CRASH))
}
if (trouble.STANDIN_CRASH_AFTER) setTimeout(() => process.exit(9), Number(trouble.STANDIN_CRASH_AFTER) * 1000)

const started = Date.now()
const db = new DatabaseSync(DATABASE_URI.replace(/^file:(\/\/)?/, ''))
db.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000')
db.exec('CREATE TABLE IF NOT EXISTS vendors (id INTEGER PRIMARY KEY, name TEXT NOT NULL)')
const column = trouble.STANDIN_MIGRATE
if (column && !db.prepare("SELECT 1 FROM pragma_table_info('vendors') WHERE name = ?").get(column)) {
  db.exec(`ALTER TABLE vendors ADD COLUMN ${column} TEXT`)
}
if (trouble.STANDIN_LOSE) db.exec(`DELETE FROM ${trouble.STANDIN_LOSE}`)

let hanging = false
let unhealthy = trouble.STANDIN_UNHEALTHY === '1'
const delayed = () => Date.now() - started < Number(trouble.STANDIN_DELAY ?? 0) * 1000
const body = async (request) => Buffer.concat(await request.toArray())

function health() {
  const timestamp = new Date().toISOString()
  if (unhealthy || delayed()) return [503, { status: 'unhealthy', timestamp, error: 'as commanded' }]
  // Counting does not notice rows that cannot be read, such as one with a number that JavaScript does not have.
  db.prepare('SELECT * FROM vendors ORDER BY id DESC LIMIT 10').all()
  const { n } = db.prepare('SELECT count(*) AS n FROM vendors').get()
  return [200, { status: 'healthy', timestamp, database: 'connected', vendorCount: n }]
}

async function answer(request) {
  const { pathname } = new URL(request.url, 'http://localhost')
  const post = request.method === 'POST'
  if (pathname === '/api/health') return hanging ? new Promise(() => {}) : health()
  if (pathname === '/api/vendors' && post) {
    const { name } = JSON.parse(await body(request))
    return [201, { id: Number(db.prepare('INSERT INTO vendors (name) VALUES (?)').run(name).lastInsertRowid) }]
  }
  if (pathname === '/api/vendors') return [200, { docs: db.prepare('SELECT id, name FROM vendors').all() }]
  if (pathname === '/api/env') return [200, process.env]
  if (pathname === '/api/control' && post) {
    const command = JSON.parse(await body(request))
    if ('crash' in command) process.exit(command.crash)
    unhealthy = Boolean(command.unhealthy)
    hanging = Boolean(command.hanging)
    return [200, { unhealthy, hanging }]
  }
  if (pathname.startsWith('/media/')) {
    const file = path.join(media, path.basename(pathname))
    if (post) fs.writeFileSync(file, await body(request))
    return fs.existsSync(file) ? [200, fs.readFileSync(file)] : [404, { error: 'no such file' }]
  }
  return [404, { error: 'no such page' }]
}

const server = http.createServer(async (request, response) => {
  try {
    const [status, content] = await answer(request)
    response.writeHead(status).end(Buffer.isBuffer(content) ? content : JSON.stringify(content))
  } catch (error) {
    console.error(error)
    response.writeHead(500).end()
  }
})
server.listen(Number(PORT), HOSTNAME, () => console.log(`listening on ${HOSTNAME}:${PORT}`))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
