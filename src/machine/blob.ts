/**
 * Page contents: immutable, interned, one word in a page. The id is a hash of the content, so it
 * means the same in every run and every worker. A page is stored as runs of equal bytes.
 */

/** Id of a page's content. */
export type Blob = number & { readonly __blob: never }

/**
 * A run of equal bytes: [first offset, byte]. Runs are sorted and maximal. A byte that the last
 * owner of the frame left behind, and nobody has written since, has `RESIDUE` added to it. A byte
 * that was written under a key, by a processor that encrypts memory, has the key above those bits;
 * who reads it with another key, or without, gets noise.
 */
type Runs = readonly (readonly [number, number])[]

export const PAGE_BYTES = 4096

const RESIDUE = 0x100
const KEY_SHIFT = 9
const PLAIN = (1 << KEY_SHIFT) - 1

/** What stands for any byte that a wrong key makes of a right one. */
export const NOISE_BYTE = 0x9d

/** All bytes zero. The one id that does not come from the hash. */
export const ZERO_PAGE = 1 as Blob

const byId = new Map<number, Runs>([[ZERO_PAGE, [[0, 0]]]])

/** What a frame holds when it was never written since boot: another owner's bytes. */
export const STALE_BYTE = 0xa5
export const STALE_PAGE = intern([[0, STALE_BYTE]])

function intern(runs: Runs): Blob {
  if (runs.length === 1 && runs[0]?.[1] === 0) return ZERO_PAGE
  let h = 0x811c9dc5
  for (const [at, byte] of runs) {
    h = Math.imul(h ^ (at * 512 + (byte & PLAIN)), 0x01000193)
    if (byte > PLAIN) h = Math.imul(h ^ (byte >>> KEY_SHIFT), 0x01000193)
  }
  h = (h ^ (h >>> 15)) & 0x7fffffff
  const id = h < 2 ? h + 2 : h
  const known = byId.get(id)
  if (known === undefined) byId.set(id, runs)
  else if (!areEqual(known, runs)) {
    throw new Error(`two page contents share the id ${id}`)
  }
  return id as Blob
}

function areEqual(a: Runs, b: Runs): boolean {
  return a.length === b.length && a.every(([at, byte], i) => b[i]?.[0] === at && b[i][1] === byte)
}

/** How many contents there are. */
export function blobMark(): number {
  return byId.size
}

/** All contents by their ids, each as runs: first offset, and byte with its `RESIDUE` bit. */
export function allBlobs(): ReadonlyMap<number, Runs> {
  return byId
}

/** Forget the contents interned since a mark; no page may hold one of them any more. */
export function forgetBlobs(mark: number): void {
  if (byId.size === mark) return
  for (const id of [...byId.keys()].slice(mark)) byId.delete(id)
}

function runsOf(blob: Blob): Runs {
  const runs = byId.get(blob)
  if (runs === undefined) throw new Error(`no page content has the id ${blob}`)
  return runs
}

function rawAt(blob: Blob, offset: number): number {
  let byte = 0
  for (const [at, value] of runsOf(blob)) {
    if (at > offset) break
    byte = value
  }
  return byte
}

/** What reads of a stored value with a key, 0 for none. */
function readWith(value: number, key: number): number {
  return value >>> KEY_SHIFT === key ? value & 0xff : NOISE_BYTE
}

/** The byte at an offset into a page, 0 to 4095, read without a key. */
export function byteAt(blob: Blob, offset: number): number {
  return readWith(rawAt(blob, offset), 0)
}

/** The same read with a key. */
export function byteWithKey(blob: Blob, offset: number, key: number): number {
  return readWith(rawAt(blob, offset), key)
}

/** The key under which the byte at an offset was written; 0 for none. */
export function keyAt(blob: Blob, offset: number): number {
  return rawAt(blob, offset) >>> KEY_SHIFT
}

/** A byte as it is stored when it is written under a key, below 2^22. */
export function keyedByte(byte: number, key: number): number {
  return byte | (key << KEY_SHIFT)
}

/** The content read with one key and written with another; what has a third one stays. */
export function rekey(blob: Blob, from: number, to: number): Blob {
  const runs = runsOf(blob).map(([at, value]): readonly [number, number] =>
    value >>> KEY_SHIFT === from ? [at, keyedByte(value & PLAIN, to)] : [at, value],
  )
  return intern(mergeRuns(runs))
}

/** Copy the bytes from an offset on, read without a key. */
export function copyBytes(blob: Blob, offset: number, into: Uint8Array): void {
  for (const [at, value] of runsOf(blob)) into.fill(readWith(value, 0), Math.max(0, at - offset))
}

/** Is the byte at an offset what the last owner of the frame left there? */
export function isResidue(blob: Blob, offset: number): boolean {
  return (rawAt(blob, offset) & RESIDUE) !== 0
}

/** The content of a frame when it changes owner: the same bytes, all of them residue. */
export function residueOf(blob: Blob): Blob {
  return intern(mergeRuns(runsOf(blob).map(([at, byte]) => [at, byte | RESIDUE])))
}

function mergeRuns(runs: Runs): Runs {
  return runs.filter(([, byte], i) => i === 0 || runs[i - 1]?.[1] !== byte)
}

/** The content after `length` bytes from `offset` were set to `byte`. */
export function withBytes(blob: Blob, offset: number, length: number, byte: number): Blob {
  if (length === 0) return blob
  const end = offset + length
  const next: [number, number][] = []
  const push = (at: number, value: number): void => {
    const last = next[next.length - 1]
    if (last !== undefined && last[1] === value) return
    next.push([at, value])
  }
  for (const [at, value] of runsOf(blob)) if (at < offset) push(at, value)
  push(offset, byte)
  if (end < PAGE_BYTES) {
    push(end, rawAt(blob, end))
    for (const [at, value] of runsOf(blob)) if (at > end) push(at, value)
  }
  return intern(next)
}

/** A content in words: `0x5a@0 residue`: bytes with the offset at which each run begins. */
export function describeBlob(blob: Blob): string {
  const runs = runsOf(blob)
  const shown = runs.slice(0, 3).map(([at, byte]) => {
    const text =
      byte > PLAIN ? 'ciphertext' : byte & RESIDUE ? 'residue' : `0x${(byte & 0xff).toString(16)}`
    return runs.length === 1 ? text : `${text}@${at}`
  })
  return shown.join(' ') + (runs.length > shown.length ? ' …' : '')
}
