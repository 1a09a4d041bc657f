/**
 * The running kernel for tests: started when there is one, else the test is skipped and says why.
 */
import type { TestContext } from 'node:test'
import type { Family } from '../../src/conform/generate.js'
import { profileOf } from '../../src/conform/model.js'
import { NoLiveKernel } from '../../src/live/libc.js'
import { Oracle, type OracleOptions } from '../../src/live/oracle.js'
import { missingFor } from '../../src/live/probe.js'

/** Run `body` with an oracle that can run the family; afterwards its worker is gone. */
export async function withOracle(
  t: TestContext,
  family: Family,
  body: (oracle: Oracle) => Promise<void>,
  options: OracleOptions = {},
): Promise<void> {
  const oracle = await startOr(t, options)
  if (oracle === undefined) return
  try {
    const missing = missingFor(family, await oracle.probe())
    if (missing === undefined) await body(oracle)
    else t.skip(`${family}: ${missing}`)
  } finally {
    await oracle.end()
  }
}

async function startOr(t: TestContext, options: OracleOptions): Promise<Oracle | undefined> {
  try {
    return await Oracle.start(options)
  } catch (error) {
    if (!(error instanceof NoLiveKernel)) throw error
    t.skip(error.message)
    return undefined
  }
}

/** Whether the running kernel is of a version that the model has; skips the test if not. */
export async function isModelled(t: TestContext, oracle: Oracle): Promise<boolean> {
  const { release } = await oracle.probe()
  const { exact } = profileOf(release)
  if (!exact) t.skip(`no profile is of Linux ${release}`)
  return exact
}
