/** From a syntax tree to a scenario: programs for the machine, conditions, expectations. */

import type { Call, Kind, Parameter } from '../calls/call.js'
import { CONSTANTS } from '../calls/constants.js'
import { CALLS, callOf } from '../calls/table.js'
import { HOST_IDS, MACHINES, type Machine } from '../hosts/host.js'
import type { Arg, Operation, Program, TaskProgram } from '../machine/machine.js'
import { MAX_VARIABLES } from '../machine/machine.js'
import { MAX_TASKS } from '../machine/task.js'
import { bindCondition, type Condition, MAX_EXACT, type Names, termValue } from './conditions.js'
import { LitmusError, suggest } from './error.js'
import {
  type FileSyntax,
  type Named,
  type OperationSyntax,
  parseLitmus,
  type ValueSyntax,
} from './syntax.js'

export interface Variable {
  /** `r0` of the set-up, `vcpu0:r0` of a task. */
  readonly name: string
  readonly index: number
}

/** What a scenario says about some designs. */
export interface Expectation {
  /** `upm`, or `upm@snp` on one host; `*` stands for all designs that no other row names. */
  readonly designs: readonly string[]
  readonly outcome: 'clean' | 'finds' | 'skip'
  readonly findings: readonly string[]
  readonly why: string
  readonly conditions: readonly Condition[]
}

export interface Scenario {
  readonly name: string
  readonly question: string
  /** The machines that it is about, each in all its versions. */
  readonly hosts: readonly Machine[]
  readonly setup: Program
  readonly main: Program
  readonly finally: Program | undefined
  readonly variables: readonly Variable[]
  readonly conditions: readonly Condition[]
  readonly reach: readonly string[]
  readonly expect: readonly Expectation[]
}

/** What a scenario may refer to outside its file. */
export interface Known {
  readonly designs: readonly string[]
  readonly findings: readonly string[]
}

class Binder {
  readonly #source: string
  readonly #variables: Variable[] = []

  constructor(source: string) {
    this.#source = source
  }

  get variables(): readonly Variable[] {
    return this.#variables
  }

  fail(message: string, at: number): never {
    throw new LitmusError(message, this.#source, at)
  }

  /** A variable as a task sees it: its own, or one of the set-up. */
  #lookUp(name: string, task: string | undefined): number | undefined {
    const own = task === undefined ? undefined : `${task}:${name}`
    return this.#variables.find((v) => v.name === own || v.name === name)?.index
  }

  names(): Names {
    return {
      source: this.#source,
      variable: (name) => this.#variables.find((v) => v.name === name)?.index,
      all: this.#variables.map((v) => v.name),
    }
  }

  operation(syntax: OperationSyntax, task: string | undefined): Operation {
    const { name } = syntax
    const found = callOf(name.text)
    if (found === undefined) {
      const hint = suggest(name.text, Object.keys(CALLS))
      return this.fail(`there is no operation "${name.text}".${hint}`, name.at)
    }
    const args = this.#arguments(syntax, found, task)
    const expected = syntax.expected && this.#result(syntax.expected)
    const variable = syntax.variable && this.#newVariable(syntax.variable, task)
    return {
      fn: found.fn,
      args,
      text: syntax.text,
      ...(expected === undefined ? {} : { expected }),
      ...(variable === undefined ? {} : { variable }),
    }
  }

  #newVariable({ text, at }: Named, task: string | undefined): number {
    const full = task === undefined ? text : `${task}:${text}`
    const known = this.#variables.find((v) => v.name === full)
    if (known !== undefined) return known.index
    if (this.#variables.length >= MAX_VARIABLES)
      this.fail(`more than ${MAX_VARIABLES} variables`, at)
    const index = this.#variables.length
    this.#variables.push({ name: full, index })
    return index
  }

  #arguments(syntax: OperationSyntax, spec: Call, task: string | undefined): Arg[] {
    const { name: call } = syntax
    const given = new Map<string, ValueSyntax>()
    const free = spec.parameters.map((p) => p.name)
    for (const { name, value } of syntax.args) {
      const target = name === undefined ? free[0] : name.text
      if (target === undefined) {
        this.fail(`${call.text} takes ${spec.parameters.length} arguments`, value.at)
      }
      const at = free.indexOf(target)
      if (at < 0) {
        const problem = given.has(target) ? 'is given twice' : 'is not an argument'
        const hint = suggest(
          target,
          spec.parameters.map((p) => p.name),
        )
        this.fail(`${target} ${problem} of ${call.text}.${hint}`, name?.at ?? value.at)
      }
      free.splice(at, 1)
      given.set(target, value)
    }
    return spec.parameters.map((p) => this.#argument(p, given.get(p.name), call, task))
  }

  #argument(
    parameter: Parameter,
    value: ValueSyntax | undefined,
    call: Named,
    task: string | undefined,
  ): Arg {
    const as = PASSED[parameter.kind]
    if (value === undefined) {
      if (parameter.preset !== undefined) return { value: passed(BigInt(parameter.preset), as) }
      return this.fail(`${call.text} needs ${parameter.name}`, call.at)
    }
    const [only] = value.terms
    if (value.terms.length === 1 && only !== undefined) {
      const variable = this.#lookUp(only.text, task)
      if (variable !== undefined) return { variable, as }
    }
    const bits = this.#bits(value, task)
    const [least, most] = RANGE[as]
    if (bits < least || bits > most) {
      const width = as === 'int' ? 32 : 64
      this.fail(`${parameter.name} has ${width} bits; this does not fit`, value.at)
    }
    return { value: passed(bits, as) }
  }

  /** What a call may return and a variable hold. */
  #result(value: ValueSyntax): number {
    const bits = this.#bits(value)
    if (bits < -MAX_EXACT || bits > MAX_EXACT) this.fail('no result is beyond 2^53', value.at)
    return Number(bits)
  }

  #bits(value: ValueSyntax, task?: string): bigint {
    const [first, ...more] = value.terms.map((term) => {
      const n = termValue(term.text)
      if (n !== undefined) return n
      const own = this.#variables.filter(
        (v) => !v.name.includes(':') || v.name.startsWith(`${task}:`),
      )
      const names = [...own.map((v) => v.name.replace(/^.*:/, '')), ...CONSTANTS.keys()]
      return this.fail(
        `"${term.text}" is no number, constant or variable.${suggest(term.text, names)}`,
        term.at,
      )
    })
    return more.reduce((bits, n) => bits | n, first ?? 0n)
  }
}

