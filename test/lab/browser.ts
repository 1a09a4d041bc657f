/** A browser of this machine with a fresh profile, and the page served for it. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { LabServer } from '../../src/lab/host/serve.js'
import { type Opening, Verdicts } from '../../src/lab/host/ship.js'

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

export interface Served {
  readonly url: string
  readonly server: LabServer
  readonly verdicts: Verdicts
  close(): void
}

/** The page on a port of its own. Verdicts are those that `only` names, checked here. */
export async function serve(opening: Opening = {}, only?: readonly string[]): Promise<Served> {
  const stop = new AbortController()
  const verdicts = new Verdicts(stop.signal, only)
  const server = new LabServer(() => opening, verdicts)
  const url = await server.listen(0)
  const checked = verdicts.all()
  await checked
  return {
    url,
    server,
    verdicts,
    close: () => {
      stop.abort()
      server.close()
    },
  }
}

/** How long a page may take to show something, in milliseconds: machines may be busy. */
export const PATIENCE = 120_000

/** What went wrong in a page while it was open: errors, and what its policy refused. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return complaints
}
