/** A worker, asked by number. Progress is told to who asks; a worker that is stopped answers no more. */
import type { Answers, Reply, Request, Start } from '../protocol.js'
import { type Shipped, workerUrl } from './shipped.js'

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
  onProgress: (states: number, depth: number) => void
}

/** What was asked can't be answered, for a reason that the user should read. */
export class Refusal extends Error {
  readonly bug: boolean
  constructor(message: string, bug: boolean) {
    super(message)
    this.bug = bug
  }
}

export class Client {
  readonly #shipped: Shipped
  readonly #waiting = new Map<number, Waiting>()
  /** Where pages may share memory with workers, a search can be told to end with what it has. */
  readonly #stop =
    globalThis.crossOriginIsolated === true ? new Int32Array(new SharedArrayBuffer(4)) : undefined
  #worker: Worker | undefined
  #last = 0

  constructor(shipped: Shipped) {
    this.#shipped = shipped
  }

  #begin(): Worker {
    const worker = new Worker(workerUrl())
    const { code, version, scenarios } = this.#shipped
    const start: Start = { kind: 'start', code, version, scenarios, stop: this.#stop }
    worker.postMessage(start)
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data)
    worker.onerror = (event) => {
      this.#drop(new Refusal(`the worker failed: ${event.message}`, true))
    }
    return worker
  }

  #hear(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    if (waiting === undefined) return
    if (reply.kind === 'progress') {
      waiting.onProgress(reply.states, reply.depth)
      return
    }
    this.#waiting.delete(reply.id)
    if (reply.kind === 'answer') waiting.resolve(reply.value)
    else waiting.reject(new Refusal(reply.message, reply.bug))
  }

  ask<K extends Request['kind']>(
    request: Extract<Request, { kind: K }>,
    onProgress: (states: number, depth: number) => void = () => {},
  ): Promise<Answers[K]> {
    this.#worker ??= this.#begin()
    const id = ++this.#last
    if (this.#stop !== undefined) Atomics.store(this.#stop, 0, 0)
    this.#worker.postMessage({ id, request })
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (v) => resolve(v as Answers[K]), reject, onProgress })
    })
  }

  /**
   * End the search under way. True if it will answer with what it has; else the worker is gone, and
   * nothing was concluded.
   */
  stop(): boolean {
    if (this.#stop !== undefined) {
      Atomics.store(this.#stop, 0, 1)
      return true
    }
    this.#worker?.terminate()
    this.#worker = undefined
    this.#drop(new Refusal('stopped; this browser can’t say what was seen until then', false))
    return false
  }

  #drop(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
