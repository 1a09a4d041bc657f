/**
 * From a link to the visible counterexample, and from a mistake in the editor to its mark, in
 * Chromium with a fresh profile: wall time, and CPU time of all the browser's processes. The first
 * page of each course is left out of the figures: it pays for what a browser starts once. Needs an
 * idle machine to mean something, where it fails if a median is above what is promised; on a busy one
 * CPU time says more. The argument is how many rounds are counted.
 */
import { loadavg } from 'node:os'
import type { Browser, Page } from 'playwright-core'
import { cpuBelow } from '../test/cpu.js'
import { launch, noBrowser, PATIENCE, serve, TOUCH } from '../test/lab/browser.js'

const [rounds = '5'] = process.argv.slice(2)
if (!/^[1-9]\d*$/.test(rounds)) throw new Error(`how many rounds? "${rounds}" is no number from 1`)
const ROUNDS = Number(rounds)

/** CPU seconds of all processes that this one has begun and that still run. */
const cpuOfChildren = (): number => cpuBelow(process.pid, false) ?? 0

interface Measured {
  readonly wall: number
  readonly cpu: number
}

/** What is done in a page of a fresh profile before the clock runs, and while it does. */
interface Course {
  readonly what: string
  /** The longest that is promised, in seconds. */
  readonly most?: number
  readonly before: (page: Page) => Promise<unknown>
  readonly act: (page: Page) => Promise<unknown>
}

async function measure(browser: Browser, { before, act }: Course): Promise<Measured> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  await before(page)
  const [cpu, start] = [cpuOfChildren(), performance.now()]
  await act(page)
  const measured = { wall: (performance.now() - start) / 1000, cpu: cpuOfChildren() - cpu }
  await context.close()
  return measured
}

/** Open an address, until something can be seen. */
function opening(what: string, url: string, there: string, most?: number): Course {
  return {
    what,
    ...(most === undefined ? {} : { most }),
    before: (page) => page.goto('about:blank'),
    act: async (page) => {
      await page.goto(url)
      await page.waitForSelector(there)
    },
  }
}

/** Type what is no scenario, until its line is marked. */
function mistake(url: string): Course {
  return {
    what: 'a mistake in the editor to its mark',
    most: 0.5,
    before: async (page) => {
      await page.goto(`${url}#edit`)
      await page.click('.cm-content')
      await page.keyboard.press('Control+End')
      await page.keyboard.press('Enter')
    },
    act: async (page) => {
      await page.keyboard.press('x')
      await page.waitForSelector('.cm-lint-marker-error')
    },
  }
}

const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

async function main(): Promise<void> {
  if (noBrowser !== false) {
    process.stdout.write(`skipped: ${noBrowser}\n`)
    process.exitCode = 4
    return
  }
  const served = await serve([TOUCH])
  const { cells } = served.verdicts.now()
  const token = cells.find((c) => c.design === 'v10')?.findings[0]?.token
  const courses = [
    opening('a page without the model', `${served.url}#learn`, '.docs li'),
    opening('a link to its counterexample', `${served.url}#${token}`, '.arrow.stale', 1.5),
    opening('and to what is known in hindsight', `${served.url}#${token}`, '.hindsight'),
    mistake(served.url),
  ]
  const browser = await launch()
  for (const course of courses) {
    const { what, most } = course
    const measured: Measured[] = []
    for (let i = 0; i <= ROUNDS; i++) {
      process.stderr.write(`${what}: ${i} of ${ROUNDS}\r`)
      measured.push(await measure(browser, course))
    }
    const counted = measured.slice(1)
    const wall = middle(counted.map((m) => m.wall))
    const cpu = middle(counted.map((m) => m.cpu))
    const promised =
      most === undefined ? '' : `, at most ${most} s: ${wall <= most ? 'met' : 'missed'}`
    process.stdout.write(
      `${what}: ${wall.toFixed(2)} s, ${cpu.toFixed(2)} CPU s (median of ${ROUNDS})${promised}\n`,
    )
    if (most !== undefined && wall > most) process.exitCode = 1
  }
  process.stdout.write(`load ${loadavg()[0]?.toFixed(1)}\n`)
  await browser.close()
  served.close()
}

await main()
