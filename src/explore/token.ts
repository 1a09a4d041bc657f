/**
 * Replay tokens: `rm1.<scenario>.<design>.<hash>.<schedule>.<check>`. The head is readable, the
 * schedule packed. A token survives being quoted in a mail: white space, line breaks and `>` at
 * the beginning of lines are ignored. A check word catches damage.
 */
import type { Move } from './search.js'

export interface Token {
  readonly scenario: string
  readonly design: string
  /** Eight hexadecimal digits: scenario, design and code that the schedule belongs to. */
  readonly hash: string
  readonly schedule: readonly Move[]
}

/** The text is no token, or not one of this version, or it was damaged. */
export class TokenError extends Error {}

const VERSION = 'rm1'
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** FNV-1a over the characters of a text, as an unsigned 32-bit number. */
export function hash32(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/** Eight hexadecimal digits for a text. */
export function hash8(text: string): string {
  return hash32(text).toString(16).padStart(8, '0')
}

/** Numbers as base64 digits of 5 bits, the sixth saying that more follow. */
function pack(numbers: readonly number[]): string {
  let text = ''
  for (const number of numbers) {
    let rest = number
    do {
      const low = rest % 32
      rest = Math.floor(rest / 32)
      text += DIGITS[rest > 0 ? low + 32 : low]
    } while (rest > 0)
  }
  return text
}

function unpack(text: string): number[] {
  const numbers: number[] = []
  let value = 0
  let scale = 1
  for (const c of text) {
    const digit = DIGITS.indexOf(c)
    value += (digit % 32) * scale
    scale *= 32
    if (digit >= 32) continue
    numbers.push(value)
    value = 0
    scale = 1
  }
  if (scale !== 1) throw new TokenError('the token is cut off')
  return numbers
}

/** Runs of steps of one task: 0, task, count; or a step with a choice: alternatives, task, choice. */
function packSchedule(schedule: readonly Move[]): string {
  const numbers: number[] = []
  for (let i = 0; i < schedule.length; ) {
    const { task, choice, alternatives } = schedule[i] as Move
    if (alternatives > 1) {
      numbers.push(alternatives, task, choice)
      i++
      continue
    }
    let count = 0
    while (schedule[i + count]?.task === task && schedule[i + count]?.alternatives === 1) count++
    numbers.push(0, task, count)
    i += count
  }
  return pack(numbers)
}

function unpackSchedule(text: string): Move[] {
  const numbers = unpack(text)
  const moves: Move[] = []
  for (let i = 0; i + 2 < numbers.length; i += 3) {
    const [alternatives, task, n] = numbers.slice(i, i + 3) as [number, number, number]
    if (alternatives > 0) moves.push({ task, choice: n, alternatives })
    else {
      if (moves.length + n > 1_000_000) throw new TokenError('the schedule is too long')
      for (let k = 0; k < n; k++) moves.push({ task, choice: 0, alternatives: 1 })
    }
  }
  return moves
}

function checkWord(body: string): string {
  const h = hash32(body)
  return pack([h % 32 ** 2, Math.floor(h / 32 ** 2) % 32 ** 2])
    .slice(0, 4)
    .padEnd(4, 'A')
}

export function encodeToken(token: Token): string {
  const { scenario, design, hash, schedule } = token
  const body = [VERSION, scenario, design, hash, packSchedule(schedule)].join('.')
  return `${body}.${checkWord(body)}`
}

/** Read a token. @throws TokenError with what is wrong. */
export function decodeToken(text: string): Token {
  const clean = text.replace(/^[>\s]+/gm, '').replace(/\s+/g, '')
  const parts = clean.split('.')
  if (!/^rm\d+$/.test(parts[0] ?? '')) {
    throw new TokenError('this is no replay token: a token begins with "rm1."')
  }
  if (parts[0] !== VERSION) {
    throw new TokenError(`a token of version ${parts[0]}: this release reads ${VERSION}`)
  }
  const match = /^rm1\.(.+)\.([0-9a-f]{8})\.([\w-]*)\.([\w-]{4})$/.exec(clean)
  if (!match) throw new TokenError('the token is cut off, or not all of it was copied')
  const [, head, hash, packed, check] = match as unknown as [string, string, string, string, string]
  if (checkWord(clean.slice(0, -check.length - 1)) !== check) {
    throw new TokenError('the token was damaged: its check word does not fit')
  }
  // A scenario's name has a slash and may have dots; what follows its last part is the design.
  const slash = head.lastIndexOf('/')
  const dot = head.indexOf('.', slash + 1)
  if (dot < 0) throw new TokenError('the token names no design')
  return {
    scenario: head.slice(0, dot),
    design: head.slice(dot + 1),
    hash,
    schedule: unpackSchedule(packed),
  }
}
