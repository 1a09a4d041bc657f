/**
 * One check at a time works on a checkpoint: a file beside it says which process. Whoever is killed
 * leaves it there, so it is worth no more than its process: number and time of its start.
 */
import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
  const own = `${lock}.${randomUUID()}`
  try {
    writeFileSync(own, identityOf(process.pid))
    while (!isLinked(own, lock)) {
      const holder = readFileSync(lock, 'utf8')
      if (!isStale(holder)) {
        throw new UserError(`${path}: another check works on it, process ${holder.split(' ')[0]}`)
      }
      takeFrom(holder, lock, `${own}.stale`)
    }
  } catch (error) {
    if (error instanceof UserError) throw error
    return () => {}
  } finally {
    rmSync(own, { force: true })
  }
  return () => rmSync(lock, { force: true })
}

/** Put the file in the place of the lock, unless there is one. */
function isLinked(own: string, lock: string): boolean {
  try {
    linkSync(own, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Remove the lock of a process that has ended; one that somebody has made since is put back. */
function takeFrom(holder: string, lock: string, aside: string): void {
  renameSync(lock, aside)
  try {
    if (readFileSync(aside, 'utf8') !== holder) linkSync(aside, lock)
  } finally {
    rmSync(aside, { force: true })
  }
}
