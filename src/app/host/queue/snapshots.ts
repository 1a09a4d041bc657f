/**
 * Snapshots on the server: each a hash of pieces, one request a piece. One that nobody has heard of
 * yet, since its worker is killed before it says so, is gone with its worker's signs of life.
 */
import { randomBytes } from 'node:crypto'
import type { ChainableCommander, Redis } from 'ioredis'
import type { Travelling } from '../travel.js'
import { fullness, type Line, together } from './line.js'
import { ALIVE, KEPT, KEYS, type SliceFacts } from './wire.js'

type Stored = Pick<SliceFacts, 'snapshot' | 'pieces' | 'bytes'>

/** Put a snapshot on the server; or say why there is no room for it. @throws NoServer */
export async function storeSnapshot(
  line: Line,
  run: string,
  { pieces, bytes }: Travelling,
): Promise<Stored | string> {
  const { redis } = line
  const snapshot = randomBytes(16).toString('hex')
  const key = KEYS.snapshot(run, snapshot)
  const put = (name: string, value: Buffer | string): Promise<string | undefined> =>
    line.ask(async () => {
      try {
        await together(redis.multi().hset(key, name, value).expire(key, ALIVE))
        return undefined
      } catch (error) {
        const why = fullness(error as Error)
        if (why === undefined) throw error
        return why
      }
    })
  // A server looks at its limit before it takes something: is there still room, for an answer?
  const all = [...pieces.entries(), ['end', new Uint8Array(0)] as const]
  for (const [name, piece] of all) {
    const why = await put(String(name), Buffer.from(piece))
    if (why === undefined) continue
    await line.ask(() => dropSnapshot(redis, run, { snapshot }))
    return why
  }
  return { snapshot, pieces: pieces.length, bytes }
}

/** Undefined if it is not there, or not whole. @throws NoServer */
export async function fetchSnapshot(
  line: Line,
  run: string,
  { snapshot, pieces: count, bytes }: Stored,
): Promise<Travelling | undefined> {
  const pieces: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const piece = await line.ask(() =>
      line.redis.hgetBuffer(KEYS.snapshot(run, snapshot), String(i)),
    )
    if (!Buffer.isBuffer(piece)) return undefined
    pieces.push(piece)
  }
  return { pieces, bytes }
}

type Named = Pick<SliceFacts, 'snapshot'>

/** It will be asked for. */
export function keepSnapshot(
  commands: ChainableCommander,
  run: string,
  { snapshot }: Named,
): ChainableCommander {
  return commands.expire(KEYS.snapshot(run, snapshot), KEPT)
}

/** Nobody will ask for it. */
export async function dropSnapshot(redis: Redis, run: string, { snapshot }: Named): Promise<void> {
  await redis.del(KEYS.snapshot(run, snapshot))
}
