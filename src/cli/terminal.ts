/**
 * The terminal: where all that is printed goes through, colours where they are wanted, a progress
 * line that leaves nothing behind, and the signals that ask to stop.
 */
import { constants } from 'node:os'
import { relative } from 'node:path'
import { styleText } from 'node:util'
import { packagedFile } from '../app/host/package.js'
import type { Progress } from '../app/results.js'
import type { Look } from '../report/format.js'
import { type Paint, PLAIN, PLAIN_PAGE } from '../report/paint.js'

/**
 * Text as a terminal may show it. Names come from tokens, files and recordings of others: control
 * characters, and those that turn the direction of writing, are told by their number. Colours are
 * left.
 */
export function harmless(text: string): string {
  return text.replace(UNSHOWN, (c) => {
    if (c.length > 1) return c
    return c === '\t' ? ' ' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

const COLOUR = `${String.fromCharCode(27)}\\[\\d+(?:;\\d+)*m`
const UNSHOWN = new RegExp(`${COLOUR}|[^\\P{Cc}\\n]|[\\u202a-\\u202e\\u2066-\\u2069]`, 'gu')

/** Print a result. */
export function out(text: string): void {
  process.stdout.write(`${harmless(text)}\n`)
}

/** Print what is not a result. */
export function say(text: string): void {
  process.stderr.write(`${harmless(text)}\n`)
}

/** Colours for a terminal; NO_COLOR and FORCE_COLOR have their say. */
function paintFor(stream: { isTTY?: boolean }): Paint {
  const { NO_COLOR, FORCE_COLOR } = process.env
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  const wanted = FORCE_COLOR === undefined ? stream.isTTY === true && !NO_COLOR : forced
  if (!wanted) return PLAIN
  const style = (s: Parameters<typeof styleText>[0]) => (text: string) =>
    `${styleText(s, text, { validateStream: false })}`
  return { good: style('blue'), bad: style('yellow'), dim: style('dim'), bold: style('bold') }
}

/** Narrower than this nothing can be laid out; wider, lines are hard to follow. */
const WIDTHS = { least: 60, most: 140 }

interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
}

/** How many columns a line may have there. */
export function widthOf({ isTTY, columns = 80 }: Stream): number {
  const width = isTTY === true ? columns - 1 : PLAIN_PAGE.width
  return Math.min(Math.max(width, WIDTHS.least), WIDTHS.most)
}

/** How reports look on the standard output. */
export function lookFor(stream: Stream, named: boolean): Look {
  const packaged = (name: string): string => relative(process.cwd(), packagedFile(name)) || name
  return {
    paint: paintFor(stream),
    width: widthOf(stream),
    named,
    command: { program: 'npx restrictedmem', packaged },
  }
}

/** Without a terminal, the first line of progress and the time between two, in milliseconds. */
const PATIENCE = 30_000
/** On a terminal. */
const REDRAWN = 100

/** A line on a terminal; in a pipe, a line every now and then if it takes long. */
export class ProgressLine {
  readonly #live = process.stderr.isTTY === true
  readonly #start = performance.now()
  #last = process.stderr.isTTY === true ? 0 : performance.now()
  #dirty = false

  update(p: Progress): void {
    const seconds = (performance.now() - this.#start) / 1000
    const rate = Math.round(p.states / Math.max(seconds, 0.001) / 1000)
    // A sample keeps none.
    const states = p.states > 0 ? `  ${p.states} states  ${rate} k/s` : ''
    const depth = p.depth > 0 ? `  depth ${p.depth}` : ''
    const memory = p.bytes > 0 ? `  ${Math.ceil(p.bytes / 2 ** 20)} MiB` : ''
    // How many states there will be can't be told from those seen; a guess would be worse.
    const end = p.total === 1 ? '  end unknown' : ''
    const line = `${p.done} of ${p.total} cells${states}${depth}${memory}  ${seconds.toFixed(0)} s${end}`
    this.show(line)
  }

  /** Show a line of text; too many of them are not. */
  show(line: string): void {
    const now = performance.now()
    if (now - this.#last < (this.#live ? REDRAWN : PATIENCE)) return
    this.#last = now
    if (!this.#live) say(line)
    else {
      process.stderr.write(`\r${harmless(line).slice(0, 78).padEnd(78)}`)
      this.#dirty = true
    }
  }

  clear(): void {
    if (this.#dirty) process.stderr.write(`\r${' '.repeat(78)}\r`)
    this.#dirty = false
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Whether the user, or the system, has asked to stop, until `release` is called. */
export class Interruption {
  readonly #controller = new AbortController()
  readonly #stop = (signal: NodeJS.Signals): void => {
    this.number = constants.signals[signal]
    // Who asks again does not want to wait.
    this.release()
    this.#controller.abort()
  }
  /** Of the signal that came; 0 for none. */
  number = 0

  constructor() {
    for (const s of SIGNALS) process.on(s, this.#stop)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  release(): void {
    for (const s of SIGNALS) process.off(s, this.#stop)
  }
}
