/**
 * The fuzzer by way of a queue: ranges of seeds go to workers of the same code. What fails there is
 * told with its seed, by which it fails here.
 */
import * as is from '../../src/app/host/narrow.js'
import type { Bench, Hand, Kind } from '../../src/app/host/queue/kind.js'
import { type Counts, FUZZERS } from './fuzzers.js'

/** What one fuzzer tries from seed `first` on. */
export interface Range {
  readonly fuzzer: string
  readonly first: number
  readonly count: number
}

/** What came of a range. */
export interface Fuzzed {
  readonly counts: Counts
  readonly failed: number
  readonly told: readonly string[]
}

export const FUZZ: Kind<Range, Fuzzed> = {
  name: 'fuzz',
  readAsked: is.fields<Range>({
    fuzzer: is.oneOf(...FUZZERS.keys()),
    first: is.count,
    count: is.count,
  }),
  readAnswer: is.fields<Fuzzed>({
    counts: is.byName(is.count),
    failed: is.count,
    told: is.list(is.text),
  }),
  packed: (_, value) => value,
  title: ({ fuzzer, first, count }) => `${count} ${fuzzer} from seed ${first}`,
  found: ({ told }) => told.map(() => 'failure'),
  hand: () => HAND,
}

const HAND: Hand<Range> = {
  answer: async ({ fuzzer, first, count }: Range, { signal }: Bench): Promise<Fuzzed> => {
    const told: string[] = []
    const { counts, failed } = await FUZZERS.get(fuzzer)!.run({
      ...{ seed: first, count, commands: true },
      goesOn: () => !signal.aborted,
      tell: (text) => void told.push(text),
    })
    return { counts, failed, told }
  },
  end: async () => {},
}

/** Jobs of one fuzzer. */
const JOBS = 50
/** Of those that are drawn, few are small enough to be tried in all ways: seeds that a job may use. */
const SEEDS = 20

/** So many tries, in jobs that share no seed. */
export function rangesOf(fuzzer: string, seed: number, count: number): Range[] {
  const each = Math.max(1, Math.ceil(count / JOBS))
  const ranges: Range[] = []
  for (let done = 0; done < count; done += each) {
    ranges.push({ fuzzer, first: seed + done * SEEDS, count: Math.min(each, count - done) })
  }
  return ranges
}
