/** Cells as Promela models: written to a file, or given to SPIN for its opinion. */

import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Cell } from '../../cell/cell.js'
import type { Observed } from '../../cell/judges.js'
import type { Design } from '../../designs/design.js'
import type { Scenario } from '../../litmus/scenario.js'
import { projectSources } from '../../lower/host.js'
import { allBodies } from '../../machine/fn.js'
import { type Model, modelOf } from '../../promela/model.js'
import { captureState } from '../../promela/tables.js'
import type { Sources } from '../../promela/world.js'
import { sanitizersOn } from '../../sanitizers/index.js'
import { UserError } from '../error.js'
import { cellTitle } from '../verdict.js'
import {
  missingTool,
  modelRuntime,
  NoVerdict,
  SPIN_LIMITS,
  type SpinResult,
  Verifier,
} from './spin.js'

const JUDGES = { file: 'src/sanitizers/built-in.ts', name: 'BUILT_IN' }

/** From here all of the kernel, the designs, the hosts and the sanitizers are imported. */
const ROOTS = ['src/cell/cell.ts', 'src/designs/index.ts', 'src/hosts/index.ts', JUDGES.file]

/** Most outcomes that a choice of kernel code has. */
const WAYS = 4

/** By the files of the user's designs: reading all sources takes a second. */
const known = new Map<string, Sources>()

function sources(): Sources {
  const places = allBodies().map((b) => b.place.replace(/:\d+$/, ''))
  const own = [...new Set(places.filter((p) => p.startsWith('/')))]
  const key = own.join()
  const made = known.get(key) ?? projectSources([...ROOTS, ...own])
  known.set(key, made)
  return made
}

/** The model of a cell, and what its set-up shows already. @throws SetupFailure */
function modelOfCell(
  scenario: Scenario,
  design: Design,
  name: string,
): { readonly model: Model; readonly ofSetUp: readonly Observed[] } {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  const state = captureState(scenario.conditions)
  cell.judges.detach()
  const model = modelOf({
    name,
    title: cellTitle({ scenario: scenario.name, design: design.id }),
    sources: sources(),
    runtime: modelRuntime(),
    judges: { ...JUDGES, list: sanitizersOn(design.host?.machine) },
    ways: WAYS,
    states: [state],
  })
  return { model, ofSetUp: cell.judges.ofSetUp }
}

/** Write `name.pml` and `name.c`; returns what the model cannot say, a line each. */
export function writeModel(scenario: Scenario, design: Design, path: string): string[] {
  if (!path.endsWith('.pml')) throw new UserError('a Promela model is a file that ends in .pml')
  const stem = path.slice(0, -'.pml'.length)
  const { promela, c, gaps } = modelOfCell(scenario, design, basename(stem)).model
  writeFileSync(path, promela)
  writeFileSync(`${stem}.c`, c)
  return gaps.map((g) => `${g.name}: ${g.reason} (${g.place})`)
}

/** What SPIN says of a cell within so many milliseconds, or why it says nothing. */
export function askSpin(
  scenario: Scenario,
  design: Design,
  ms = Number.POSITIVE_INFINITY,
): SpinResult | string {
  const missing = missingTool()
  if (missing !== undefined) return `${missing} is not installed`
  if (ms <= 0) return 'no time is left'
  const { model, ofSetUp } = modelOfCell(scenario, design, 'cell')
  const seconds = Math.min(SPIN_LIMITS.seconds, Math.ceil(ms / 1000))
  const verifier = new Verifier('cell', model, { ...SPIN_LIMITS, seconds })
  try {
    const said = verifier.run()
    const before = ofSetUp.map((o): [string, boolean] => [o.id, o.first])
    return { ...said, findings: new Map([...said.findings, ...before]) }
  } catch (error) {
    if (error instanceof NoVerdict) return error.message
    throw error
  } finally {
    verifier.close()
  }
}
