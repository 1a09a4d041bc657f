/**
 * Random programs a second: on the model, on the running kernel by way of its worker, and on both
 * at once, compared. What counts is the ratio of the first two.
 */
import { differential } from '../src/conform/differential.js'
import { type Family, generate } from '../src/conform/generate.js'
import { Model } from '../src/conform/model.js'
import { NoLiveKernel } from '../src/live/libc.js'
import { Oracle } from '../src/live/oracle.js'
import { missingFor } from '../src/live/probe.js'

const PROGRAMS: readonly (readonly [Family, number])[] = [
  ['memfd', 10_000],
  ['guest_memfd', 3000],
]
/** Programs before those that count, for V8 to learn the code. */
const WARM_UP = 3000

/** Seconds that something takes. */
async function seconds(body: () => unknown): Promise<number> {
  const start = performance.now()
  await body()
  return (performance.now() - start) / 1000
}

async function measure(family: Family, count: number, oracle: Oracle): Promise<string[]> {
  const model = new Model('6.18')
  const programs = Array.from({ length: count }, (_, i) => generate(family, i))
  for (const ops of programs.slice(0, WARM_UP)) model.run(ops)
  await oracle.run(programs.slice(0, WARM_UP))
  const onModel = await seconds(() => programs.map((ops) => model.run(ops)))
  const live = await seconds(() => oracle.run(programs))
  const both = await seconds(async () => {
    for await (const batch of differential(family, 0, count, oracle, model)) void batch
  })
  const rate = (s: number): string => String(Math.round(count / s)).padStart(7)
  return [
    `  ${family.padEnd(12)}${rate(onModel)} model${rate(live)} live${rate(both)} both compared`,
    `  ${''.padEnd(12)}the model takes ${(onModel / live).toFixed(1)} times as long as the kernel`,
  ]
}

/** What to print. */
export async function benchConform(): Promise<string[]> {
  const title = 'random programs of 20 calls, a second'
  let oracle: Oracle
  try {
    oracle = await Oracle.start()
  } catch (error) {
    if (error instanceof NoLiveKernel) return [title, `  skipped: ${error.message}`]
    throw error
  }
  try {
    const capabilities = await oracle.probe()
    const lines = [title]
    for (const [family, count] of PROGRAMS) {
      const missing = missingFor(family, capabilities)
      if (missing === undefined) lines.push(...(await measure(family, count, oracle)))
      else lines.push(`  ${family.padEnd(12)} skipped: ${missing}`)
    }
    return lines
  } finally {
    await oracle.end()
  }
}
