/** What a check that was stopped leaves, and what may go on from it. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { CellSnapshot } from '../../src/app/check.js'
import { UserError } from '../../src/app/error.js'
import { readCheckpoint, saveCheckpoint } from '../../src/app/host/checkpoint.js'
import { claim } from '../../src/app/host/claim.js'
import { knownNames } from '../../src/app/known.js'
import { Cell } from '../../src/cell/cell.js'
import { type Design, defineDesign } from '../../src/designs/design.js'
import { upm } from '../../src/designs/upm.js'
import { type SearchResult, search } from '../../src/explore/prove/search.js'
import { sysFsync } from '../../src/kernel/fs/sync.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { write } from '../../src/machine/effects.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
import { type Mutex, mutexInit, mutexLock, mutexUnlock } from '../../src/machine/locks.js'
import { constructAt, embed, num, type Obj, type Struct, struct } from '../../src/machine/struct.js'

const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-checkpoint-'))
after(() => rmSync(folder, { recursive: true }))

interface Late extends Obj {
  value: number
  one: Mutex
  other: Mutex
}
const Late: Struct<Late> = struct<Late>(
  'Late',
  { value: num(), one: embed('Mutex'), other: embed('Mutex') },
  { capacity: 1 },
)

function late(): Late {
  return Late.at(Late.base) as Late
}

/** Locks of a class that has come up only now: which one is first depends on who is. */
const lockLate = fn(function* lock_late(fd: number): Kernel<number> {
  const l = late()
  yield write(l, 'value')
  if (fd === 1) {
    mutexInit(l.one, 'late_one')
    yield* mutexLock(l.one)
    mutexUnlock(l.one)
  } else {
    mutexInit(l.other, 'late_other')
    yield* mutexLock(l.other)
    mutexUnlock(l.other)
  }
  return 0
})

const makeLate = fn(function* make_late(): Kernel<number> {
  constructAt(Late as unknown as Struct<Obj>, Late.base, 0)
  yield write(late(), 'value')
  return 0
})

const design: Design = defineDesign({
  id: 'late',
  summary: 'Classes of locks that come up late.',
  base: upm,
  cite: [],
  replaces: [replace(sysFsync, lockLate)],
  init: makeLate,
})

const scenario = readScenario(
  `litmus test/late
"?"
task t0
  fsync(1)
  fsync(1)
task t1
  fsync(2)
  fsync(2)
`,
  knownNames(['late']),
)

/** A search that goes on from a snapshot, if there is one, for so many steps. */
function some(steps: number, resume?: CellSnapshot): { said: SearchResult; at?: CellSnapshot } {
  const cell = new Cell(scenario, design)
  cell.boot('lowered')
  assert.ok(resume === undefined || cell.restore(resume))
  let at: CellSnapshot | undefined
  const said = search(cell.judges, {
    bound: undefined,
    askEvery: steps,
    resume: resume?.search,
    keepGoing: (_states, _depth, { snapshot }) => {
      at = structuredClone({ search: snapshot!(), ...cell.save() })
      return false
    },
  })
  cell.judges.detach()
  return at === undefined ? { said } : { said, at }
}

test('classes of locks that come up during a search keep their numbers in the next one', () => {
  const whole = some(100_000).said
  for (const steps of [1, 3]) {
    let part = some(steps)
    for (; !part.said.finished; part = some(steps, part.at));
    assert.equal(part.said.states, whole.states)
    assert.deepEqual(part.said.witnesses, whole.witnesses)
  }
})

describe('a file', () => {
  const path = join(folder, 'file')
  const { at } = some(20)
  saveCheckpoint(path, 'me', at!)
  const whole = readFileSync(path)
  const refused = (bytes: Uint8Array, says: RegExp): void => {
    writeFileSync(path, bytes)
    assert.throws(
      () => readCheckpoint(path, 'me'),
      (error: Error) => error instanceof UserError && says.test(error.message),
    )
  }

  test('comes back as it was', () => {
    writeFileSync(path, whole)
    assert.deepEqual(readCheckpoint(path, 'me'), at)
    assert.throws(() => readCheckpoint(path, 'you'), /belongs to another scenario/)
    assert.equal(readCheckpoint(join(folder, 'none'), 'me'), undefined)
  })
  test('is refused if a single byte of it is another one', () => {
    for (let i = 0; i < whole.length; i += Math.ceil(whole.length / 97)) {
      const damaged = Uint8Array.from(whole)
      damaged[i] = (damaged[i] as number) ^ 0x10
      refused(damaged, /^.*file: (this is no checkpoint|the checkpoint is)/)
    }
  })
  test('is refused if it is cut off, empty, longer, or a folder', () => {
    for (const length of [0, 10, 40, 200, whole.length - 1]) {
      refused(whole.subarray(0, length), /no checkpoint|cut off or damaged/)
    }
    refused(Buffer.concat([whole, Buffer.from('x')]), /cut off or damaged/)
    assert.throws(() => readCheckpoint(folder, 'me'), UserError)
  })
  test('that cannot be written leaves nothing behind', () => {
    const taken = join(folder, 'taken')
    mkdirSync(join(taken, 'inside'), { recursive: true })
    assert.throws(() => saveCheckpoint(taken, 'me', at!))
    assert.throws(() => saveCheckpoint(join(folder, 'no/such'), 'me', at!))
    assert.deepEqual(
      readdirSync(folder).filter((n) => n.endsWith('.new')),
      [],
    )
  })
})

describe('one check at a time', () => {
  const path = join(folder, 'claimed')
  const lock = `${path}.lock`

  test('works on a checkpoint', () => {
    const release = claim(path)
    assert.throws(() => claim(path), /another check works on it, process \d+/)
    release()
    assert.equal(existsSync(lock), false)
    claim(path)()
  })
  test('and one that was killed works on nothing', () => {
    for (const holder of ['', 'nonsense', '4194305 77', `${process.pid} 1`]) {
      writeFileSync(lock, holder)
      claim(path)()
    }
    assert.deepEqual(
      readdirSync(folder).filter((n) => n.startsWith('claimed')),
      [],
    )
  })
  test('where no file can be made there is nothing to claim', () => {
    claim(join(folder, 'no/such/folder'))()
  })
})
