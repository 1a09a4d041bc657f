/** What a search was measured to do, and how that is said. */
export interface Measured {
  readonly states: number
  readonly seconds: number
}

export function perSecond({ states, seconds }: Measured): number {
  return states / seconds
}

export function best(runs: readonly Measured[]): Measured {
  return runs.reduce((a, b) => (perSecond(b) > perSecond(a) ? b : a))
}

export function line(who: string, m: Measured): string {
  const figures = `${m.states} states in ${m.seconds.toFixed(2)} s`
  return `  ${who.padEnd(9)} ${figures}, ${Math.round(perSecond(m))} states/s`
}
