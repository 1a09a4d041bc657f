/**
 * From a link to the visible counterexample, in Chromium with a fresh profile: wall time, and CPU time
 * of all the browser's processes. The first page of a browser is left out of the figures: it pays for
 * the browser's own start. Needs an idle machine to mean something; CPU time says more on a busy one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import type { Browser } from 'playwright-core'
import { launch, noBrowser, serve, TOUCH } from '../test/lab/browser.js'

const ROUNDS = 9

/** Ticks of the processes' clocks in a second, as Linux counts them for users. */
const TICKS = 100

/** CPU seconds of all processes that this one has begun and that still run. */
function cpuOfChildren(): number {
  const processes = new Map<number, { readonly parent: number; readonly ticks: number }>()
  for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const ticks = Number(fields[11]) + Number(fields[12])
      processes.set(Number(name), { parent: Number(fields[1]), ticks })
    } catch {
      // It has ended.
    }
  }
  let ticks = 0
  for (const [id, of] of processes) {
    let up = id === process.pid ? 0 : of.parent
    while (up > 0 && up !== process.pid) up = processes.get(up)?.parent ?? 0
    if (up === process.pid) ticks += of.ticks
  }
  return ticks / TICKS
}

interface Measured {
  readonly wall: number
  readonly cpu: number
}

/** Open an address in a fresh profile; seconds until something can be seen. */
async function open(browser: Browser, url: string, there: string): Promise<Measured> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  await page.goto('about:blank')
  const [cpu, start] = [cpuOfChildren(), performance.now()]
  await page.goto(url)
  await page.waitForSelector(there)
  const measured = { wall: (performance.now() - start) / 1000, cpu: cpuOfChildren() - cpu }
  await context.close()
  return measured
}

const middle = (values: readonly number[]): string =>
  ([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0).toFixed(2)

async function main(): Promise<void> {
  if (noBrowser !== false) {
    process.stdout.write(`${noBrowser}\n`)
    return
  }
  const served = await serve([TOUCH])
  const { cells } = served.verdicts.now()
  const token = cells.find((c) => c.design === 'v10')?.findings[0]?.token
  const rows = [
    ['a page without the model', `${served.url}#learn`, '.docs li'],
    ['a link to its counterexample', `${served.url}#${token}`, '.arrow.stale'],
    ['and to what is known in hindsight', `${served.url}#${token}`, '.hindsight'],
  ] as const
  const browser = await launch()
  for (const [what, url, there] of rows) {
    const measured: Measured[] = []
    for (let i = 0; i <= ROUNDS; i++) measured.push(await open(browser, url, there))
    const counted = measured.slice(1)
    const wall = middle(counted.map((m) => m.wall))
    const cpu = middle(counted.map((m) => m.cpu))
    process.stdout.write(`${what}: ${wall} s, ${cpu} CPU s (median of ${ROUNDS})\n`)
  }
  process.stdout.write(`load ${loadavg()[0]?.toFixed(1)}\n`)
  await browser.close()
  served.close()
}

await main()
