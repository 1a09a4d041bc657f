/**
 * The parent's side of the oracle worker: programs go there in batches, results come back. A worker
 * that dies or hangs is replaced, and the program that did it is found by running the batch again,
 * one program at a time.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Kernel } from '../conform/differential.js'
import type { Op, Result } from '../conform/program.js'
import { NoLiveKernel } from './libc.js'
import { refusal } from './limits.js'
import type { Reply, Request } from './messages.js'
import type { Capabilities } from './probe.js'
import type { Race } from './race.js'

/** Milliseconds a worker may take for a message, and to start; when it gets no CPU they stand still. */
const BATCH_LIMIT = 20_000
const START_LIMIT = 20_000

/** Milliseconds one program may take, unless told otherwise. */
const PROGRAM_LIMIT = 3_000

/** How a worker came to its end: the name of a signal, or `timeout`. */
class Ended extends Error {
  readonly how: string

  constructor(how: string) {
    super(`the oracle worker ended: ${how}`)
    this.how = how
  }
}

export interface OracleOptions {
  /** Milliseconds that one program may take. */
  readonly programLimit?: number
}

export class Oracle implements Kernel {
  #child: ChildProcess
  readonly #programLimit: number

  private constructor(child: ChildProcess, options: OracleOptions) {
    this.#child = child
    this.#programLimit = options.programLimit ?? PROGRAM_LIMIT
  }

  /** @throws NoLiveKernel if this host has none that can be asked */
  static async start(options: OracleOptions = {}): Promise<Oracle> {
    return new Oracle(await spawn(), options)
  }

  /** The process that makes the calls. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  async probe(): Promise<Capabilities> {
    const reply = await ask(this.#child, { kind: 'probe' }, BATCH_LIMIT)
    if (reply.kind !== 'probed') throw new Error(`unexpected reply ${reply.kind}`)
    return reply.capabilities
  }

  /** Punches against a running guest, for so many milliseconds. @throws NoLiveKernel */
  async race(ms: number): Promise<Race> {
    const reply = await ask(this.#child, { kind: 'race', ms }, ms + BATCH_LIMIT)
    if (reply.kind !== 'raced') throw new Error(`unexpected reply ${reply.kind}`)
    return reply.race
  }

  /**
   * Run programs, each with files and maps of its own. A program that ends its process or does not
   * end has one result: the signal's name, or `timeout`.
   */
  async run(programs: readonly (readonly Op[])[]): Promise<readonly (readonly Result[])[]> {
    try {
      return await this.#batch(programs, programs.length > 1 ? BATCH_LIMIT : this.#programLimit)
    } catch (error) {
      if (!(error instanceof Ended)) throw error
      this.#child = await spawn()
      if (programs.length === 1) return [[{ r: error.how }]]
    }
    const results: (readonly Result[])[] = []
    for (const ops of programs) results.push(...(await this.run([ops])))
    return results
  }

  /** Why a program is not run: what it asks for could harm a host. */
  refuses(ops: readonly Op[]): string | undefined {
    return refusal(ops)
  }

  async #batch(
    programs: readonly (readonly Op[])[],
    limit: number,
  ): Promise<readonly (readonly Result[])[]> {
    const reply = await ask(this.#child, { kind: 'run', programs }, limit)
    if (reply.kind !== 'ran') throw new Error(`unexpected reply ${reply.kind}`)
    return reply.results
  }

  /** Give the worker up. */
  async end(): Promise<void> {
    const child = this.#child
    if (isGone(child)) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
}

function isGone(child: ChildProcess): boolean {
  return typeof child.exitCode === 'number' || typeof child.signalCode === 'string'
}

async function spawn(): Promise<ChildProcess> {
  const child = fork(new URL('./worker.js', import.meta.url), {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  })
  const reply = await answerOf(child, START_LIMIT).catch((error) => {
    throw error instanceof Ended ? new NoLiveKernel(error.message) : error
  })
  if (reply.kind === 'ready') return child
  child.kill('SIGKILL')
  throw reply.kind === 'none' ? new NoLiveKernel(reply.reason) : new Error('no oracle worker')
}

function ask(child: ChildProcess, request: Request, limit: number): Promise<Reply> {
  const reply = answerOf(child, limit)
  // A worker that is gone is noticed by its exit.
  child.send(request, () => {})
  return reply
}

/** Milliseconds that a process has been ready to run and had no CPU, if its kernel counts them. */
function starvedFor({ pid }: ChildProcess): number {
  try {
    const [, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number)
    return waited / 1e6
  } catch {
    return 0
  }
}

/** The next message, or how the worker ended. @throws Ended */
function answerOf(child: ChildProcess, limit: number): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let slow = false
    let isDone = false
    const end = performance.now() + limit - starvedFor(child)
    const late = (): void => {
      const left = end + starvedFor(child) - performance.now()
      if (left > 0) timer = setTimeout(late, left)
      // The answer may be there, and this process the one that came late.
      else setImmediate(() => isDone || kill())
    }
    const kill = (): void => {
      slow = true
      child.kill('SIGKILL')
    }
    let timer = setTimeout(late, limit)
    const onMessage = (reply: Reply): void => {
      done()
      if (reply.kind === 'bug') reject(new Error(`in the oracle worker: ${reply.text}`))
      else resolve(reply)
    }
    const onExit = (code: number | null, signal: string | null): void => {
      done()
      reject(new Ended(slow ? 'timeout' : (signal ?? `exit ${code}`)))
    }
    const onError = (error: Error): void => {
      done()
      reject(new NoLiveKernel(`no worker process can be started (${error.message})`))
    }
    const done = (): void => {
      isDone = true
      clearTimeout(timer)
      child.off('error', onError)
      child.off('message', onMessage)
      child.off('exit', onExit)
    }
    if (isGone(child)) {
      onExit(child.exitCode, child.signalCode)
      return
    }
    child.on('error', onError)
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}
