/** `conform --guest`: what a real guest sees of real guest_memfd, beside what the model's sees. */
import { firstDifference } from '../conform/compare.js'
import { describeOp } from '../conform/describe.js'
import { GUEST_STORY } from '../conform/generate-guest.js'
import { Model, profileOf } from '../conform/model.js'
import { missingFor } from '../live/probe.js'
import type { Race } from '../live/race.js'
import { conformLive, startOracle } from './conform-live.js'
import { EXIT } from './exit.js'
import { out } from './terminal.js'

/** Milliseconds that punches race a running guest, and random programs beside the story. */
const RACE_MS = 1000
const PROGRAMS = 200

export async function conformGuest(seed: number): Promise<number> {
  const oracle = await startOracle(false)
  if (oracle === undefined) return EXIT.SKIPPED
  try {
    const capabilities = await oracle.probe()
    const missing = missingFor('guest', capabilities)
    if (missing !== undefined) {
      out(`skipped: ${missing}`)
      return EXIT.SKIPPED
    }
    out('the guest runs in user mode; its accesses go to guest_memfd and not to the')
    out("slot's user address, as a decoy there has shown\n")
    const { profile, exact } = profileOf(capabilities.release)
    const [real = []] = await oracle.run([GUEST_STORY])
    const model = new Model(profile).run(GUEST_STORY)
    out(`  ${''.padEnd(40)}${'kernel'.padEnd(10)}model of ${profile}`)
    for (const [i, op] of GUEST_STORY.entries()) {
      const [a, b] = [String(real[i]?.r), String(model[i]?.r)]
      out(`  ${describeOp(op).padEnd(40)}${a.padEnd(10)}${b}${a === b ? '' : '   differs'}`)
    }
    const race = await oracle.race(RACE_MS)
    out(`\n${describeRace(race)}\n`)
    const differs = exact && firstDifference(real, model) >= 0
    if (differs || race.impossible.length > 0) return EXIT.DIFFERS
  } finally {
    await oracle.end()
  }
  const options = { record: undefined, ktap: false, all: false }
  return conformLive({ ...options, families: ['guest'], seed, count: PROGRAMS })
}

function describeRace({ runs, punches, before, between, impossible }: Race): string {
  const lines = [
    `${punches} punches raced ${runs} runs of the guest for ${RACE_MS / 1000} s: ${before} came before its`,
    `increment, ${between} between that and its load; ${impossible.length} values that cannot be`,
  ]
  return [...lines, ...impossible.map((text) => `  ${text}`)].join('\n')
}
