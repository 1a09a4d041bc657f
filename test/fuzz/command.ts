/** The command line on one input: how it ends, what it says, and what it leaves behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { watch } from './patience.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const MAIN = join(ROOT, 'dist/src/cli/main.js')

/** Exit codes that an input may lead to: all but that of a bug of ours. */
const CODES: ReadonlySet<number | null> = new Set([0, 2, 4, 10, 11, 13, 14, 15, 20, 21, 22])

/** What a terminal obeys, apart from ends of lines: nothing that a user has handed in may print it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/

/** In seconds, of CPU time or of standing still; whoever takes longer hangs. */
const PATIENCE = 120

/** Run a command; undefined if it behaves, else what is wrong. */
export async function misbehaves(args: readonly string[], input = ''): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-fuzz-command-'))
  const env = { ...process.env, TMPDIR: folder, XDG_CACHE_HOME: join(folder, 'cache') }
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: ROOT, env, detached: true })
  let hangs = false
  const forget = watch(child.pid as number, PATIENCE, () => {
    hangs = true
    child.kill('SIGKILL')
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (text) => {
    out += text
  })
  child.stderr.on('data', (text) => {
    err += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  forget()
  try {
    if (hangs) return `hangs: no end within ${PATIENCE} s of the CPU`
    if (signal !== null) return `ended by ${signal}`
    if (!CODES.has(code)) return `exit code ${code}: ${err.slice(0, 300)}`
    if (code === 2 && err.trim() === '') return 'exit code 2 without a word'
    if (/\n {4}at .*:\d+:\d+\)?$/m.test(err)) return `a stack trace: ${err.slice(0, 300)}`
    const raw = CONTROL.exec(out + err)
    if (raw !== null) return `prints ${JSON.stringify(raw[0])}, which controls a terminal`
    const left = readdirSync(folder).filter((name) => name !== 'cache')
    if (left.length > 0) return `leaves ${left.join(', ')} behind`
    if (hasProcesses(child.pid as number)) return 'leaves a process behind'
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Is anybody left of a process group? */
function hasProcesses(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}
