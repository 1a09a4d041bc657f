/**
 * Serves the page to this machine alone. A page of another origin can't read what is served here: the
 * address that the browser says it asked is compared, nothing but GET and HEAD is answered, and no
 * path leads out of what the build made. Only the worker may compile code, by which it reads and
 * writes structs.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CampaignSeen, Opening } from '../protocol.js'
import { builtFile, builtFiles, dataOf, MATRICES, verdictFile } from './ship.js'
import { WORKSHOP_FILES } from './workshop.js'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json; charset=utf-8',
}

export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const WORKER_POLICY = "default-src 'none'; script-src 'unsafe-eval'"

/** The workshop loads the compiler besides. */
const WORKSHOP_POLICY = "default-src 'none'; script-src 'self' 'unsafe-eval'"

/** Of the files that run in workers. */
const POLICIES: Readonly<Record<string, string>> = {
  'worker.js': WORKER_POLICY,
  'workshop.js': WORKSHOP_POLICY,
}

/** The stream of events that says when the file behind the page was written again. */
const CHANGES = 'changes'

export const INDEX = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>restrictedmem lab</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<link rel="preload" href="data.json" as="fetch" crossorigin>
<div id="app"></div>
<script type="module" src="app.js"></script>
</html>
`

function headersFor(name: string): Record<string, string> {
  const policy = POLICIES[name] ?? `${PAGE_POLICY}; frame-ancestors 'none'`
  return {
    'content-type': TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  }
}

/** What a page is made of besides the build. */
export interface Contents {
  readonly open: () => Opening
  /** What is known so far of a matrix. */
  readonly verdicts: (matrix: string) => object
  /** What is known of a campaign, if there is one to show. */
  readonly campaign?: (() => CampaignSeen) | undefined
}

/** What is answered to: the names of the build's files, and what is made for this start. */
export class LabServer {
  readonly #files: ReadonlySet<string>
  readonly #made: ReadonlyMap<string, () => string | Buffer>
  readonly #server: Server
  /** Pages that want to hear when the file that they show is written again. */
  readonly #listening = new Set<ServerResponse>()
  #port = 0

  constructor({ open, verdicts, campaign }: Contents) {
    this.#files = new Set(builtFiles())
    this.#made = new Map<string, () => string | Buffer>([
      ['index.html', () => INDEX],
      ['data.json', () => JSON.stringify(dataOf(open()))],
      ...MATRICES.map((id): [string, () => string] => [
        verdictFile(id),
        () => JSON.stringify(verdicts(id)),
      ]),
      ...Object.entries(WORKSHOP_FILES),
      ...(campaign ? [['campaign.json', () => JSON.stringify(campaign())] as const] : []),
    ])
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  /** What the page was opened with is another one now. */
  changed(): void {
    for (const response of this.#listening) response.write('data: changed\n\n')
  }

  /** Listen on a port of the loopback address, 0 for any; returns the page's address. */
  listen(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', () => {
        this.#port = (this.#server.address() as AddressInfo).port
        resolve(`http://127.0.0.1:${this.#port}/`)
      })
    })
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #answer({ method, url = '/', headers }: IncomingMessage, response: ServerResponse): void {
    const refuse = (code: number): void => {
      response.writeHead(code, headersFor('')).end()
    }
    const own = [`127.0.0.1:${this.#port}`, `localhost:${this.#port}`]
    if (!own.includes(headers.host ?? '')) {
      refuse(403)
      return
    }
    if (method !== 'GET' && method !== 'HEAD') {
      refuse(405)
      return
    }
    const name = url.replace(/[?#].*$/s, '').slice(1) || 'index.html'
    if (name === CHANGES && method === 'GET') {
      response.writeHead(200, { ...headersFor(name), 'content-type': 'text/event-stream' })
      response.flushHeaders()
      this.#listening.add(response)
      response.once('close', () => this.#listening.delete(response))
      return
    }
    const make = this.#made.get(name)
    if (make === undefined && !this.#files.has(name)) {
      refuse(404)
      return
    }
    const body = make?.() ?? builtFile(name)
    response.writeHead(200, headersFor(name)).end(method === 'HEAD' ? undefined : body)
  }
}
