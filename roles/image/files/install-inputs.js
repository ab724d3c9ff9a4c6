// Copies what "npm ci" reads from the sources: install-inputs.js SOURCES TARGET
//
// That is manifests, lockfiles, dependencies in directories, and what lifecycle scripts need: patches, and whatever at
// the top of the sources is named by their commands, or by the files that these run. A command of a package may read
// anything, so then it is all of the sources. What runs when: https://docs.npmjs.com/cli/using-npm/scripts
'use strict'
const fs = require('fs')
const path = require('path')

const [from, to] = process.argv.slice(2)
const LIFECYCLE = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
const LOCKFILES = ['package-lock.json', 'npm-shrinkwrap.json']
// Commands that read nothing of the sources, or nothing but patches, which are copied anyway.
const HARMLESS = ['husky', 'patch-package', 'is-ci', 'lefthook', 'simple-git-hooks', 'echo', 'true', 'exit', 'test', '[', ':']
const top = fs.readdirSync(from).filter(name => name !== 'node_modules' && name !== '.git')
const wanted = new Set(['package.json', '.npmrc', 'patches', ...LOCKFILES])

function manifests (folder = '') {
  const found = []
  for (const entry of fs.readdirSync(path.join(from, folder), { withFileTypes: true })) {
    const name = path.join(folder, entry.name)
    if (entry.isDirectory() && entry.name !== 'node_modules' && entry.name !== '.git') found.push(...manifests(name))
    else if (entry.name === 'package.json') found.push(name)
  }
  return found
}

// Returns false when a command may read anything.
function follow (scripts, name, seen = new Set()) {
  if (!scripts[name] || seen.has(name)) return true
  seen.add(name)
  return String(scripts[name]).split(/&&|\|\||[;|&\n]/).every(command => {
    const words = command.trim().split(/\s+/).filter(word => word && !/^\w+=/.test(word)).map(word => word.replace(/['"]/g, ''))
    const [program, next] = words[0] === 'npx' ? words.slice(1) : words
    words.forEach(word => mention(word))
    if (!program || HARMLESS.includes(program)) return true
    if (program === 'npm' && (next === 'run' || next === 'run-script')) {
      const called = words[2]
      return [`pre${called}`, called, `post${called}`].every(one => follow(scripts, one, seen))
    }
    // A file of the sources, whose own text is looked at below.
    return ['node', 'sh', 'bash'].includes(program) && words.slice(1).some(word => fs.existsSync(path.join(from, word)))
  })
}

function mention (text) {
  for (const name of top) {
    const at = new RegExp(`(^|["'\`/(\\s])${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}($|["'\`/)\\s])`)
    if (at.test(text)) wanted.add(name)
  }
}

// Adds what the wanted files name, and what those name.
function close () {
  for (const name of wanted) {
    if (LOCKFILES.includes(name) || name === 'package.json' || !fs.existsSync(path.join(from, name))) continue
    for (const file of files(path.join(from, name))) {
      if (/\.([cm]?[jt]s|sh)$/.test(file)) mention(fs.readFileSync(file, 'utf8'))
    }
  }
}

function files (place) {
  if (!fs.lstatSync(place).isDirectory()) return [place]
  return fs.readdirSync(place).filter(name => name !== 'node_modules').flatMap(name => files(path.join(place, name)))
}

if (!LOCKFILES.some(name => fs.existsSync(path.join(from, name)))) {
  console.error('there is no package-lock.json in the sources: make it with npm install, and commit it')
  process.exit(1)
}
const root = JSON.parse(fs.readFileSync(path.join(from, 'package.json'), 'utf8'))
const all = root.workspaces ? manifests() : ['package.json']
let known = !fs.existsSync(path.join(from, 'binding.gyp'))
for (const name of all) {
  const manifest = JSON.parse(fs.readFileSync(path.join(from, name), 'utf8'))
  const scripts = manifest.scripts || {}
  for (const one of LIFECYCLE) known = follow(scripts, one) && known
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const version of Object.values(manifest[kind] || {})) {
      if (/^(file|link):|^\.{0,2}\//.test(version)) {
        const [first] = path.join(path.dirname(name), version.replace(/^\w+:/, '')).split(path.sep)
        if (!first.startsWith('.')) wanted.add(first)
      }
    }
  }
}
close()
const names = known ? [...wanted, ...all] : top
fs.mkdirSync(to, { recursive: true })
for (const name of names) {
  if (!fs.existsSync(path.join(from, name))) continue
  fs.mkdirSync(path.dirname(path.join(to, name)), { recursive: true })
  fs.cpSync(path.join(from, name), path.join(to, name), { recursive: true, verbatimSymlinks: true })
}
console.log(`npm ci is given ${known ? [...new Set(names)].filter(name => fs.existsSync(path.join(from, name))).join(', ') : 'all of the sources'}`)
