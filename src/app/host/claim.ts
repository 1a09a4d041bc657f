/**
 * One check at a time works on a checkpoint: a file beside it says which process. Whoever is killed
 * leaves it there, so it is worth no more than its process: number and time of its start. Of two
 * that find such a file at the same instant, both may go on.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { UserError } from '../error.js'

/** Who a process is; a number alone comes again. Empty if there is none. */
function identityOf(pid: number): string {
  try {
    // After the name, which may hold anything, the 20th word is when it was started.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return isAlive(pid) ? `${pid}` : ''
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Has the process that wrote this ended? */
function isStale(holder: string): boolean {
  const pid = Number(/^\d+/.exec(holder)?.[0] ?? Number.NaN)
  return !(pid > 0) || identityOf(pid) !== holder
}

/**
 * Claim a checkpoint; returns what gives it back. Where no file can be made nothing will be saved
 * either, and there is nothing to claim.
 *
 * @throws UserError if another check works on it
 */
export function claim(path: string): () => void {
  const lock = `${path}.lock`
  try {
    while (!isMade(lock)) {
      const holder = holderOf(lock)
      if (!isStale(holder)) {
        throw new UserError(`${path}: another check works on it, process ${holder.split(' ')[0]}`)
      }
      rmSync(lock)
    }
  } catch (error) {
    if (error instanceof UserError) throw error
    return () => {}
  }
  return () => {
    try {
      rmSync(lock, { force: true })
    } catch {
      // It stays, and is worth nothing when this process has ended.
    }
  }
}

/** Make the file, unless there is one. */
function isMade(lock: string): boolean {
  try {
    writeFileSync(lock, identityOf(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** In milliseconds. */
const WRITING = 50

function holderOf(lock: string): string {
  const holder = readFileSync(lock, 'utf8')
  if (holder !== '') return holder
  // Whoever has made it may be about to write who it is.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WRITING)
  return readFileSync(lock, 'utf8')
}
