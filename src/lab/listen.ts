/** A worker's side of the talk with the page: one request after the other. */
import { UserError } from '../app/error.js'
import type { Surroundings } from './engine.js'
import type { Reply, Request, Start } from './protocol.js'

/** Who answers, at once or by a promise. */
export interface Answering {
  /** @throws UserError */
  answer(request: Request, around: Surroundings): unknown
}

/** What a worker of a browser has, as far as it is used here. */
interface WorkerScope {
  onmessage: ((event: { readonly data: unknown }) => void) | null
  postMessage(message: Reply): void
  readonly performance: { now(): number }
}

/** Milliseconds between two words about how far a search is. */
const BETWEEN = 100

/** Answer all that comes; `begin` is called with the first message. */
export function listen(begin: (start: Start) => Answering): void {
  const scope = globalThis as unknown as WorkerScope
  let answering: Answering | undefined

  const answerTo = (id: number, request: Request): unknown => {
    if (answering === undefined) throw new Error('the worker has not been started')
    let said = 0
    const now = (): number => scope.performance.now()
    const onProgress = (states: number, depth: number): void => {
      if (now() - said < BETWEEN) return
      said = now()
      scope.postMessage({ id, kind: 'progress', states, depth })
    }
    return answering.answer(request, { now, onProgress })
  }

  const failed = (id: number, error: unknown): void => {
    const bug = !(error instanceof UserError)
    const { message: text, stack } = error as Error
    scope.postMessage({ id, kind: 'error', message: bug ? (stack ?? text) : text, bug })
  }

  scope.onmessage = ({ data }) => {
    const message = data as Start | { readonly id: number; readonly request: Request }
    if ('kind' in message) {
      answering = begin(message)
      return
    }
    const { id, request } = message
    const answered = (value: unknown): void => scope.postMessage({ id, kind: 'answer', value })
    try {
      const value = answerTo(id, request)
      if (value instanceof Promise) value.then(answered).catch((error) => failed(id, error))
      else answered(value)
    } catch (error) {
      failed(id, error)
    }
  }
}
