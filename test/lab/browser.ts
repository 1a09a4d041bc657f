/** One browser of this machine for all tests of the page, and the page served for it. */
import { existsSync } from 'node:fs'
import { after, before } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { STATUS_SCHEMA, type Status } from '../../src/app/campaign.js'
import { LabServer } from '../../src/lab/host/serve.js'
import { Verdicts } from '../../src/lab/host/ship.js'
import type { CellVerdict, Opening } from '../../src/lab/protocol.js'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

const executablePath = PLACES.find((p) => existsSync(p))

/** Why there is no browser; false if there is one. */
export const noBrowser: string | false =
  executablePath === undefined ? 'no Chromium on this machine' : false

const ARGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath as string, args: ARGS })
}

/** How long a page may take to show something, in milliseconds: machines may be busy. */
export const PATIENCE = 120_000

/** A campaign under way. */
export const CAMPAIGN: Status = {
  schema: STATUS_SCHEMA,
  runs: [
    {
      id: 'f00d',
      ...{ code: '0.1.0 f00d', what: 'check migration', host: 'here', state: 'running' },
      ...{ begun: '2026-01-02T03:04:05.678Z', seconds: 12.5, done: 2, total: 5 },
      found: { 'stale-secondary-mapping': 1 },
      by: { 'here:1': { jobs: 2, slices: 1, milliseconds: 9100 } },
      sliced: [{ title: 'size/large on upm', slices: 3, states: 123456, seconds: 3.25 }],
      ran: [
        {
          ...{ title: 'migration/guest-touch-vs-compaction on v10', worker: 'here:1' },
          ...{ slices: 1, seconds: 2.5, found: ['stale-secondary-mapping'] },
        },
        { title: 'size/small on upm', worker: 'here:1', slices: 2, seconds: 6.6, found: [] },
      ],
    },
  ],
  workers: [
    {
      ...{ code: '0.1.0 f00d', name: 'here:1', threads: 1, seconds: 20, jobs: 2 },
      ...{ milliseconds: 9100, doing: [['size/large on upm', 1.5]] },
    },
  ],
}

export interface Served {
  readonly url: string
  readonly server: LabServer
  readonly verdicts: Verdicts
  /** What the page is opened with from now on. */
  opening: Opening
  close(): void
}

/** The page on a port of its own. Verdicts are those that `only` names. */
export async function serve(only: readonly string[]): Promise<Served> {
  const stop = new AbortController()
  const verdicts = new Verdicts(stop.signal, only)
  const none = { cells: [], pending: 0 }
  const server = new LabServer({
    open: () => served.opening,
    verdicts: (id) => (id === 'main' ? verdicts.now() : none),
    campaign: () => ({ status: CAMPAIGN }),
  })
  const served: Served = {
    url: await server.listen(0),
    server,
    verdicts,
    opening: {},
    close: () => {
      stop.abort()
      server.close()
    },
  }
  await verdicts.all()
  return served
}

export const TOUCH = 'migration/guest-touch-vs-compaction'

/** What the tests of a file share: the page with the verdicts on one scenario, and the browser. */
export class Lab {
  served!: Served
  browser: Browser | undefined

  constructor() {
    before(async () => {
      this.served = await serve([TOUCH])
      if (noBrowser === false) this.browser = await launch()
    })
    after(async () => {
      await this.browser?.close()
      this.served.close()
    })
  }

  get url(): string {
    return this.served.url
  }

  cell(design: string): CellVerdict {
    return this.served.verdicts.now().cells.find((c) => c.design === design) as CellVerdict
  }

  /** Of the stale mapping on a design. */
  token(design: string): string {
    const found = this.cell(design).findings.find((f) => f.id === 'stale-secondary-mapping')
    return found?.token as string
  }

  /** Open a hash in a fresh profile, act, and close it again; returns what the page complained of. */
  async at(hash: string, act: (page: Page) => Promise<void>, url = this.url): Promise<string[]> {
    const context = await (this.browser as Browser).newContext({
      viewport: { width: 1400, height: 1000 },
    })
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE)
    const complaints = complaintsOf(page)
    try {
      await page.goto(`${url}${hash}`)
      await act(page)
      return complaints
    } finally {
      await context.close()
    }
  }
}

/** What went wrong in a page while it was open: errors, and what its policy refused. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return complaints
}

/** The text of the first element that a selector finds, when it is there. */
export async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.textContent(selector)) ?? ''
}
