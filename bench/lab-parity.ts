/**
 * Do browsers come to the same verdicts as Node? Every cell is checked by the page's own worker in
 * Chromium and in Firefox, whichever there are, and its word, states, executions and tokens are held
 * to those of `check`. Areas or scenarios may be named.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtFile, dataOf, Verdicts } from '../src/lab/host/ship.js'
import { type CellVerdict, factsOf } from '../src/lab/protocol.js'

interface Engine {
  readonly name: string
  readonly path: string
  args(profile: string, url: string): readonly string[]
}

const ENGINES: readonly Engine[] = [
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
    args: (profile, url) => ['--headless', '--no-remote', '--profile', profile, url],
  },
]

/** Asks the worker for each cell in turn, and tells the server of each. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>parity</title><script type="module">
const data = await (await fetch('data.json')).json()
const jobs = await (await fetch('jobs.json')).json()
const worker = new Worker('worker.js')
worker.postMessage({ kind: 'start', ...data, stop: undefined })
let next = 0
const ask = () => {
  const job = jobs[next]
  if (job === undefined) fetch('done', { method: 'POST', body: '{}' })
  else worker.postMessage({ id: next, request: { kind: 'check', ...job } })
}
worker.onmessage = async ({ data: reply }) => {
  if (reply.kind === 'progress') return
  await fetch('cell', { method: 'POST', body: JSON.stringify(reply) })
  next++
  ask()
}
ask()
</script>`

/** Run the jobs in a browser; hears each answer. */
function runIn(
  engine: Engine,
  jobs: readonly object[],
  hear: (reply: { id: number; value: CellVerdict; message?: string }) => void,
): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), 'lab-parity-'))
  return new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      const name = (request.url ?? '/').slice(1)
      if (request.method === 'POST') {
        let body = ''
        request.on('data', (part: Buffer) => {
          body += part.toString()
        })
        request.on('end', () => {
          response.end()
          if (name === 'cell') hear(JSON.parse(body))
          else child?.kill()
        })
        return
      }
      const made: Record<string, () => string | Buffer> = {
        '': () => PAGE,
        'data.json': () => JSON.stringify(dataOf({})),
        'jobs.json': () => JSON.stringify(jobs),
        'worker.js': () => builtFile('worker.js'),
      }
      const make = made[name]
      const type = name.endsWith('.js') ? 'text/javascript' : 'text/html'
      response.writeHead(make === undefined ? 404 : 200, { 'content-type': type })
      response.end(make?.())
    })
    let child: ChildProcess | undefined
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      const url = `http://127.0.0.1:${port}/`
      child = spawn(engine.path, engine.args(profile, url), { stdio: 'ignore' })
      child.on('error', reject)
      child.on('exit', () => {
        server.closeAllConnections()
        server.close()
        rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
        resolve()
      })
    })
  })
}

const named = process.argv.slice(2)
const verdicts = new Verdicts(new AbortController().signal, named.length > 0 ? named : undefined)
await verdicts.all()
const { cells } = verdicts.now()
const texts = new Map(dataOf({}).scenarios.map((s) => [s.name, s.text]))
const jobs = cells.map((c) => ({ text: texts.get(c.scenario), design: c.design }))
for (const engine of ENGINES) {
  if (!existsSync(engine.path)) {
    process.stdout.write(`${engine.name}: not on this machine\n`)
    continue
  }
  let same = 0
  const differ: string[] = []
  const start = performance.now()
  await runIn(engine, jobs, ({ id, value, message }) => {
    const cell = cells[id] as CellVerdict
    if (message === undefined && factsOf(value) === factsOf(cell)) same++
    else
      differ.push(
        `${cell.scenario} on ${cell.design}${message === undefined ? '' : `: ${message}`}`,
      )
  })
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  process.stdout.write(`${engine.name}: ${same} of ${cells.length} cells the same, ${seconds} s\n`)
  for (const d of differ) process.stdout.write(`  differs: ${d}\n`)
  if (same !== cells.length) process.exitCode = 1
}
