/**
 * A worker of the page in this process: what the build made for browsers, asked as the page asks.
 */
import assert from 'node:assert/strict'
import { createContext, Script } from 'node:vm'
import { CODE } from '../../src/app/host/package.js'
import { cellHash, encodeToken } from '../../src/app/token.js'
import type { Finding } from '../../src/app/verdict.js'
import type { Design } from '../../src/designs/design.js'
import { replayPictured } from '../../src/explore/tell/pictured.js'
import { builtFile, dataOf } from '../../src/lab/host/ship.js'
import type { Reply, Request, StoryAnswer } from '../../src/lab/protocol.js'
import { withTexts } from '../../src/lab/texts.js'
import type { Scenario } from '../../src/litmus/scenario.js'

const TEXTS = JSON.parse(builtFile('texts.json').toString('utf8')) as string[]

/**
 * An engine may compare in whichever order it likes when it sorts: this one has it the other way
 * round than Node. What does not say which of two comes first shows itself.
 */
const SORTS_OTHERWISE = `{
  const { sort } = Array.prototype
  Array.prototype.sort = function (compare) {
    return sort.call(this, compare && ((a, b) => -compare(b, a)))
  }
}`

/** The build's worker, run in a context that has what a worker has. */
export class PageWorker {
  readonly #scope: {
    onmessage?: (event: { data: unknown }) => void
    replies: Reply[]
  } & Record<string, unknown>

  constructor() {
    const replies: Reply[] = []
    this.#scope = {
      replies,
      postMessage: (reply: Reply) => replies.push(reply),
      performance,
      TextEncoder,
      TextDecoder,
    }
    const context = createContext(this.#scope)
    for (const text of [SORTS_OTHERWISE, builtFile('worker.js').toString('utf8')]) {
      new Script(text).runInContext(context)
    }
    this.#scope.onmessage?.({ data: { kind: 'start', ...dataOf({}), stop: undefined } })
  }

  #ask(request: Request): unknown {
    this.#scope.onmessage?.({ data: { id: 1, request } })
    const reply = this.#scope.replies.splice(0).find((r) => r.kind !== 'progress')
    assert.ok(reply?.kind === 'answer', JSON.stringify(reply))
    return reply.value
  }

  /** What the page shows of a token. */
  story(token: string): StoryAnswer {
    const more = { text: undefined, on: undefined, code: undefined }
    const answer = this.#ask({ kind: 'story', token, ...more }) as StoryAnswer
    const { own } = answer
    return { ...answer, own: { ...own, trace: withTexts(own.trace, TEXTS) } }
  }
}

/**
 * The page's worker tells a finding as the command does: steps, functions, changes, memory after each
 * of them, and the last state.
 */
export function assertToldAlike(
  worker: PageWorker,
  { scenario, text }: { readonly scenario: Scenario; readonly text: string },
  design: Design,
  { id, schedule }: Finding,
): void {
  const hash = cellHash(CODE.code, text, design.id)
  const token = encodeToken({ scenario: scenario.name, design: design.id, hash, schedule })
  const told = worker.story(token)
  const { trace, pictured, followed, divergence } = replayPictured(
    scenario,
    design,
    schedule,
    'lowered',
    false,
  )
  const own = { design: design.id, trace, pictured, followed, divergence: undefined }
  assert.equal(divergence, undefined, token)
  assert.equal(told.stale, false, token)
  const [page, command] = [told.own, own].map((s) => JSON.stringify(s))
  if (page === command) return
  assert.deepEqual(JSON.parse(page as string), JSON.parse(command as string), `${id}: ${token}`)
  assert.fail(`${token}: the same, in another order`)
}
