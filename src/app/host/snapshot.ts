/**
 * A check that was stopped in the middle, as bytes: a head, then the arrays as they are, since the
 * visited states may be larger than any buffer, then a checksum over all of it. Where the bytes go,
 * into a file or to another machine, is not known here. Nothing is believed of them before their
 * checksum is right.
 */
import { createHash, type Hash } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import type { CellSnapshot } from '../check.js'
import { UserError } from '../error.js'

const MAGIC = 'restrictedmem checkpoint 4\n'
const CHUNK = 1 << 28
const SUM_BYTES = 32

/** How many bytes follow: of the rest, then of each of the arrays. */
const ARRAYS = 4
const SIZES_BYTES = (1 + ARRAYS) * 8

interface Rest {
  /** What the check is about: `jobHash`. */
  readonly belongsTo: string
  readonly cell: Omit<CellSnapshot, 'search'>
  readonly search: Omit<CellSnapshot['search'], 'visited' | 'kept' | 'open'>
}

/** The bytes of a snapshot, in parts that one call can write. The next one ends their use. */
export function* bytesOf(belongsTo: string, snapshot: CellSnapshot): Generator<Uint8Array> {
  const { search, ...cell } = snapshot
  const { visited, kept, open, ...counts } = search
  const rest = serialize({ belongsTo, cell, search: counts } satisfies Rest)
  const arrays = [visited, kept, open.lo, open.hi].map(
    (a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
  )
  const sizes = Buffer.alloc(SIZES_BYTES)
  for (const [i, part] of [rest, ...arrays].entries()) {
    sizes.writeBigUInt64LE(BigInt(part.length), i * 8)
  }
  const sum = createHash('sha256')
  for (const part of [Buffer.from(MAGIC), sizes, rest, ...arrays]) {
    for (let at = 0; at < part.length; at += CHUNK) {
      const chunk = part.subarray(at, at + CHUNK)
      sum.update(chunk)
      yield chunk
    }
  }
  yield sum.digest()
}

/** Where bytes come from, one after the other. */
export interface Source {
  /** How many there are in all. */
  readonly size: number
  /** Fill as much as there is, and say how much that was. */
  read(bytes: Uint8Array): number
}

/** @throws UserError if this is no snapshot, a damaged one, or one of another check */
export function snapshotFrom(source: Source, belongsTo: string): CellSnapshot {
  const { rest, arrays } = partsOf(source)
  if (rest.belongsTo !== belongsTo) {
    throw new UserError('the checkpoint belongs to another scenario, design, effort or version')
  }
  const [visited, kept, lo, hi] = arrays.map((a) => new Int32Array(a.buffer))
  const search = { ...rest.search, visited, kept, open: { lo, hi } }
  return { ...rest.cell, search } as CellSnapshot
}

function partsOf(source: Source): { readonly rest: Rest; readonly arrays: readonly Uint8Array[] } {
  const sum = createHash('sha256')
  const magic = readAll(source, MAGIC.length, sum)
  if (magic === undefined || Buffer.from(magic).toString() !== MAGIC) {
    throw new UserError('this is no checkpoint of this version')
  }
  const sizes = Buffer.from(readAll(source, SIZES_BYTES, sum) ?? new Uint8Array(SIZES_BYTES))
  const lengths = Array.from({ length: 1 + ARRAYS }, (_, i) => Number(sizes.readBigUInt64LE(i * 8)))
  // Asked before there is room for them: a damaged number may be any number.
  const all = lengths.reduce((a, b) => a + b, MAGIC.length + SIZES_BYTES + SUM_BYTES)
  if (source.size !== all) throw new UserError('the checkpoint is cut off or damaged')
  const parts = lengths.map((length) => readAll(source, length, sum))
  const written = readAll(source, SUM_BYTES)
  if (written === undefined || !sum.digest().equals(written)) {
    throw new UserError('the checkpoint is damaged: its checksum is not that of what it holds')
  }
  const [rest, ...arrays] = parts as readonly Uint8Array[]
  return { rest: understood(rest as Uint8Array), arrays }
}

/** @throws UserError if a Node with another V8 wrote it */
function understood(rest: Uint8Array): Rest {
  try {
    return deserialize(rest) as Rest
  } catch (error) {
    throw new UserError(`this Node can't read the checkpoint: ${(error as Error).message}`)
  }
}

/** So many bytes, or undefined if there are not so many left. */
function readAll(source: Source, length: number, sum?: Hash): Uint8Array | undefined {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const part = bytes.subarray(done, Math.min(done + CHUNK, length))
    const got = source.read(part)
    if (got === 0) return undefined
    sum?.update(part.subarray(0, got))
    done += got
  }
  return bytes
}
