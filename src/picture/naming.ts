/**
 * How a scenario names the objects of the kernel. A variable whose value is a descriptor names the
 * file, the pages behind it, and the VM, if it is one. Which variables hold descriptors is known
 * from the calls that they are passed to.
 */
import { CALLS } from '../calls/table.js'
import { type AddressSpace, filesStruct } from '../kernel/include/fs.js'
import type { Scenario } from '../litmus/scenario.js'
import type { Operation, Program } from '../machine/machine.js'
import { hasEnded, taskCount, taskName, variable } from '../machine/machine.js'
import { type Obj, objectName } from '../machine/struct.js'
import { taskNumber } from '../machine/task.js'
import { named } from '../trace/memory.js'
import { backingMapping } from '../user/harness.js'

export class Naming {
  /** By how reports name an object, what the scenario calls it. */
  readonly names: Record<string, string> = {}
  readonly #scenario: Scenario
  readonly #descriptors: ReadonlySet<number>
  readonly #mappings = new Map<string, AddressSpace>()

  constructor(scenario: Scenario) {
    this.#scenario = scenario
    this.#descriptors = descriptorsOf(scenario)
  }

  /** Note what can be named in the present state; a name stays with its object. */
  look(): void {
    for (const { name, index } of this.#scenario.variables) {
      if (!this.#descriptors.has(index) || !this.#isSet(index)) continue
      const table = filesStruct().fd
      const number = variable(index)
      const file = number >= 0 && number < table.length ? table.get(number) : null
      if (file === null) continue
      const short = name.slice(name.indexOf(':') + 1)
      this.#note(file, short)
      if (file.privateData !== null) this.#note(file.privateData, short)
      const mapping = file.fMapping === null ? null : backingMapping(file)
      if (mapping === null) continue
      this.#note(mapping, short)
      this.#mappings.set(objectName(mapping.at), mapping)
    }
  }

  #note(object: Obj, name: string): void {
    this.names[objectName(object.at)] ??= name
  }

  /** Has the call whose result it is returned? */
  #isSet(index: number): boolean {
    const { setup } = this.#scenario
    if (setup.tasks.some((t) => t.operations.some((o) => o.variable === index))) return true
    for (let n = 0; n < taskCount(); n++) {
      const task = this.#scenario.main.tasks.find((t) => t.name === taskName(n))
      const place = task?.operations.findIndex((o) => o.variable === index) ?? -1
      if (place >= 0) return hasEnded(n) || taskNumber(n).op > place
    }
    return false
  }

  /** Page caches of files that the scenario names. */
  mappings(): Iterable<AddressSpace> {
    return this.#mappings.values()
  }

  of(object: Obj): string {
    return this.at(object.at)
  }

  /** The object that a word lies in. */
  at(address: number): string {
    const name = objectName(address)
    return this.names[name] ?? name
  }

  text(text: string): string {
    return named(text, this.names)
  }
}

/** The variables that are passed where a call takes a file or a VM. */
function descriptorsOf({ setup, main, finally: last }: Scenario): ReadonlySet<number> {
  const calls = Object.values(CALLS)
  const programs: readonly Program[] = [setup, main, ...(last === undefined ? [] : [last])]
  const operations: Operation[] = programs.flatMap((p) => p.tasks.flatMap((t) => [...t.operations]))
  const found = new Set<number>()
  for (const { fn, args } of operations) {
    const parameters = calls.find((c) => c.fn === fn)?.parameters ?? []
    args.forEach((arg, i) => {
      const kind = parameters[i]?.kind
      if ('variable' in arg && (kind === 'file' || kind === 'vm')) found.add(arg.variable)
    })
  }
  return found
}
