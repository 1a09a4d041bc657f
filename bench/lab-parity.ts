/**
 * Do browsers come to the same verdicts and stories as Node? Every cell of every matrix is checked by
 * the page's own worker in Chromium and in Firefox, whichever there are, both at once. Its word,
 * states, executions and tokens are held to those of `check`; the story of each finding, step by step
 * with functions, changes and final state, to what `replay --json` prints. Scenarios or areas may be
 * named, and one browser: `--chromium`, `--firefox`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { knownNames } from '../src/app/known.js'
import { decodeToken } from '../src/app/token.js'
import type { Design } from '../src/designs/design.js'
import { replayPictured } from '../src/explore/tell/pictured.js'
import { designNamed } from '../src/hosts/index.js'
import { builtFile, dataOf, MATRICES, Verdicts } from '../src/lab/host/ship.js'
import { type CellVerdict, factsOf } from '../src/lab/protocol.js'
import { readScenario } from '../src/litmus/scenario.js'

interface Browser {
  readonly name: string
  readonly path: string
  /** What a fresh profile has. */
  readonly profile?: Readonly<Record<string, string>>
  args(profile: string, url: string): readonly string[]
}

/** What Firefox would do when it starts with a fresh profile, and nobody here asks of it. */
const ALONE = [
  ...['app.normandy.enabled', 'browser.aboutwelcome.enabled', 'browser.newtabpage.enabled'],
  ...['browser.safebrowsing.malware.enabled', 'browser.safebrowsing.phishing.enabled'],
  ...['browser.shell.checkDefaultBrowser', 'datareporting.policy.dataSubmissionEnabled'],
  ...['extensions.getAddons.cache.enabled', 'extensions.update.enabled'],
  ...['network.captive-portal-service.enabled', 'network.connectivity-service.enabled'],
  ...['toolkit.telemetry.enabled', 'toolkit.telemetry.unified'],
]

const BROWSERS: readonly Browser[] = [
  {
    name: 'chromium',
    path: '/usr/bin/chromium',
    args: (profile, url) => [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...[`--user-data-dir=${profile}`, url],
    ],
  },
  {
    name: 'firefox',
    path: '/usr/bin/firefox-esr',
    profile: { 'user.js': ALONE.map((p) => `user_pref('${p}', false)\n`).join('') },
    args: (profile, url) => ['--headless', '--no-remote', '--profile', profile, url],
  },
]

/** A browser that says nothing for so many milliseconds is given up. */
const SILENCE = 300_000

/** A browser that was told to end, and has not after so many milliseconds, is killed. */
const GRACE = 10_000

/** Milliseconds between two lines of progress. */
const BETWEEN = 10_000

interface Job {
  readonly text: string
  readonly design: string
  readonly tokens: readonly string[]
}

/** A story as far as it is compared: hashes of its steps and of what else a trace has, last state. */
interface Story {
  readonly steps: string
  readonly rest: string
  readonly state: string
}

/** What a browser says of a job. */
interface Said {
  readonly id: number
  readonly cell?: CellVerdict
  /** In the order of the tokens. */
  readonly stories: readonly Story[]
  readonly error?: string
}

