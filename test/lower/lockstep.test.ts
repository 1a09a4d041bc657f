import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Execution } from '../../src/cell/execution.js'
import { Judges } from '../../src/cell/judges.js'
import { Alone, Misbehaviour } from '../../src/machine/alone.js'
import { fingerprintHi, fingerprintLo, mem } from '../../src/machine/arena.js'
import { LimitError } from '../../src/machine/fault.js'
import type { FnTag } from '../../src/machine/fn.js'
import {
  alternatives,
  boot,
  canStep,
  hasEnded,
  load,
  type Mode,
  variable,
} from '../../src/machine/machine.js'
import { constructAt, type Obj, type Struct } from '../../src/machine/struct.js'
import { STACK_WORDS, stackBase, taskNumber } from '../../src/machine/task.js'
import { Cell, deadLocals, keptBig, keptNumber, keptWide, PROGRAMS, ring } from './programs.js'

const CELLS = 2
const TASKS = 2

/** Nobody judges: what is compared is what the code does. */
function begin(): Execution {
  const judges = new Judges([])
  judges.attach()
  return new Execution(judges)
}

function start(mode: Mode, programs: readonly number[]): Execution {
  boot(mode, () => {
    for (let i = 0; i < CELLS; i++) {
      constructAt(Cell as unknown as Struct<Obj>, Cell.base + i * Cell.words, 0)
    }
    const first = ring()
    const second = Cell.at(Cell.base + Cell.words) as Cell
    first.next = second
    second.next = first
  })
  load({
    faults: 0,
    tasks: programs.map((p, i) => ({
      name: `t${i}`,
      operations: [{ fn: PROGRAMS[p % PROGRAMS.length]!, args: [], variable: i, text: `p${p}` }],
    })),
  })
  return begin()
}

/** What both ways of running must agree on after each step. */
function observe(): unknown {
  const cells = Array.from(mem.subarray(Cell.base, Cell.base + CELLS * Cell.words))
  const tasks = Array.from({ length: TASKS }, (_, n) => [canStep(n), hasEnded(n), alternatives(n)])
  return { cells, tasks, results: [variable(0), variable(1)] }
}

/** Run a schedule to the end; numbers pick among who can step and among alternatives. */
function history(mode: Mode, programs: readonly number[], picks: readonly number[]): unknown[] {
  const run = start(mode, programs)
  const seen = [observe()]
  for (let i = 0; i < 400; i++) {
    const tasks = [...new Set(run.moves().map((m) => m.task))]
    if (tasks.length === 0) break
    const pick = picks[i % picks.length] ?? 0
    const task = tasks[pick % tasks.length] as number
    run.take(task, pick % alternatives(task))
    seen.push(observe())
  }
  return seen
}

test('lowered and direct code agree after every step of every schedule tried', () => {
  const schedule = fc.array(fc.nat(5), { minLength: 1, maxLength: 60 })
  const programs = fc.tuple(fc.nat(PROGRAMS.length - 1), fc.nat(PROGRAMS.length - 1))
  fc.assert(
    fc.property(programs, schedule, (which, picks) => {
      assert.deepEqual(history('lowered', which, picks), history('direct', which, picks))
    }),
    { numRuns: 1000 },
  )
})

/** A program alone in the machine: its result, or the finding, and what it left. */
function alone(p: number, inFrames: boolean): unknown {
  start('lowered', [0])
  const series = new Alone(PROGRAMS[0]!)
  series.inFrames = inFrames
  let result: unknown
  try {
    result = series.call(PROGRAMS[p]!)
  } catch (error) {
    if (!(error instanceof Misbehaviour)) throw error
    result = error.id
  }
  return [result, Array.from(mem.subarray(Cell.base, Cell.base + CELLS * Cell.words))]
}

test('code that runs straight through does what it does in frames', () => {
  PROGRAMS.forEach((_, p) => {
    assert.deepEqual(alone(p, false), alone(p, true))
  })
})

/** A number and those around it. */
const around = (n: bigint): bigint[] => [n - 1n, n, n + 1n]

/** Whole numbers at every width that C has, with a sign and without, and some in between. */
const WORDS = [0, 31, 32, 33, 52, 53, 62, 63, 64].flatMap((bits) => [
  ...around(2n ** BigInt(bits)),
  ...around(-(2n ** BigInt(bits))),
])
const wordOf = fc.oneof(fc.constantFrom(...WORDS), fc.bigInt(-(2n ** 65n), 2n ** 65n))

/** What comes back in frames; 'refused' if they have no room for it. */
function keptInFrames(f: FnTag, given: number | bigint): unknown {
  start('lowered', [0])
  const series = new Alone(PROGRAMS[0]!)
  series.inFrames = true
  try {
    return series.call(f, given)
  } catch (error) {
    if (error instanceof LimitError) return 'refused'
    throw error
  }
}

test('a local of any width comes back from a frame as it was, or is refused', () => {
  fc.assert(
    fc.property(wordOf, (n) => {
      assert.equal(keptInFrames(keptBig, n), n)
      const number = Number(n)
      const fits = BigInt.asIntN(32, n) === n
      assert.equal(keptInFrames(keptNumber, number), fits ? number : 'refused')
      const isSafe = Number.isSafeInteger(number)
      assert.equal(keptInFrames(keptWide, number), isSafe ? number : 'refused')
    }),
    { numRuns: 300 },
  )
  assert.equal(keptInFrames(keptBig, 2n ** 96n), 'refused')
  assert.equal(keptInFrames(keptWide, 0.5), 'refused')
})

test('a task that has ended leaves its stack empty', () => {
  PROGRAMS.forEach((_, p) => {
    history('lowered', [p, p], [0, 1])
    for (let n = 0; n < TASKS; n++) {
      const base = stackBase(taskNumber(n))
      assert.ok(mem.subarray(base, base + STACK_WORDS).every((w) => w === 0))
    }
  })
})

test('ways that differ only in dead locals lead to one state', () => {
  const after = (choice: number): unknown => {
    start('lowered', [0])
    load({
      faults: 0,
      tasks: [{ name: 't', operations: [{ fn: deadLocals, args: [], text: 'dead_locals' }] }],
    })
    const run = begin()
    for (const c of [0, choice, 0]) run.take(0, c)
    return [fingerprintLo(), fingerprintHi(), ring().value, canStep(0)]
  }
  const one = after(0)
  assert.deepEqual(one, after(1))
  assert.deepEqual((one as unknown[]).slice(2), [7, true])
})
