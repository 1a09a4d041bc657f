/**
 * A snapshot that goes to another machine: the bytes of a checkpoint, compressed in pieces that a
 * server takes one at a time. Fingerprints are as good as random and stay as large as they are;
 * what shrinks are the empty slots of their table.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { CellSnapshot } from '../check.js'
import { UserError } from '../error.js'
import { bytesOf, type Source, snapshotFrom } from './snapshot.js'

/** Bytes of a piece before it is compressed. */
const PIECE = 2 ** 23
/** Most bytes of all pieces: some 60 million states. More is searched on where it is. */
export const MOST_BYTES = 2 ** 29

export interface Travelling {
  readonly pieces: readonly Uint8Array[]
  /** Before they were compressed. */
  readonly bytes: number
}

/** A snapshot in pieces; undefined if they have more bytes than `most`. */
export function packSnapshot(
  belongsTo: string,
  snapshot: CellSnapshot,
  most = MOST_BYTES,
): Travelling | undefined {
  const pieces: Uint8Array[] = []
  const piece = new Uint8Array(PIECE)
  let [filled, bytes, size] = [0, 0, 0]
  const close = (): void => {
    const packed = deflateRawSync(piece.subarray(0, filled), { level: 1 })
    pieces.push(Uint8Array.from(packed))
    bytes += filled
    size += packed.length
    filled = 0
  }
  for (const part of bytesOf(belongsTo, snapshot)) {
    for (let at = 0; at < part.length; ) {
      const some = part.subarray(at, at + PIECE - filled)
      piece.set(some, filled)
      filled += some.length
      at += some.length
      if (filled === PIECE) close()
      if (size > most) return undefined
    }
  }
  close()
  return size > most ? undefined : { pieces, bytes }
}

/** @throws UserError if this is no snapshot, a damaged one, or one of another check */
export function unpackSnapshot(belongsTo: string, { pieces, bytes }: Travelling): CellSnapshot {
  if (bytes > pieces.length * PIECE) throw new UserError('the checkpoint is cut off or damaged')
  return snapshotFrom(new Pieces(pieces, bytes), belongsTo)
}

class Pieces implements Source {
  readonly size: number
  readonly #pieces: readonly Uint8Array[]
  #next = 0
  #open: Uint8Array = new Uint8Array(0)

  constructor(pieces: readonly Uint8Array[], size: number) {
    this.#pieces = pieces
    this.size = size
  }

  read(bytes: Uint8Array): number {
    const piece = this.#pieces[this.#next]
    if (this.#open.length === 0 && piece !== undefined) {
      this.#next++
      try {
        this.#open = inflateRawSync(piece, { maxOutputLength: PIECE })
      } catch (error) {
        throw new UserError(`the checkpoint is damaged: ${(error as Error).message}`)
      }
    }
    const some = this.#open.subarray(0, bytes.length)
    bytes.set(some)
    this.#open = this.#open.subarray(some.length)
    return some.length
  }
}
