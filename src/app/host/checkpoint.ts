/**
 * A check that was stopped in the middle, as a file: a header, then the arrays as they are, since
 * the visited states may be larger than any buffer. It is written beside the old one and put in
 * its place when it is on the disk, so whoever is killed leaves a whole file.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import type { CellSnapshot } from '../check.js'
import { UserError } from '../error.js'

const MAGIC = 'restrictedmem checkpoint 3\n'
const CHUNK = 1 << 28

interface Header {
  /** What the check is about: `jobHash`. */
  readonly belongsTo: string
  /** The snapshot without its arrays, and their lengths in words. */
  readonly rest: unknown
  readonly lengths: readonly number[]
}

function arraysOf({ search }: CellSnapshot): Int32Array[] {
  return [search.visited, search.kept, search.open.lo, search.open.hi]
}

/** Write a checkpoint, atomically. */
export function saveCheckpoint(path: string, belongsTo: string, snapshot: CellSnapshot): void {
  const arrays = arraysOf(snapshot)
  const { search, ...cell } = snapshot
  const { visited: _visited, kept: _kept, open: _open, ...counts } = search
  const rest = { cell, search: counts }
  const header = serialize({
    belongsTo,
    rest,
    lengths: arrays.map((a) => a.length),
  } satisfies Header)
  const size = Buffer.alloc(4)
  size.writeUInt32LE(header.length)
  const fresh = `${path}.new`
  const file = openSync(fresh, 'w')
  for (const part of [Buffer.from(MAGIC), size, header]) writeSync(file, part)
  for (const a of arrays) {
    const bytes = new Uint8Array(a.buffer, a.byteOffset, a.byteLength)
    for (let at = 0; at < bytes.length; at += CHUNK) writeAll(file, bytes.subarray(at, at + CHUNK))
  }
  fsyncSync(file)
  closeSync(file)
  renameSync(fresh, path)
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
}

/**
 * Read a checkpoint; undefined if there is no such file.
 *
 * @throws UserError if the file is no checkpoint, or one of another check.
 */
export function readCheckpoint(path: string, belongsTo: string): CellSnapshot | undefined {
  if (!existsSync(path)) return undefined
  const file = openSync(path, 'r')
  try {
    const magic = readBytes(file, MAGIC.length)
    if (magic === undefined || Buffer.from(magic).toString() !== MAGIC) {
      throw new UserError(`${path}: this is no checkpoint of this version`)
    }
    const size = Buffer.from(readBytes(file, 4) ?? [0, 0, 0, 0]).readUInt32LE()
    const header = deserialize(readBytes(file, size) ?? new Uint8Array()) as Header
    if (header.belongsTo !== belongsTo) {
      throw new UserError(
        `${path}: the checkpoint belongs to another scenario, design, effort or version`,
      )
    }
    const arrays = header.lengths.map((words) => readBytes(file, words * 4))
    if (arrays.includes(undefined)) throw new UserError(`${path}: the checkpoint is cut off`)
    return assemble(header, arrays as Uint8Array[])
  } finally {
    closeSync(file)
  }
}

function assemble(header: Header, arrays: readonly Uint8Array[]): CellSnapshot {
  const [visited, kept, lo, hi] = arrays.map((a) => new Int32Array(a.buffer))
  const rest = header.rest as {
    cell: Omit<CellSnapshot, 'search'>
    search: Omit<CellSnapshot['search'], 'visited' | 'kept' | 'open'>
  }
  const search = { ...rest.search, visited, kept, open: { lo, hi } }
  return { ...rest.cell, search } as CellSnapshot
}

function readBytes(file: number, length: number): Uint8Array | undefined {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const got = readSync(file, bytes, done, Math.min(CHUNK, length - done), null)
    if (got === 0) return undefined
    done += got
  }
  return bytes
}

/** The check is finished. */
export function dropCheckpoint(path: string): void {
  rmSync(path, { force: true })
}
