/** The smallest kind of jobs: squares of numbers, which take a while. */
import { count } from '../../src/app/host/narrow.js'
import type { AskOptions } from '../../src/app/host/queue/ask.js'
import type { Kind } from '../../src/app/host/queue/kind.js'
import type { ServeOptions } from '../../src/app/host/queue/serve.js'

/** Milliseconds that a job takes. */
const WHILE = 30

export const SQUARES: Kind<number, number> = {
  name: 'squares',
  readAsked: count,
  readAnswer: count,
  packed: (_, value) => value,
  title: (n) => `the square of ${n}`,
  found: (n) => (n % 2 === 0 ? ['even'] : []),
  hand: () => ({
    answer: async (n) => {
      await new Promise((resolve) => setTimeout(resolve, WHILE))
      return n * n
    },
    end: async () => {},
  }),
}

export const SERVE: Omit<ServeOptions, 'url' | 'signal'> = {
  threads: 2,
  lostAfter: 1,
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
