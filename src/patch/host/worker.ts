/** A worker thread that compares designs made of patches with the ones that they change. */
import { parentPort } from 'node:worker_threads'
import type { Move } from '../../cell/schedule.js'
import type { Design } from '../../designs/design.js'
import { DESIGNS } from '../../designs/index.js'
import { readScenario, type Scenario } from '../../litmus/scenario.js'
import type { FnTag, Replacement, SlotReplacement } from '../../machine/fn.js'
import { numberDeclared } from '../../machine/machine.js'
import { FINDING_KINDS, findingKind } from '../../sanitizers/index.js'
import {
  type CellFacts,
  type Difference,
  difference,
  judgeCell,
  stopped,
  withProbes,
} from '../judge.js'

/** One scenario on a base and on what changes of it. */
export interface PatchJob {
  readonly number: number
  /** The scenario's text. */
  readonly text: string
  readonly base: string
  /** Lowered modules that export `made`. */
  readonly modules: readonly string[]
  /** The variants: which of the functions in `made` each replaces; undefined for all. */
  readonly variants: readonly Variant[]
  /** Run a variant only if the base runs one of these bodies. */
  readonly reach: readonly (readonly string[])[]
}

export interface Variant {
  readonly module: number
  readonly slots: readonly string[]
  /** The number of the variant that it is compared with; the base if it is left out. */
  readonly against?: number
}

export interface FoundFinding {
  readonly id: string
  readonly function: string
  readonly message: string
  readonly first: boolean
  readonly isDemand: boolean
  readonly schedule: readonly Move[]
}

/** What a cell says, as data. */
export interface CellReport {
  readonly skipped: string | undefined
  readonly states: number
  readonly finals: number
  readonly outcomes: number
  readonly findings: readonly FoundFinding[]
  readonly marks: readonly string[]
}

export interface VariantReport {
  /** Undefined if the base does not reach what the variant changes. */
  readonly cell: CellReport | undefined
  readonly difference: Difference | undefined
}

export interface PatchResult {
  readonly number: number
  readonly scenario: string
  readonly base: CellReport
  readonly variants: readonly VariantReport[]
  readonly bug: string | undefined
}

type Made = Readonly<Record<string, Replacement | SlotReplacement>>

const loaded = new Map<string, Made>()

async function load(module: string): Promise<Made> {
  const known = loaded.get(module)
  if (known !== undefined) return known
  const url = `data:text/javascript;base64,${Buffer.from(module).toString('base64')}`
  // Two modules may have written the same in the same place: what there is has its number first.
  numberDeclared()
  const { made } = (await import(url)) as { made: Made }
  loaded.set(module, made)
  return made
}

/** Code that came from outside must not end the whole run, whatever it does to the machine. */
function judged(scenario: Scenario, design: Design): CellFacts {
  try {
    return judgeCell(scenario, design)
  } catch (error) {
    return stopped(`the machine stops: ${(error as Error).message}`)
  }
}

/** What is not replaced would be equal, whatever it does. */
function missing(slot: string): never {
  throw new Error(`a module of ours does not have ${slot}`)
}

const probes = new Map<number, FnTag>()

interface Base {
  readonly facts: CellFacts
  /** The places of the bodies that it runs. */
  readonly ran: ReadonlySet<string>
}

/** Cells of designs as they are: many a job asks about one. */
const bases = new Map<string, Base>()

function baseOf(design: Design, scenario: Scenario, text: string): Base {
  const key = `${design.id}\n${text}`
  const known = bases.get(key)
  if (known !== undefined) return known
  const probed = withProbes(design, probes)
  const facts = judgeCell(scenario, probed.design)
  const made = { facts, ran: new Set(probed.ran) }
  bases.set(key, made)
  return made
}

async function run(job: PatchJob): Promise<PatchResult> {
  const base = DESIGNS.find((d) => d.id === job.base) as Design
  const made: Made[] = []
  for (const module of job.modules) made.push(await load(module))
  const scenario = readScenario(job.text, {
    designs: job.text.match(/[\w.-]+/g) ?? [],
    findings: FINDING_KINDS.map((k) => k.id),
  })
  const { facts, ran } = baseOf(base, scenario, job.text)
  const seen: CellFacts[] = []
  const variants = job.variants.map(({ module, slots, against }, i): VariantReport => {
    const places = job.reach[i] ?? []
    if (places.length > 0 && !places.some((p) => ran.has(p))) {
      return { cell: undefined, difference: undefined }
    }
    const of = made[module] ?? {}
    const all = slots.map((s) => of[s] ?? missing(s))
    const other = judged(scenario, {
      ...{ ...base, base },
      replaces: all.filter((r) => 'of' in r),
      slots: [...base.slots, ...all.filter((r) => 'table' in r)],
    })
    seen[i] = other
    const beside = against === undefined ? facts : seen[against]
    return { cell: reportOf(other), difference: beside && difference(beside, other) }
  })
  return {
    number: job.number,
    scenario: scenario.name,
    base: reportOf(facts),
    variants,
    bug: undefined,
  }
}

function reportOf(f: CellFacts): CellReport {
  return {
    skipped: f.skipped,
    states: f.states,
    finals: f.finals.size,
    outcomes: f.outcomes.length,
    marks: f.marks,
    findings: f.findings.map(({ id, message, first, schedule, function: where }) => ({
      ...{ id, message, first, function: where, schedule },
      isDemand: findingKind(id)?.judgement === 'demand',
    })),
  }
}

parentPort?.on('message', (job: PatchJob) => {
  run(job).then(
    (result) => parentPort?.postMessage(result),
    (error: Error) =>
      parentPort?.postMessage({
        number: job.number,
        bug: withoutModules(error.stack ?? error.message),
      }),
  )
})

/** A module is in its own URL, which is in every stack trace. */
function withoutModules(text: string): string {
  return text.replace(/data:text\/javascript;base64,[\w+/=]*/g, 'the patch')
}
