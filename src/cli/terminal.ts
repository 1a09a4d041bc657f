/** The terminal: colours where they are wanted, and a progress line that leaves nothing behind. */
import { styleText } from 'node:util'
import { type Paint, PLAIN } from '../report/paint.js'
import type { Progress } from './pool.js'

/** Colours for a terminal; NO_COLOR and FORCE_COLOR have their say. */
export function paintFor(stream: { isTTY?: boolean }): Paint {
  const { NO_COLOR, FORCE_COLOR } = process.env
  const wanted = FORCE_COLOR !== undefined || (stream.isTTY === true && !NO_COLOR)
  if (!wanted) return PLAIN
  const style = (s: Parameters<typeof styleText>[0]) => (text: string) => `${styleText(s, text)}`
  return { good: style('blue'), bad: style('yellow'), dim: style('dim'), bold: style('bold') }
}

export class ProgressLine {
  readonly #shown = process.stderr.isTTY === true
  readonly #start = performance.now()
  #last = 0
  #dirty = false

  update(p: Progress): void {
    const seconds = (performance.now() - this.#start) / 1000
    const rate = Math.round(p.states / Math.max(seconds, 0.001) / 1000)
    const depth = p.depth > 0 ? `  depth ${p.depth}` : ''
    const memory = p.bytes > 0 ? `  ${Math.ceil(p.bytes / 2 ** 20)} MiB` : ''
    // How many states there will be can't be told from those seen; a guess would be worse.
    const end = p.total === 1 ? '  end unknown' : ''
    const line = `${p.done} of ${p.total} cells  ${p.states} states  ${rate} k/s${depth}${memory}  ${seconds.toFixed(0)} s${end}`
    this.show(line)
  }

  /** Show a line of text; too many of them are not. */
  show(line: string): void {
    const now = performance.now()
    if (!this.#shown || now - this.#last < 100) return
    this.#last = now
    process.stderr.write(`\r${line.slice(0, 78).padEnd(78)}`)
    this.#dirty = true
  }

  clear(): void {
    if (this.#dirty) process.stderr.write(`\r${' '.repeat(78)}\r`)
    this.#dirty = false
  }
}

/** Whether the user has asked to stop, until `release` is called. */
export function interruption(): {
  readonly promise: Promise<void>
  requested(): boolean
  release(): void
} {
  let asked = false
  let stop = (): void => {}
  const promise = new Promise<void>((resolve) => {
    stop = () => {
      asked = true
      resolve()
    }
  })
  process.once('SIGINT', stop)
  return {
    promise,
    requested: () => asked,
    release: () => {
      process.removeListener('SIGINT', stop)
    },
  }
}
