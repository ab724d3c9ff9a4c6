// Copies what a package manager reads from the sources to install: install-inputs.js SOURCES TARGET [APPLICATION]
//
// That is manifests, lockfiles, configuration, dependencies in directories, and what lifecycle scripts need: patches, and whatever at
// the top of the sources is named by their commands, or by the files that these run. A command of a package may read
// anything, so then it is all of the sources. What runs when: https://docs.npmjs.com/cli/using-npm/scripts
//
// What is sure to fail later is refused here: another Node.js than the application wants, or no script to build it.
'use strict'
const { execSync } = require('child_process')
const fs = require('fs')
const path = require('path')

const [from, to, application = ''] = process.argv.slice(2)
const LIFECYCLE = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
const LOCKFILES = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb']
const CONFIGURATION = ['.npmrc', 'pnpm-workspace.yaml', '.pnpmfile.cjs', '.pnpmfile.mjs', '.yarnrc', '.yarnrc.yml', '.yarn', 'bunfig.toml']
// Commands that read nothing of the sources, or nothing but patches, which are copied anyway.
const HARMLESS = ['husky', 'patch-package', 'is-ci', 'lefthook', 'simple-git-hooks', 'echo', 'true', 'exit', 'test', '[', ':']
const top = fs.readdirSync(from).filter(name => name !== 'node_modules' && name !== '.git')
const wanted = new Set(['package.json', 'patches', ...CONFIGURATION, ...LOCKFILES])

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
    const [program, next, called] = ['npx', 'bunx'].includes(words[0]) ? words.slice(1) : words
    words.forEach(word => mention(word))
    if (!program || HARMLESS.includes(program)) return true
    if (['npm', 'pnpm', 'yarn', 'bun'].includes(program) && (next === 'run' || next === 'run-script')) {
      return [`pre${called}`, called, `post${called}`].every(one => follow(scripts, one, seen))
    }
    // A file of the sources, whose own text is checked below.
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
    if (LOCKFILES.includes(name) || name === '.yarn' || name === 'package.json' || !fs.existsSync(path.join(from, name))) continue
    for (const file of files(path.join(from, name))) {
      if (/\.([cm]?[jt]s|sh)$/.test(file)) mention(fs.readFileSync(file, 'utf8'))
    }
  }
}

function files (place) {
  if (!fs.lstatSync(place).isDirectory()) return [place]
  return fs.readdirSync(place).filter(name => name !== 'node_modules').flatMap(name => files(path.join(place, name)))
}

function refuse (why) {
  console.error(`refused before anything is installed: ${why}`)
  process.exit(1)
}

function read (name) {
  const file = path.join(from, name)
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
}

// By npm's own reading of ranges. A name such as lts/jod says nothing here.
function judge (wanted, where) {
  const npm = execSync('npm root --global', { encoding: 'utf8' }).trim()
  const semver = require(path.join(npm, 'npm/node_modules/semver'))
  const range = semver.validRange(wanted)
  if (range && !semver.satisfies(process.version, range)) {
    refuse(`${where} wants Node.js ${wanted}, and the base image has ${process.version}; name another base in docker_vps_base_image, or correct ${where}`)
  }
}

function judgeNode (manifests) {
  const wanted = manifests.filter(([, manifest]) => manifest.engines?.node)
  for (const [name, manifest] of wanted) judge(manifest.engines.node, `engines in ${name}`)
  if (wanted.length) return
  for (const name of ['.nvmrc', '.node-version'].flatMap(name => [path.join(application, name), name])) {
    // Written for developers, with the version of one of them: any of its major version will do.
    const major = /^v?(\d+)/.exec(read(name).trim())
    if (major) return judge(major[1], name)
  }
}

const root = JSON.parse(read('package.json'))
const manifest = path.join(application, 'package.json')
if (!read(manifest)) refuse(`there is no ${manifest} in the sources; correct docker_vps_app_path`)
const own = JSON.parse(read(manifest))
if (!own.scripts?.build) refuse(`${manifest} has no script named build; add one, such as "build": "next build", or bring a Dockerfile`)
judgeNode(application ? [[manifest, own], ['package.json', root]] : [[manifest, own]])
const all = root.workspaces || read('pnpm-workspace.yaml') ? manifests() : ['package.json']
let known = !fs.existsSync(path.join(from, 'binding.gyp'))
for (const name of all) {
  const manifest = JSON.parse(fs.readFileSync(path.join(from, name), 'utf8'))
  const scripts = manifest.scripts || {}
  for (const one of LIFECYCLE) known = follow(scripts, one) && known
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const version of Object.values(manifest[kind] || {})) {
      if (/^(file|link|portal):|^\.{0,2}\//.test(version)) {
        const [first] = path.join(path.dirname(name), version.replace(/^\w+:/, '')).split(path.sep)
        if (!first.startsWith('.')) wanted.add(first)
      }
    }
  }
}
// Patches, wherever they are.
for (const name of [...all, 'pnpm-workspace.yaml']) {
  for (const [patch] of read(name).matchAll(/[^\s'":#~]+\.patch/g)) wanted.add(path.join(path.dirname(name), patch))
}
close()
const names = known ? [...wanted, ...all] : top
fs.mkdirSync(to, { recursive: true })
for (const name of names) {
  if (!fs.existsSync(path.join(from, name))) continue
  fs.mkdirSync(path.dirname(path.join(to, name)), { recursive: true })
  fs.cpSync(path.join(from, name), path.join(to, name), { recursive: true, verbatimSymlinks: true })
}
console.log(`Installing reads ${known ? [...new Set(names)].filter(name => fs.existsSync(path.join(from, name))).join(', ') : 'all of the sources'}`)
