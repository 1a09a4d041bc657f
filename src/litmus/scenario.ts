/** From a syntax tree to a scenario: programs for the machine, conditions, expectations. */
import { HOST_IDS, type HostId } from '../hosts/host.js'
import type { Arg, Operation, Program, TaskProgram } from '../machine/machine.js'
import { MAX_VARIABLES } from '../machine/machine.js'
import { MAX_TASKS } from '../machine/task.js'
import { bindCondition, type Condition, type Names, termValue } from './conditions.js'
import { LitmusError, suggest } from './error.js'
import { CONSTANTS, OPERATIONS, type OperationSpec, type Parameter } from './operations.js'
import { type FileSyntax, type OperationSyntax, parseLitmus, type ValueSyntax } from './syntax.js'

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
  /** Ids of the hosts that it is about. */
  readonly hosts: readonly HostId[]
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
      constants: CONSTANTS,
    }
  }

  operation(syntax: OperationSyntax, task: string | undefined): Operation {
    const { name } = syntax
    const found = OPERATIONS.find((o) => o.name === name.text)
    if (found === undefined) {
      const hint = suggest(
        name.text,
        OPERATIONS.map((o) => o.name),
      )
      return this.fail(`there is no operation "${name.text}".${hint}`, name.at)
    }
    const args = this.#arguments(syntax, found, task)
    const expected = syntax.expected && this.#constant(syntax.expected)
    const variable = syntax.variable && this.#newVariable(syntax.variable.text, task)
    return {
      fn: found.fn,
      args,
      text: syntax.text,
      ...(expected === undefined ? {} : { expected }),
      ...(variable === undefined ? {} : { variable }),
    }
  }

  #newVariable(name: string, task: string | undefined): number {
    const full = task === undefined ? name : `${task}:${name}`
    const known = this.#variables.find((v) => v.name === full)
    if (known !== undefined) return known.index
    if (this.#variables.length >= MAX_VARIABLES) this.fail('too many variables', 0)
    const index = this.#variables.length
    this.#variables.push({ name: full, index })
    return index
  }

  #arguments(syntax: OperationSyntax, spec: OperationSpec, task: string | undefined): Arg[] {
    const given = new Map<string, ValueSyntax>()
    const free = spec.parameters.map((p) => p.name)
    for (const { name, value } of syntax.args) {
      const target = name === undefined ? free[0] : name.text
      if (target === undefined) {
        this.fail(`${spec.name} takes ${spec.parameters.length} arguments`, value.at)
      }
      const at = free.indexOf(target)
      if (at < 0) {
        const problem = given.has(target) ? 'is given twice' : 'is not an argument'
        const hint = suggest(
          target,
          spec.parameters.map((p) => p.name),
        )
        this.fail(`${target} ${problem} of ${spec.name}.${hint}`, name?.at ?? value.at)
      }
      free.splice(at, 1)
      given.set(target, value)
    }
    return spec.parameters.map((p) => this.#argument(p, given.get(p.name), spec, syntax, task))
  }

  #argument(
    parameter: Parameter,
    value: ValueSyntax | undefined,
    spec: OperationSpec,
    syntax: OperationSyntax,
    task: string | undefined,
  ): Arg {
    const convert = (n: number): Arg => ({ value: parameter.kind === 'bytes' ? BigInt(n) : n })
    if (value === undefined) {
      if (parameter.default !== undefined) return convert(parameter.default)
      return this.fail(`${spec.name} needs ${parameter.name}`, syntax.name.at)
    }
    const [only] = value.terms
    if (value.terms.length === 1 && only !== undefined) {
      const variable = this.#lookUp(only.text, task)
      if (variable !== undefined) {
        if (parameter.kind === 'number') return { variable }
        return this.fail(`${parameter.name} takes a constant size, not a variable`, only.at)
      }
    }
    return convert(this.#constant(value, task))
  }

  #constant(value: ValueSyntax, task?: string): number {
    let bits = 0
    for (const term of value.terms) {
      const n = termValue(term.text, CONSTANTS)
      if (n === undefined) {
        const own = this.#variables.filter(
          (v) => !v.name.includes(':') || v.name.startsWith(`${task}:`),
        )
        const names = [...own.map((v) => v.name.replace(/^.*:/, '')), ...Object.keys(CONSTANTS)]
        this.fail(
          `"${term.text}" is no number, constant or variable.${suggest(term.text, names)}`,
          term.at,
        )
      }
      bits = value.terms.length === 1 ? n : bits | n
    }
    return bits
  }
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
    file.faults,
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
function hostsOf({ hosts }: FileSyntax, binder: Binder): HostId[] {
  if (hosts.length === 0) return ['sw']
  return hosts.map((h) => hostNamed(h.text, h.at, binder))
}

function hostNamed(name: string, at: number, binder: Binder): HostId {
  const known = HOST_IDS.find((id) => id === name)
  return known ?? binder.fail(`there is no host "${name}".${suggest(name, HOST_IDS)}`, at)
}

/** The machine runs one task more than the scenario has: the exit of the process. */
function checkTasks({ tasks, last }: FileSyntax, binder: Binder, source: string): void {
  if (tasks.length === 0) binder.fail('a scenario needs at least one task', source.length)
  const most = MAX_TASKS - 1 - (last.length > 0 ? 1 : 0)
  tasks.forEach(({ name }, i) => {
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
      if (host !== undefined) hostNamed(host, d.at + design.length + 1, binder)
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