/** Asks the worker for each cell and its stories in turn, and tells the server of each. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>parity</title><script type="module">
const data = await (await fetch('data.json')).json()
const jobs = await (await fetch('jobs.json')).json()
const texts = await (await fetch('texts.json')).json()
const worker = new Worker('worker.js')
worker.postMessage({ kind: 'start', ...data, stop: undefined })
let heard
worker.onmessage = ({ data: reply }) => reply.kind === 'progress' || heard(reply)
worker.onerror = (e) => heard({ kind: 'error', message: e.message })
const ask = (request) => new Promise((resolve, reject) => {
  heard = (r) => r.kind === 'error' ? reject(new Error(r.message)) : resolve(r.value)
  worker.postMessage({ id: 0, request })
})
const hashOf = async (value) => {
  const bytes = new TextEncoder().encode(JSON.stringify(value))
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (b) => b.toString(16).padStart(2, '0')).join('')
}
const whole = (key, value) =>
  key === 'text' && value.startsWith('#') ? texts[Number(value.slice(1))] : value
const inFull = (trace) => JSON.parse(JSON.stringify(trace), whole)
const storyOf = async ({ steps, fingerprint, ...rest }) =>
  ({ steps: await hashOf(steps), rest: await hashOf(rest), state: fingerprint.join(' ') })
for (const [id, { text, design, tokens }] of jobs.entries()) {
  const said = { id, stories: [] }
  try {
    said.cell = await ask({ kind: 'check', text, design })
    for (const token of tokens) {
      const { own } = await ask({ kind: 'story', token })
      said.stories.push(await storyOf(inFull(own.trace)))
    }
  } catch (error) {
    said.error = error.message
  }
  await fetch('said', { method: 'POST', body: JSON.stringify(said) })
}
fetch('done', { method: 'POST', body: '{}' })
</script>`

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const part of request) body += String(part)
  return body
}

function serve(jobs: readonly Job[], hear: (name: string, body: string) => void): Server {
  const made: Record<string, () => string | Buffer> = {
    '': () => PAGE,
    'data.json': () => JSON.stringify(dataOf({})),
    'jobs.json': () => JSON.stringify(jobs),
    'worker.js': () => builtFile('worker.js'),
    'texts.json': () => builtFile('texts.json'),
  }
  return createServer(async (request, response) => {
    const name = (request.url ?? '/').slice(1)
    if (request.method === 'POST') {
      const body = await bodyOf(request)
      response.end()
      hear(name, body)
      return
    }
    const make = made[name]
    const type = name.endsWith('.js') ? 'text/javascript' : 'text/html'
    response.writeHead(make === undefined ? 404 : 200, { 'content-type': type })
    response.end(make?.())
  })
}

/** Run the jobs in a browser; hears each answer. Resolves with how it ended before its time, if so. */
function runIn(
  browser: Browser,
  jobs: readonly Job[],
  hear: (said: Said) => void,
): Promise<string | undefined> {
  const profile = mkdtempSync(join(tmpdir(), 'lab-parity-'))
  for (const [name, text] of Object.entries(browser.profile ?? {})) {
    writeFileSync(join(profile, name), text)
  }
  return new Promise((resolve, reject) => {
    let child: ChildProcess | undefined
    let early: string | undefined = 'the browser ended'
    let timer: NodeJS.Timeout | undefined
    const end = (): void => {
      child?.kill()
      clearTimeout(timer)
      timer = setTimeout(() => child?.kill('SIGKILL'), GRACE)
    }
    const wait = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        early = `nothing heard for ${SILENCE / 1000} s`
        end()
      }, SILENCE)
    }
    const server = serve(jobs, (name, body) => {
      wait()
      if (name === 'said') hear(JSON.parse(body))
      if (name !== 'done') return
      early = undefined
      end()
    })
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      child = spawn(browser.path, browser.args(profile, `http://127.0.0.1:${port}/`), {
        stdio: 'ignore',
      })
      wait()
      child.on('error', reject)
      child.on('exit', () => {
        clearTimeout(timer)
        server.closeAllConnections()
        server.close()
        rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
        resolve(early)
      })
    })
  })
}

interface Expected {
  readonly cell: CellVerdict
  readonly job: Job
  readonly stories: readonly Story[]
}

const hashOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex')

/** Of the trace that `replay --json` prints. */
function storyOf(token: string, text: string): Story {
  const { design, schedule } = decodeToken(token)
  const scenario = readScenario(text, knownNames())
  const on = designNamed(design) as Design
  const { trace } = replayPictured(scenario, on, schedule, 'lowered', false)
  const { steps, fingerprint, ...rest } = trace
  return { steps: hashOf(steps), rest: hashOf(rest), state: fingerprint.join(' ') }
}

/** All cells of a matrix, or those of the scenarios that are named, as Node has them. */
async function expectedOf(id: string, only: readonly string[] | undefined): Promise<Expected[]> {
  const verdicts = new Verdicts(new AbortController().signal, only, id)
  await verdicts.all()
  const texts = new Map(dataOf({}).scenarios.map((s) => [s.name, s.text]))
  return verdicts.now().cells.map((cell) => {
    const text = texts.get(cell.scenario) as string
    const tokens = cell.findings.map((f) => f.token)
    const stories = tokens.map((token) => storyOf(token, text))
    return { cell, job: { text, design: cell.design, tokens }, stories }
  })
}

