/**
 * A check that was stopped in the middle, as a file. It is written beside the old one and put in its
 * place when it is on the disk, so whoever is killed leaves a whole file.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import type { CellSnapshot } from '../check.js'
import { UserError } from '../error.js'
import { bytesOf, snapshotFrom } from './snapshot.js'
import { writeWhole } from './whole-file.js'

/** Write a checkpoint, atomically. What can't be written leaves nothing behind. */
export function saveCheckpoint(path: string, belongsTo: string, snapshot: CellSnapshot): void {
  const write = (file: number): void => {
    for (const part of bytesOf(belongsTo, snapshot)) {
      for (let at = 0; at < part.length; ) at += writeSync(file, part.subarray(at))
    }
    fsyncSync(file)
  }
  writeWhole(path, write, freshOf(path))
}

/** One process at a time writes a checkpoint (`claim.ts`). */
const freshOf = (path: string): string => `${path}.new`

/**
 * Read a checkpoint; undefined if there is no such file.
 *
 * @throws UserError if the file can't be read, is no checkpoint, damaged, or one of another check.
 */
export function readCheckpoint(path: string, belongsTo: string): CellSnapshot | undefined {
  if (!existsSync(path)) return undefined
  let file: number | undefined
  try {
    const opened = openSync(path, 'r')
    file = opened
    const read = (bytes: Uint8Array): number => readSync(opened, bytes, 0, bytes.length, null)
    return snapshotFrom({ size: fstatSync(opened).size, read }, belongsTo)
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** The check is finished: of those that were killed while they saved there is nothing left either. */
export function dropCheckpoint(path: string): void {
  rmSync(freshOf(path), { force: true })
  rmSync(path, { force: true })
}
