/** The smallest kind of jobs: squares of numbers, which take a while, some of them in slices. */
import { count } from '../../src/app/host/narrow.js'
import type { AskOptions } from '../../src/app/host/queue/ask.js'
import { HandedOn, type Kind } from '../../src/app/host/queue/kind.js'
import type { ServeOptions } from '../../src/app/host/queue/serve.js'

/** Milliseconds that a job takes, or a slice of one. */
const WHILE = 30
/** Every so many takes so many slices. */
export const SLICED = { every: 5, slices: 3 }

/** What the slices of a number have seen so far: a piece for each. */
const seen = (n: number, slices: number): Uint8Array[] =>
  Array.from({ length: slices }, (_, i) => Uint8Array.of(n % 256, i))

export const SQUARES: Kind<number, number> = {
  name: 'squares',
  readAsked: count,
  readAnswer: count,
  packed: (_, value) => value,
  title: (n) => `the square of ${n}`,
  found: (n) => (n % 2 === 0 ? ['even'] : []),
  hand: () => ({
    answer: async (n, { slice: { milliseconds, from } }) => {
      await new Promise((resolve) => setTimeout(resolve, WHILE))
      const done = from?.pieces.length ?? 0
      const before = seen(n, done)
      if (Buffer.concat(from?.pieces ?? []).compare(Buffer.concat(before)) !== 0) {
        throw new Error(`the square of ${n} is given what another one has seen`)
      }
      const sliced = n % SLICED.every === 0 && Number.isFinite(milliseconds)
      if (!sliced || done + 1 >= SLICED.slices) return n * n
      return new HandedOn({ pieces: seen(n, done + 1), bytes: 2 * (done + 1) }, done + 1)
    },
    end: async () => {},
  }),
}

export const SERVE: Omit<ServeOptions, 'url' | 'signal'> = {
  threads: 2,
  lostAfter: 1,
  slice: 1,
  patience: 20,
  allowDesigns: false,
  onReady: () => {},
  onNotice: () => {},
}

export const ASK: Omit<AskOptions<number>, 'url' | 'signal'> = {
  patience: 20,
  what: 'squares',
  onAnswer: () => {},
  onDone: () => {},
  onNotice: () => {},
}
