/**
 * Replay tokens: `rm2.<scenario>.<design>.<hash>.<schedule><check>`. The head is readable: the
 * scenario without its area, a dot in it written `~`, and the design. The rest is packed; three
 * digits at the end catch damage. A token survives being quoted in a mail (`token-text.ts`).
 */

import type { Move } from '../cell/schedule.js'
import { MAX_TASKS } from '../machine/task.js'
import {
  beginsToken,
  CHECK_DIGITS,
  DIGITS,
  FORM,
  hash32,
  inDigits,
  isWhole,
  tokenIn,
  VERSION,
} from './token-text.js'

export interface Token {
  /** The scenario's name without its area; what is encoded may still have it. */
  readonly scenario: string
  readonly design: string
  /** Eight hexadecimal digits: scenario, design and code that the schedule belongs to. */
  readonly hash: string
  readonly schedule: readonly Move[]
}

/** The text is no token, or not one of this version, or it was damaged. */
export class TokenError extends Error {}

/** Eight hexadecimal digits for a text. */
export function hash8(text: string): string {
  return hash32(text).toString(16).padStart(8, '0')
}

/**
 * What tokens of a cell are bound to: the code, the scenario's text, what the design is. A scenario
 * that was quoted in a mail, indented and its lines broken, is the same one.
 */
export function cellHash(code: string, text: string, identity: string): string {
  const said = text
    .replace(/("[^"\n]*")|#.*/g, '$1')
    .replace(/"\s*\n\s*"/g, '')
    .replace(/\s+/g, ' ')
  return hash8(`${code}\n${said.trim()}\n${identity}`)
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

/**
 * A run of steps of one task is one number: count, task (3 bits), 0. A step with a choice is two:
 * alternatives, task (3 bits), 1; then the choice.
 */
export function packSchedule(schedule: readonly Move[]): string {
  const numbers: number[] = []
  for (let i = 0; i < schedule.length; ) {
    const { task, choice, alternatives } = schedule[i] as Move
    if (alternatives > 1) {
      numbers.push((alternatives * MAX_TASKS + task) * 2 + 1, choice)
      i++
      continue
    }
    let count = 0
    while (schedule[i + count]?.task === task && schedule[i + count]?.alternatives === 1) count++
    numbers.push((count * MAX_TASKS + task) * 2)
    i += count
  }
  return pack(numbers)
}

export function unpackSchedule(text: string): Move[] {
  const numbers = unpack(text)
  const moves: Move[] = []
  for (let i = 0; i < numbers.length; i++) {
    const head = numbers[i] as number
    const task = Math.floor(head / 2) % MAX_TASKS
    const n = Math.floor(head / (2 * MAX_TASKS))
    if (head % 2 === 1) {
      const choice = numbers[++i]
      if (choice === undefined) throw new TokenError('the token is cut off')
      moves.push({ task, choice, alternatives: n })
    } else {
      if (moves.length + n > 1_000_000) throw new TokenError('the schedule is too long')
      for (let k = 0; k < n; k++) moves.push({ task, choice: 0, alternatives: 1 })
    }
  }
  return moves
}

const HASH_DIGITS = 6

function hashOf(text: string): string {
  let number = 0
  for (const [i, c] of [...text].entries()) number += DIGITS.indexOf(c) * 64 ** i
  return number.toString(16).padStart(8, '0')
}

/** Is this scenario the one that a token names? */
export function isNamedBy(token: Token, scenario: string): boolean {
  return shortName(scenario) === token.scenario
}

function shortName(scenario: string): string {
  return scenario.slice(scenario.lastIndexOf('/') + 1)
}

export function encodeToken(token: Token): string {
  const { scenario, design, hash, schedule } = token
  const name = shortName(scenario).replaceAll('.', '~')
  const packed = inDigits(Number.parseInt(hash, 16), HASH_DIGITS)
  const body = [VERSION, name, design, packed, packSchedule(schedule)].join('.')
  return body + inDigits(hash32(body), CHECK_DIGITS)
}

/** Read a token. @throws TokenError with what is wrong. */
export function decodeToken(text: string): Token {
  const clean = tokenIn(text)
  const version = clean.split('.')[0] ?? ''
  if (!beginsToken(clean)) {
    throw new TokenError(`this is no replay token: a token begins with "${VERSION}."`)
  }
  if (version !== VERSION) {
    throw new TokenError(`a token of version ${version}: this release reads ${VERSION}`)
  }
  const match = FORM.exec(clean)
  if (!match) throw new TokenError('the token is cut off, or not all of it was copied')
  const [, name, design, hash, packed] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
  ]
  if (!isWhole(clean)) {
    throw new TokenError('the token was damaged: its check digits do not fit')
  }
  const scenario = name.replaceAll('~', '.')
  return { scenario, design, hash: hashOf(hash), schedule: unpackSchedule(packed) }
}
