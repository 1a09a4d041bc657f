/**
 * A check that was stopped in the middle, as a file: a head, then the arrays as they are, since the
 * visited states may be larger than any buffer, then a checksum over all of it. It is written
 * beside the old one and put in its place when it is on the disk, so whoever is killed leaves a
 * whole file. Nothing is believed of a file before its checksum is right.
 */
import { createHash, type Hash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
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
const SUM_BYTES = 32

/** How many bytes follow: of the rest, then of each of the arrays. */
const ARRAYS = 5
const SIZES_BYTES = (1 + ARRAYS) * 8

interface Rest {
  /** What the check is about: `jobHash`. */
  readonly belongsTo: string
  readonly cell: Omit<CellSnapshot, 'search'>
  readonly search: Omit<CellSnapshot['search'], 'visited' | 'untried' | 'components'>
}

function arraysOf({ search }: CellSnapshot): Int32Array[] {
  const { levels, lo, hi } = search.components
  return [search.visited, search.untried, levels, lo, hi]
}

/** Write a checkpoint, atomically. What can't be written leaves nothing behind. */
export function saveCheckpoint(path: string, belongsTo: string, snapshot: CellSnapshot): void {
  const { search, ...cell } = snapshot
  const { visited: _visited, untried: _untried, components: _components, ...counts } = search
  const rest = serialize({ belongsTo, cell, search: counts } satisfies Rest)
  const arrays = arraysOf(snapshot).map((a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength))
  const sizes = Buffer.alloc(SIZES_BYTES)
  for (const [i, part] of [rest, ...arrays].entries()) {
    sizes.writeBigUInt64LE(BigInt(part.length), i * 8)
  }
  const fresh = `${path}.new`
  try {
    const file = openSync(fresh, 'w')
    try {
      const sum = createHash('sha256')
      for (const part of [Buffer.from(MAGIC), sizes, rest, ...arrays]) writeAll(file, part, sum)
      writeAll(file, sum.digest())
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(fresh, path)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw error
  }
}

function writeAll(file: number, bytes: Uint8Array, sum?: Hash): void {
  for (let at = 0; at < bytes.length; ) {
    const chunk = bytes.subarray(at, at + CHUNK)
    const done = writeSync(file, chunk)
    sum?.update(chunk.subarray(0, done))
    at += done
  }
}

/**
 * Read a checkpoint; undefined if there is no such file.
 *
 * @throws UserError if the file can't be read, is no checkpoint, damaged, or one of another check.
 */
export function readCheckpoint(path: string, belongsTo: string): CellSnapshot | undefined {
  if (!existsSync(path)) return undefined
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const { rest, arrays } = partsOf(file)
    if (rest.belongsTo !== belongsTo) {
      throw new UserError('the checkpoint belongs to another scenario, design, effort or version')
    }
    return assemble(rest, arrays)
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** @throws UserError, or what reading throws */
function partsOf(file: number): { readonly rest: Rest; readonly arrays: readonly Uint8Array[] } {
  const sum = createHash('sha256')
  const magic = readAll(file, MAGIC.length, sum)
  if (magic === undefined || Buffer.from(magic).toString() !== MAGIC) {
    throw new UserError('this is no checkpoint of this version')
  }
  const sizes = Buffer.from(readAll(file, SIZES_BYTES, sum) ?? new Uint8Array(SIZES_BYTES))
  const lengths = Array.from({ length: 1 + ARRAYS }, (_, i) => Number(sizes.readBigUInt64LE(i * 8)))
  // Asked before there is room for them: a damaged number may be any number.
  const all = lengths.reduce((a, b) => a + b, MAGIC.length + SIZES_BYTES + SUM_BYTES)
  if (fstatSync(file).size !== all) throw new UserError('the checkpoint is cut off or damaged')
  const parts = lengths.map((length) => readAll(file, length, sum) as Uint8Array)
  const written = readAll(file, SUM_BYTES)
  if (written === undefined || !sum.digest().equals(written)) {
    throw new UserError('the checkpoint is damaged: its checksum is not that of what it holds')
  }
  const [rest, ...arrays] = parts
  return { rest: deserialize(rest as Uint8Array) as Rest, arrays }
}

function assemble(rest: Rest, arrays: readonly Uint8Array[]): CellSnapshot {
  const [visited, untried, levels, lo, hi] = arrays.map((a) => new Int32Array(a.buffer))
  const components = { levels, lo, hi }
  const search = { ...rest.search, visited, untried, components }
  return { ...rest.cell, search } as CellSnapshot
}

/** So many bytes, or undefined if there are not so many left. */
function readAll(file: number, length: number, sum?: Hash): Uint8Array | undefined {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const got = readSync(file, bytes, done, Math.min(CHUNK, length - done), null)
    if (got === 0) return undefined
    sum?.update(bytes.subarray(done, done + got))
    done += got
  }
  return bytes
}

/** The check is finished: of those that were killed while they saved there is nothing left either. */
export function dropCheckpoint(path: string): void {
  rmSync(`${path}.new`, { force: true })
  rmSync(path, { force: true })
}