/** What an argument is for the function that gets it. */
type Passed = NonNullable<Extract<Arg, { readonly variable: number }>['as']>

const PASSED: Readonly<Record<Kind, Passed>> = {
  file: 'int',
  vm: 'int',
  number: 'int',
  count: 'int',
  address: 'wide',
  bytes: 'bytes',
  offset: 'bytes',
  length: 'bytes',
}

/** Least and largest value that can be written; the upper half of each means a negative one. */
const RANGE: Readonly<Record<Passed, readonly [bigint, bigint]>> = {
  int: [-(1n << 31n), (1n << 32n) - 1n],
  wide: [-(1n << 63n), (1n << 64n) - 1n],
  bytes: [-(1n << 63n), (1n << 64n) - 1n],
}

function passed(bits: bigint, as: Passed): number | bigint {
  if (as === 'int') return Number(BigInt.asIntN(32, bits))
  const value = BigInt.asIntN(64, bits)
  return as === 'wide' ? Number(value) : value
}

/**
 * Parse and bind a litmus file.
 *
 * @throws LitmusError with line, column and a caret.
 */
export function readScenario(source: string, known: Known): Scenario {
  const file = parseLitmus(source)
  const binder = new Binder(source)
  const program = (tasks: TaskProgram[], faults = 0): Program => ({ tasks, faults })
  const task = (name: string, lines: readonly OperationSyntax[], own: boolean): TaskProgram => ({
    name,
    operations: lines.map((l) => binder.operation(l, own ? name : undefined)),
  })
  checkTasks(file, binder, source)
  const setup = program([task('setup', file.setup, false)])
  const main = program(
    file.tasks.map((t) => task(t.name.text, t.operations, true)),
    faultsOf(file, binder),
  )
  const last = file.last.length > 0 ? program([task('finally', file.last, true)]) : undefined
  const names = binder.names()
  return {
    name: file.name,
    question: file.question,
    hosts: hostsOf(file, binder),
    setup,
    main,
    finally: last,
    variables: binder.variables,
    conditions: file.conditions.map((c) => bindCondition(c, names)),
    reach: file.reach.map((m) => m.text),
    expect: expectations(file, names, known, binder),
  }
}

/** A scenario that names no host is about memory that no hardware protects. */
function hostsOf({ hosts }: FileSyntax, binder: Binder): Machine[] {
  if (hosts.length === 0) return ['sw']
  return hosts.map((h) => hostNamed(h.text, h.at, MACHINES, binder))
}

function hostNamed<T extends string>(
  name: string,
  at: number,
  hosts: readonly T[],
  binder: Binder,
): T {
  const known = hosts.find((id) => id === name)
  return known ?? binder.fail(`there is no host "${name}".${suggest(name, hosts)}`, at)
}

/** More faults than this can strike in no execution that ends. */
const MOST_FAULTS = 1000n

function faultsOf({ faults }: FileSyntax, binder: Binder): number {
  if (faults === undefined) return 0
  if (BigInt(faults.text) > MOST_FAULTS) binder.fail(`at most ${MOST_FAULTS} faults`, faults.at)
  return Number(faults.text)
}

/** Names that other parts of a scenario's execution have. */
const RESERVED = ['setup', 'finally', 'exit']

/** The machine runs one task more than the scenario has: the exit of the process. */
function checkTasks({ tasks, last }: FileSyntax, binder: Binder, source: string): void {
  if (tasks.length === 0) binder.fail('a scenario needs at least one task', source.length)
  const most = MAX_TASKS - 1 - (last.length > 0 ? 1 : 0)
  tasks.forEach(({ name }, i) => {
    if (RESERVED.includes(name.text)) binder.fail(`every scenario has a "${name.text}"`, name.at)
    if (tasks.findIndex((t) => t.name.text === name.text) < i) {
      binder.fail(`there are two tasks "${name.text}"`, name.at)
    }
    if (i >= most) binder.fail(`more than ${most} tasks`, name.at)
  })
}

function expectations(file: FileSyntax, names: Names, known: Known, binder: Binder): Expectation[] {
  return file.rows.map((row) => {
    for (const d of row.designs) {
      const [design = '', host] = d.text.split('@')
      if (design !== '*' && !known.designs.includes(design)) {
        binder.fail(`there is no design "${design}".${suggest(design, known.designs)}`, d.at)
      }
      if (host !== undefined)
        hostNamed(host, d.at + design.length + 1, [...HOST_IDS, ...MACHINES], binder)
    }
    for (const f of row.findings) {
      if (!known.findings.includes(f.text)) {
        binder.fail(`there is no finding "${f.text}".${suggest(f.text, known.findings)}`, f.at)
      }
    }
    return {
      designs: row.designs.map((d) => d.text),
      outcome: row.outcome,
      findings: row.findings.map((f) => f.text),
      why: row.why,
      conditions: row.conditions.map((c) => bindCondition(c, names)),
    }
  })
}
