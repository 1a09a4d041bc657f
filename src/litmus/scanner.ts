/** The words of litmus files, from left to right. Blanks between them are skipped, lines are not. */
import { LitmusError } from './error.js'

/** A word and where it stands: an offset into the text. */
export interface Named {
  readonly text: string
  readonly at: number
}

/** Sticky expressions: a word is what matches right here. */
const BLANKS = /(?:[ \t\r]|#[^\n]*)*/y
const EMPTY_LINES = /(?:[ \t\r\n]|#[^\n]*)*/y
const COMMENT = /#[^\n]*/y

export class Scanner {
  readonly source: string
  #at = 0

  constructor(source: string) {
    this.source = source
  }

  /** Where the next word begins. */
  get at(): number {
    return this.#at
  }

  fail(wanted: string, at = this.#at): never {
    throw new LitmusError(wanted, this.source, at)
  }

  expected(what: string): never {
    return this.fail(`expected ${what}`)
  }

  /** The text that an expression matches here, and what follows is the next word. */
  take(pattern: RegExp): Named | undefined {
    pattern.lastIndex = this.#at
    const at = this.#at
    const text = pattern.exec(this.source)?.[0]
    if (text === undefined) return undefined
    this.#at += text.length
    this.#skip(BLANKS)
    return { text, at }
  }

  need(pattern: RegExp, what: string): Named {
    return this.take(pattern) ?? this.expected(what)
  }

  /** Whether this comes next; it is not taken. */
  sees(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    return pattern.test(this.source)
  }

  /** The end of the line, and of empty ones that follow. */
  endOfLine(): void {
    this.#skip(COMMENT)
    if (this.#at < this.source.length && this.source[this.#at] !== '\n') {
      this.expected('the end of the line')
    }
    this.#skip(EMPTY_LINES)
  }

  /** Empty lines: where a file begins, and where a statement may go on in the next line. */
  skipLines(): void {
    this.#skip(EMPTY_LINES)
  }

  get ended(): boolean {
    return this.#at >= this.source.length
  }

  /** What was written from an offset up to here, in one line. */
  since(at: number): string {
    const lines = this.source.slice(at, this.#at).split('\n')
    return lines
      .map((line) => line.replace(/#.*$/, '').trim())
      .join(' ')
      .trim()
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at
    this.#at += pattern.exec(this.source)?.[0].length ?? 0
  }
}
