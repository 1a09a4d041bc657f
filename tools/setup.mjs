/**
 * Makes a fresh clone ready: installs the packages of the lock file and builds, if either is
 * missing or out of date. One set-up at a time; the second waits for the first.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const LOCK = join(ROOT, '.setup-lock')
/** No source of the build, but in their folder. */
const WRITTEN_BY_BUILD = 'built-in.ts'
const say = (text) => process.stderr.write(`${text}\n`)

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 12)) {
  say(`restrictedmem needs Node 20.12 or newer; this is ${process.versions.node}.`)
  process.exit(2)
}

function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Nothing is as it should be here, and no waiting mends it. */
function giveUp(error) {
  say(`set-up can't write to ${ROOT}: ${error.message}`)
  process.exit(2)
}

/** Who holds the lock; undefined if it has not said so yet, or no longer does. */
function owner() {
  try {
    return Number(readFileSync(join(LOCK, 'pid'), 'utf8')) || undefined
  } catch (error) {
    return error.code === 'ENOENT' ? undefined : giveUp(error)
  }
}

function breakLock() {
  try {
    rmSync(LOCK, { recursive: true, force: true })
  } catch (error) {
    giveUp(error)
  }
}

/** A directory as a lock; one whose owner is gone is broken. */
function lock() {
  for (let tries = 0; tries < 600; tries++) {
    try {
      mkdirSync(LOCK)
      writeFileSync(join(LOCK, 'pid'), String(process.pid))
      return
    } catch (error) {
      if (error.code !== 'EEXIST') giveUp(error)
      const pid = owner()
      if (pid !== undefined && !alive(pid)) breakLock()
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    }
  }
  say(`another set-up has been running for two minutes; if not, remove ${LOCK}`)
  process.exit(2)
}

function files(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path)
    .filter((name) => name !== WRITTEN_BY_BUILD)
    .sort()
    .flatMap((name) => files(join(path, name)))
}

function hashOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths.flatMap((p) => files(join(ROOT, p)))) {
    hash.update(path.slice(ROOT.length)).update(readFileSync(path))
  }
  return hash.digest('hex')
}

function run(what, command, args) {
  say(what)
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (status === 0) return
  say(`${stdout ?? ''}${stderr ?? ''}`.trim())
  say(`${what} failed.`)
  rmSync(LOCK, { recursive: true, force: true })
  process.exit(2)
}

function once(stamp, hash, act) {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  act()
  writeFileSync(stamp, hash)
}

const packages = hashOf(['package-lock.json'])
const sources = hashOf([
  'src',
  'test',
  'bench',
  'mutants',
  'tools',
  'tsconfig.json',
  'package-lock.json',
])
const installed = join(ROOT, 'node_modules/.restrictedmem-stamp')
const built = join(ROOT, 'dist/.stamp')
const ready = (stamp, hash) => existsSync(stamp) && readFileSync(stamp, 'utf8') === hash
if (!ready(installed, packages) || !ready(built, sources)) {
  lock()
  once(installed, packages, () =>
    // All that is needed comes with the packages: none of them runs anything when it is installed.
    run('Installing packages…', 'npm', [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ]),
  )
  once(built, sources, () => run('Building…', process.execPath, [join(ROOT, 'tools/build.mjs')]))
  rmSync(LOCK, { recursive: true, force: true })
}
