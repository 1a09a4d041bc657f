/**
 * Snapshots on the server: each a hash of pieces, one request a piece. One that nobody has heard of
 * yet, since its worker is killed before it says so, is gone with its worker's signs of life.
 */
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Travelling } from '../travel.js'
import { ALIVE, KEPT, KEYS, type SliceFacts } from './wire.js'

type Stored = Pick<SliceFacts, 'snapshot' | 'pieces' | 'bytes'>

/** Put a snapshot on the server; or say why the server does not take it. */
export async function storeSnapshot(
  redis: Redis,
  run: string,
  { pieces, bytes }: Travelling,
): Promise<Stored | string> {
  const snapshot = randomBytes(16).toString('hex')
  const key = KEYS.snapshot(run, snapshot)
  try {
    for (const [i, piece] of pieces.entries()) {
      await redis.hset(key, String(i), Buffer.from(piece))
      await redis.expire(key, ALIVE)
    }
    // A server looks at its limit before it takes something: is there still room, for an answer?
    await redis.hset(key, 'end', '')
  } catch (error) {
    if ((error as Error).name !== 'ReplyError') throw error
    await redis.del(key)
    return (error as Error).message
  }
  return { snapshot, pieces: pieces.length, bytes }
}

/** Undefined if it is not there, or not whole. */
export async function fetchSnapshot(
  redis: Redis,
  run: string,
  { snapshot, pieces: count, bytes }: Stored,
): Promise<Travelling | undefined> {
  const pieces: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const piece = await redis.hgetBuffer(KEYS.snapshot(run, snapshot), String(i))
    if (!Buffer.isBuffer(piece)) return undefined
    pieces.push(piece)
  }
  return { pieces, bytes }
}

/** It will be asked for. */
export async function keepSnapshot(redis: Redis, run: string, { snapshot }: Stored): Promise<void> {
  await redis.expire(KEYS.snapshot(run, snapshot), KEPT)
}

/** Nobody will ask for it. */
export async function dropSnapshot(redis: Redis, run: string, { snapshot }: Stored): Promise<void> {
  await redis.del(KEYS.snapshot(run, snapshot))
}
