/** Choices that look random and are the same for the same seed, on every machine. */

/** An alternative and how often it is wanted, in comparison with the others. */
export type Weighted<T> = readonly (readonly [weight: number, value: T])[]

export class Random {
  #state: number

  constructor(seed: number) {
    // Neighbouring seeds must not give neighbouring sequences.
    this.#state = mix(mix(seed >>> 0) ^ Math.floor(seed / 2 ** 32))
  }

  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    return mix(this.#state)
  }

  /** From 0 to n - 1. */
  below(n: number): number {
    return Math.floor((this.#next() / 2 ** 32) * n)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.#next() / 2 ** 32 < probability
  }

  pick<T>(values: readonly [T, ...T[]]): T
  pick<T>(values: readonly T[]): T | undefined
  pick<T>(values: readonly T[]): T | undefined {
    return values[this.below(values.length)]
  }

  weighted<T>(choices: Weighted<T>): T {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0)
    let at = this.below(total)
    for (const [weight, value] of choices) {
      if (at < weight) return value
      at -= weight
    }
    throw new RangeError('nothing to choose from')
  }
}

/** A finaliser of 32 bits (murmur3): every bit of the input moves half of those of the output. */
function mix(value: number): number {
  let h = value >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
