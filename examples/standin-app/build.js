// SPDX-License-Identifier: GPL-3.0-or-later
// Lay the application out as Next.js does with output: 'standalone'.
const fs = require('node:fs')

fs.mkdirSync('.next/standalone', { recursive: true })
fs.mkdirSync('.next/static', { recursive: true })
fs.copyFileSync('server.js', '.next/standalone/server.js')
