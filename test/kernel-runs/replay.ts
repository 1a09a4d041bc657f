/**
 * Compares what a script does on the model with the rows of one recorded boot, in their order. A
 * row is replayed, or it is listed with a reason in `not-expressible.ts`; nothing is passed over.
 */
import assert from 'node:assert/strict'
import type { Design } from '../../src/designs/design.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { ERRNO } from '../../src/kernel/include/errno.js'
import { XA_CHUNK_SHIFT } from '../../src/kernel/include/xarray.js'
import { shmemAops } from '../../src/kernel/mm/shmem.js'
import { allBodies } from '../../src/machine/fn.js'
import { create } from './calls.js'
import { resetDevice, takeLog } from './device.js'
import { noted, takeCounts, takePrinted } from './kernel-log.js'
import { consoleReason, keyReason, rowReason } from './not-expressible.js'
import { ANY, inner, inodes, type Observation } from './observe.js'
import type { Boot, CallRow, EventRow } from './recording.js'
import { bootRecorded, call, takeFindings, takeStacks } from './runner.js'

/** What a step of a script gave. */
export interface Step {
  readonly ret: number
  readonly obs?: Observation
  /** Counts of which only none or some is compared. */
  readonly signs?: readonly string[]
}

/** What a finding of the model looks like on the console of a real kernel. */
const REPORTS: readonly (readonly [RegExp, string])[] = [
  // A lock in what is no inode of tmpfs, and lockdep's own oops over it.
  [/DEBUG_LOCKS_WARN_ON|lockdep\.c|__lock_acquire|00000000000000b8/, 'type-confusion'],
  [/KASAN: null-ptr-deref|kernel NULL pointer dereference/, 'null-dereference'],
  [/KASAN: use-after-free/, 'use-after-free'],
  [/sleeping function called from invalid context/, 'sleep-in-atomic'],
  [/WARNING: .* restrictedmem_get_page/, 'kernel-warning'],
]
/** Messages that the noted kernel prints too. */
const PRINTED = /^(Memory failure|soft[ _]offline): <n>:/

/** How a failure is injected through debugfs and sysfs, which the model has not got. */
const WRITES = ['ksys_write', 'vfs_write']
/** Names of the other functions that the model has, in C. */
const FUNCTIONS: ReadonlySet<string> = new Set(
  allBodies()
    .map(({ cName }) => cName)
    .filter((name) => !WRITES.includes(name)),
)

export class Replay {
  readonly boot: Boot
  readonly design: Design
  replayed = 0
  searches = 0
  listed = 0
  readonly #calls: readonly CallRow[]
  readonly #events: readonly EventRow[]
  readonly #findings = new Set<string>()
  readonly #stacks: string[][] = []
  #printed: string[] = []
  #next = 0

  /** Boots the design. */
  constructor(boot: Boot, design: Design) {
    this.boot = boot
    this.#calls = boot.rows.filter((r): r is CallRow => !('event' in r))
    this.#events = boot.rows.filter((r): r is EventRow => 'event' in r)
    resetDevice()
    this.design = noted(design)
    bootRecorded(this.design)
    takeLog()
    takeCounts()
    takePrinted()
    this.row('boot', 'start', { ret: 0, obs: flavour() })
  }

  /** The flavour is `upm`, without the patch of the thread. */
  get isUpm(): boolean {
    return this.boot.k === 'upm'
  }

  /** Is the next row of this experiment, or of this call? */
  isNext(text: string): boolean {
    this.#skipListed()
    const row = this.#calls[this.#next]
    return row !== undefined && (row.x === text || row.call === text)
  }

  /** A step: it must be the next row, and give what that row says. */
  row(x: string, call: string, step: Step): void {
    this.#skipListed()
    const row = this.#calls[this.#next++]
    const name = `${this.boot.k} ${x}: ${call}`
    assert.ok(row !== undefined, `${name}: the recording has ended`)
    assert.equal(`${row.x}: ${row.call}`, `${x}: ${call}`, `row ${row.n} comes next`)
    if (keyReason(row, 'ret') === undefined) {
      assert.equal(named(step.ret), row.ret, `${name} (row ${row.n}) returned`)
    }
    const how = { row, signs: step.signs ?? [] }
    assert.deepEqual(
      { obs: wanted(step.obs ?? {}, row.obs, how), log: takeLog() },
      { obs: wanted(row.obs, row.obs, how), log: row.log ?? [] },
      `${name} (row ${row.n})`,
    )
    this.#gather()
    this.replayed++
  }

