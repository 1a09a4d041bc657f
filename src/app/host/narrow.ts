/**
 * Readers for data that came from elsewhere: a file, a queue. Each takes a value of which nothing is
 * known and gives it back in its type, or says what is wrong with it and where. What a type has, its
 * reader must name, and nothing else may be there.
 */

/** The value is not what it should be. The message begins with where it is. */
export class NotAsWritten extends Error {}

/** `where` is a path for people, such as `verdict.findings[2].id`. */
export type Read<T> = (value: unknown, where: string) => T

function wrong(where: string, what: string): NotAsWritten {
  return new NotAsWritten(`${where}: ${what} is wanted`)
}

/** One of some kinds of plain values. */
function plain<T>(what: string, is: (value: unknown) => boolean): Read<T> {
  return (value, where) => {
    if (!is(value)) throw wrong(where, what)
    return value as T
  }
}

export const text = plain<string>('a text', (v) => typeof v === 'string')
export const flag = plain<boolean>('true or false', (v) => typeof v === 'boolean')
export const real = plain<number>('a number', Number.isFinite)
/** A whole number from 0. */
export const count = plain<number>(
  'a whole number',
  (v) => Number.isSafeInteger(v) && Number(v) >= 0,
)

export function oneOf<const T extends string>(...words: readonly T[]): Read<T> {
  return plain(words.join(' or '), (v) => (words as readonly unknown[]).includes(v))
}

export function matching(pattern: RegExp, what: string): Read<string> {
  return plain(what, (v) => typeof v === 'string' && pattern.test(v))
}

/** What may be missing. */
export function maybe<T>(read: Read<T>): Read<T | undefined> {
  return (value, where) => (value === undefined ? undefined : read(value, where))
}

export function list<T>(read: Read<T>): Read<readonly T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) throw wrong(where, 'a list')
    return value.map((v, i) => read(v, `${where}[${i}]`))
  }
}

export function pair<A, B>(first: Read<A>, second: Read<B>): Read<readonly [A, B]> {
  return (value, where) => {
    if (!Array.isArray(value) || value.length !== 2) throw wrong(where, 'a list of two')
    return [first(value[0], `${where}[0]`), second(value[1], `${where}[1]`)]
  }
}

function entriesOf(value: unknown, where: string): [string, unknown][] {
  if (typeof value !== 'object' || !value || Array.isArray(value)) throw wrong(where, 'an object')
  return Object.entries(value)
}

/** Values of one kind by names that may be any. */
export function byName<T>(read: Read<T>): Read<Readonly<Record<string, T>>> {
  return (value, where) =>
    Object.fromEntries(entriesOf(value, where).map(([k, v]) => [k, read(v, `${where}.${k}`)]))
}

/** A reader for each property of a type, optional ones too. */
type Shape<T> = { readonly [K in keyof T]-?: Read<T[K] | Absent<T, K>> }
type Absent<T, K extends keyof T> = object extends Pick<T, K> ? undefined : never

/** An object of these properties. They keep their order; those that are undefined are left out. */
export function fields<T extends object>(shape: Shape<T>): Read<T> {
  const names = Object.keys(shape) as (keyof T & string)[]
  return (value, where) => {
    const entries = entriesOf(value, where)
    const extra = entries.find(([k]) => !names.includes(k as keyof T & string))
    if (extra !== undefined) throw new NotAsWritten(`${where}: "${extra[0]}" is not known`)
    const there = new Map(entries)
    const missing = names
      .filter((k) => !there.has(k))
      .map((k) => [k, undefined] as [string, unknown])
    const read = [...entries, ...missing].map(([k, v]) => {
      return [k, shape[k as keyof T](v, `${where}.${k}`)] as const
    })
    return Object.fromEntries(read.filter(([, v]) => v !== undefined)) as T
  }
}

/** Read JSON. @throws NotAsWritten */
export function fromJson<T>(source: string, read: Read<T>, where: string): T {
  let value: unknown
  try {
    value = JSON.parse(source)
  } catch {
    throw new NotAsWritten(`${where}: this is no JSON, or it is cut off`)
  }
  return read(value, where)
}
