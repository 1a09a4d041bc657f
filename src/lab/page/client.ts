/** A worker, asked by number. Progress is told to who asks; a worker that is stopped answers no more. */
import type { Answers, Reply, Request, Shipped, Start } from '../protocol.js'
import { shipped, type WorkerFile, workerUrl } from './shipped.js'

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
  readonly #file: WorkerFile
  readonly #shipped: Promise<Shipped>
  readonly #waiting = new Map<number, Waiting>()
  /** Where pages may share memory with workers, a search can be told to end with what it has. */
  readonly #stop =
    globalThis.crossOriginIsolated === true ? new Int32Array(new SharedArrayBuffer(4)) : undefined
  #worker: Promise<Worker> | undefined
  #last = 0

  constructor(file: WorkerFile, shipped: Promise<Shipped>) {
    this.#file = file
    this.#shipped = shipped
  }

  /** Its code is read while what it is given is still on its way. */
  warm(): void {
    this.#worker ??= this.#begin()
  }

  async #begin(): Promise<Worker> {
    const worker = new Worker(workerUrl(this.#file))
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data)
    worker.onerror = (event) => {
      this.#drop(new Refusal(`the worker failed: ${event.message}`, true))
    }
    const { code, version, scenarios, designs } = await this.#shipped
    const start: Start = { kind: 'start', code, version, scenarios, designs, stop: this.#stop }
    const declarations = this.#file === 'workshop.js' && (await shipped('workshop.json'))
    worker.postMessage(declarations === false ? start : { ...start, declarations })
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
    this.warm()
    const id = ++this.#last
    if (this.#stop !== undefined) Atomics.store(this.#stop, 0, 0)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (v) => resolve(v as Answers[K]), reject, onProgress })
      this.#worker?.then((worker) => worker.postMessage({ id, request })).catch(reject)
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
    void this.#worker?.then((worker) => worker.terminate())
    this.#worker = undefined
    this.#drop(new Refusal('stopped; this browser can’t say what was seen until then', false))
    return false
  }

  #drop(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