/** Of all matrices: a cell that stands in two is one. */
async function expectedOfAll(
  only: readonly string[] | undefined,
  say: (text: string) => void,
): Promise<Expected[]> {
  const all = new Map<string, Expected>()
  for (const id of MATRICES) {
    for (const e of await expectedOf(id, only)) all.set(`${e.cell.scenario} ${e.cell.design}`, e)
    say(`node: ${id}, ${all.size} cells`)
  }
  return [...all.values()]
}

/** What a verdict is compared by, in the order of `factsOf`. */
const FACTS = ['word', 'states', 'executions', 'expectation', 'findings', 'outcomes'] as const

/** In what the browser differs; undefined if in nothing. */
function differenceOf({ cell, stories }: Expected, said: Said): string | undefined {
  if (said.error !== undefined || said.cell === undefined) return said.error ?? 'no answer'
  if (factsOf(said.cell) !== factsOf(cell)) {
    const [there, here] = [said.cell, cell].map((c) => JSON.parse(factsOf(c)) as unknown[])
    const apart = FACTS.map((name, i) => [
      name,
      JSON.stringify(there?.[i]),
      JSON.stringify(here?.[i]),
    ])
    return apart
      .filter(([, a, b]) => a !== b)
      .map(([name, a, b]) => `${name} ${a} instead of ${b}`)
      .join('; ')
  }
  for (const [i, own] of stories.entries()) {
    const other = said.stories[i]
    const parts = (['steps', 'rest', 'state'] as const).filter((k) => own[k] !== other?.[k])
    if (parts.length > 0) return `${parts.join(', ')} of the story of ${cell.findings[i]?.token}`
  }
  return undefined
}

/** Hold a browser to what is expected, and tell of it. Does it say the same of everything? */
async function isAlike(
  browser: Browser,
  expected: readonly Expected[],
  say: (text: string) => void,
): Promise<boolean> {
  const { name } = browser
  const all = expected.length
  const stories = expected.reduce((sum, e) => sum + e.stories.length, 0)
  let [equal, heard] = [0, 0]
  const progress = setInterval(() => {
    const next = expected[heard]?.cell
    const at = next === undefined ? '' : `, at ${next.scenario} on ${next.design}`
    say(`${name}: ${heard} of ${all} cells heard${at}`)
  }, BETWEEN)
  const jobs = expected.map((e) => e.job)
  const early = await runIn(browser, jobs, (said) => {
    const cell = expected[said.id] as Expected
    const difference = differenceOf(cell, said)
    heard++
    if (difference === undefined) equal++
    else {
      const { scenario, design } = cell.cell
      process.stdout.write(`${name}: ${scenario} on ${design} differs: ${difference}\n`)
    }
  })
  clearInterval(progress)
  const end = early === undefined ? '' : `; ended early: ${early}`
  process.stdout.write(`${name}: ${equal} of ${all} cells equal, with ${stories} stories${end}\n`)
  return equal === all && all > 0 && early === undefined
}

async function main(args: readonly string[]): Promise<void> {
  const only = args.filter((a) => !a.startsWith('--'))
  const wanted = args.filter((a) => a.startsWith('--')).map((a) => a.slice(2))
  const start = performance.now()
  const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`
  const say = (text: string): void => void process.stderr.write(`${text}, ${seconds()}\n`)
  const unknown = wanted.filter((name) => !BROWSERS.some((b) => b.name === name))
  if (unknown.length > 0) {
    const names = BROWSERS.map((b) => `--${b.name}`).join(', ')
    throw new Error(`no browser: --${unknown.join(', --')}; there are ${names}`)
  }
  const browsers = BROWSERS.filter((b) => wanted.length === 0 || wanted.includes(b.name))
  const missing = browsers.filter((b) => !existsSync(b.path))
  for (const { name } of missing) process.stdout.write(`${name}: not on this machine\n`)
  const there = browsers.filter((b) => !missing.includes(b))
  if (there.length === 0) {
    process.stdout.write('skipped: there is nothing to compare with\n')
    process.exitCode = 4
    return
  }
  const expected = await expectedOfAll(only.length > 0 ? only : undefined, say)
  const alike = await Promise.all(there.map((b) => isAlike(b, expected, say)))
  process.stdout.write(`in ${seconds()}\n`)
  if (!alike.every((a) => a)) process.exitCode = 1
}

await main(process.argv.slice(2))
