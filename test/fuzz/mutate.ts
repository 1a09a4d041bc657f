/** Text with something wrong in it, from text that is right. */
import type { Draw } from '../engine/programs.js'

/** What a reader may trip over, whatever it reads. */
const NASTY = [
  ...['0', '-1', '1', '63', '64', '2147483647', '2147483648', '4294967295', '4294967296'],
  ...['9007199254740993', '9223372036854775808', '18446744073709551616', '1'.repeat(310)],
  ...['1e9', '0x', '0xffffffffffffffff', '1P', '513P', '16777216T', 'NaN', '', ' ', '\t', '\r\n'],
  ...['constructor', '__proto__', 'toString', 'undefined', 'null', '-EBUSY', 'PRIVATE|', '|'],
  ...['('.repeat(150), ')'.repeat(150), '"', "'", '\\', '#', '=', '==', ',', '{', '}', '[', ']'],
  ...['\u0000', '\u001b[2J', '\u202e', '\ufeff', '\ud800', '💥', 'ﬀ', 'x'.repeat(5000)],
]

type Mutator = (text: string, draw: Draw, others: readonly string[]) => string

const at = (text: string, draw: Draw): number => draw(text.length + 1)

const replacedPart =
  (part: RegExp, by: (draw: Draw) => string): Mutator =>
  (text, draw) => {
    const parts = [...text.matchAll(part)]
    const hit = parts[draw(Math.max(1, parts.length))]
    if (hit === undefined) return text + by(draw)
    return text.slice(0, hit.index) + by(draw) + text.slice(hit.index + hit[0].length)
  }

const ofLines =
  (change: (lines: string[], i: number, draw: Draw, others: readonly string[]) => void): Mutator =>
  (text, draw, others) => {
    const lines = text.split('\n')
    change(lines, draw(lines.length), draw, others)
    return lines.join('\n')
  }

const nasty = (draw: Draw): string => NASTY[draw(NASTY.length)] as string

const MUTATORS: readonly Mutator[] = [
  replacedPart(/\w+/g, nasty),
  replacedPart(/\d+/g, nasty),
  replacedPart(/[^\s\w]/g, nasty),
  (text, draw) => {
    const i = at(text, draw)
    return text.slice(0, i) + nasty(draw) + text.slice(i)
  },
  (text, draw) => {
    const i = at(text, draw)
    return text.slice(0, i) + String.fromCharCode(draw(256)) + text.slice(i + 1)
  },
  (text, draw) => {
    const [i, n] = [at(text, draw), 1 + draw(20)]
    return text.slice(0, i) + text.slice(i + n)
  },
  (text, draw) => text.slice(0, at(text, draw)),
  ofLines((lines, i) => lines.splice(i, 1)),
  ofLines((lines, i) => lines.splice(i, 0, lines[i] as string)),
  ofLines((lines, i, draw) => lines.splice(draw(lines.length), 0, ...lines.splice(i, 1))),
  ofLines((lines, i, draw, others) => {
    const foreign = (others[draw(others.length)] ?? '').split('\n')
    lines.splice(i, 0, foreign[draw(foreign.length)] as string)
  }),
  // A word of another line, where one stands.
  (text, draw, others) => {
    const words = (others[draw(others.length)] ?? text).match(/[\w-]+/g) ?? ['']
    return replacedPart(/[\w-]+/g, () => words[draw(words.length)] as string)(text, draw, others)
  },
]

/** One to three things are wrong. */
export function mutated(text: string, draw: Draw, others: readonly string[]): string {
  let now = text
  for (let i = draw(3); i >= 0; i--) {
    now = (MUTATORS[draw(MUTATORS.length)] as Mutator)(now, draw, others)
  }
  return now
}