  /** The next row is a storm, of which the script judges what can be judged. */
  searched(x: string, call: string): CallRow {
    this.#skipListed()
    const row = this.#calls[this.#next++]
    assert.equal(row && `${row.x}: ${row.call}`, `${x}: ${call}`)
    this.searches++
    return row as CallRow
  }

  /** Findings of a search that belongs to this boot. */
  finds(ids: readonly string[]): void {
    for (const id of ids) this.#findings.add(id)
  }

  /** The script has ended: so must the rows, and what was printed must be what the model says. */
  end(): void {
    this.#skipListed()
    this.#gather()
    const row = this.#calls[this.#next]
    assert.equal(row && `${row.x}: ${row.call}`, undefined, `${this.boot.k} ${this.boot.g}`)
    const printed: string[] = []
    const told = new Set<string>()
    for (const event of this.#events) {
      const text = event.text ?? ''
      const report = REPORTS.find(([pattern]) => pattern.test(text))
      if (consoleReason(event) !== undefined) {
        this.listed++
      } else if (event.frames !== undefined) {
        this.#trace(event)
      } else if (report !== undefined) {
        const [, id] = report
        told.add(id)
        this.replayed++
      } else {
        assert.match(text, PRINTED, `row ${event.n} is neither replayed nor listed`)
        for (let i = event.count ?? 1; i > 0; i--) printed.push(text)
        this.replayed++
      }
    }
    assert.deepEqual([...this.#findings].sort(), [...told].sort(), 'findings')
    assert.deepEqual(this.#printed.sort(), printed.sort(), 'printed')
  }

  /** A stack of the console: its functions that the model has too are on a stack of the model. */
  #trace({ n, frames = [] }: EventRow): void {
    const both = frames.filter((name) => FUNCTIONS.has(name))
    const found = this.#stacks.some((stack) => isPart(both, stack))
    assert.ok(found, `row ${n}: no task stood in ${both.join(' ← ')}`)
    this.replayed++
  }

  /** Findings of the model so far in this boot. */
  get findings(): ReadonlySet<string> {
    this.#gather()
    return this.#findings
  }

  #gather(): void {
    for (const id of takeFindings()) this.#findings.add(id)
    this.#printed.push(...takePrinted())
    this.#stacks.push(...takeStacks())
  }

  #skipListed(): void {
    for (;;) {
      const row = this.#calls[this.#next]
      if (row === undefined || rowReason(row) === undefined) return
      this.#next++
      this.listed++
    }
  }
}

/** By what the recorded kernels tell which flavour they are. */
function flavour(): Observation {
  const fd = create()
  const aops = Number(inner(fd).aOps !== shmemAops)
  const repaired = inodes(fd).wrapper_on_s_inodes
  call(sysClose, fd)
  return { aops, repaired, xa_chunk_shift: XA_CHUNK_SHIFT }
}

/** Does `part` come in this order in `whole`? */
function isPart(part: readonly string[], whole: readonly string[]): boolean {
  let i = 0
  for (const name of whole) if (name === part[i]) i++
  return i === part.length
}

function named(ret: number): number | string {
  for (const [name, n] of Object.entries(ERRNO)) if (ret === -n) return `-${name}`
  return ret
}

interface How {
  readonly row: CallRow
  readonly signs: readonly string[]
}

/** An observation as it is compared: without what is listed and what the model leaves open. */
function wanted(obs: Observation, recorded: Observation, how: How, path = ''): Observation {
  return Object.fromEntries(
    Object.entries(obs)
      .filter(([key]) => keyReason(how.row, path + key) === undefined)
      .map(([key, value]) => {
        const inside = recorded[key]
        if (value === ANY) return [key, inside]
        if (key === 'flags') return [key, String(value).replace('|error', '')]
        if (how.signs.includes(key)) return [key, sign(value)]
        const both = isObject(value) && isObject(inside)
        return [key, both ? wanted(value, inside, how, `${path}${key}.`) : value]
      }),
  )
}

function sign(count: unknown): unknown {
  if (Array.isArray(count)) return count.map(sign)
  return count === 0 ? 'none' : 'some'
}

function isObject(value: unknown): value is Observation {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
