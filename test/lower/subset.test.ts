/** What kernel code may not contain: each form is refused with its line and the reason. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { lowerDesignFile } from '../../src/lower/host.js'

let dir: string
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'restrictedmem-subset-'))
})
after(() => rmSync(dir, { recursive: true }))

const HEAD = `import { defineDesign } from 'restrictedmem/designs/design.js'
import { upm } from 'restrictedmem/designs/upm.js'
import type { File } from 'restrictedmem/kernel/include/fs.js'
import { fget, fput } from 'restrictedmem/kernel/fs/file_table.js'
import { mmState } from 'restrictedmem/kernel/include/mm.js'
import { read } from 'restrictedmem/machine/effects.js'
import { fn, type Kernel } from 'restrictedmem/machine/fn.js'
import { mutexLock, mutexUnlock } from 'restrictedmem/machine/locks.js'
export const design = defineDesign({ id: 'x', summary: 's', base: upm, cite: [], replaces: [] })
export const unused = [fget, fput, mmState, read, mutexLock, mutexUnlock] as unknown as File[]
`
const FIRST = HEAD.split('\n').length + 1

/** The problems of a kernel function with this body, as `line in the body: message`. */
function problems(body: string, parameters = 'fd: number'): string[] {
  const path = join(dir, 'subset.ts')
  writeFileSync(
    path,
    `${HEAD}export const f = fn(function* f(${parameters}): Kernel<number> {\n${body}\n})\n`,
  )
  return lowerDesignFile(path).problems.map((p) => `${p.line - FIRST + 1}: ${p.message}`)
}

const LOCK = 'yield* mutexLock(mmState().mfMutex)'

const REFUSED: readonly (readonly [what: string, body: string, expected: RegExp])[] = [
  ['try across a yield', `try {\n${LOCK}\n} finally {}\nreturn 0`, /^1: a TryStatement/],
  ['for…of across a yield', `for (const x of [fd]) {\n${LOCK}\n}\nreturn 0`, /^1: a ForOf/],
  ['a nested function', `function inner() {}\n${LOCK}\nreturn 0`, /^1: functions and classes/],
  ['destructuring', `const { mfMutex } = mmState()\n${LOCK}\nreturn 0`, /^1: destructuring/],
  ['an array across a yield', `const a = [fd]\n${LOCK}\nreturn a.length`, /^1: a is a number\[\]/],
  [
    'a function across a yield',
    `const g = (): number => 1\n${LOCK}\nreturn g()`,
    /^1: g is a .* and would live across a yield/,
  ],
  ['a text across a yield', `const s = 'a'\n${LOCK}\nreturn s.length`, /^1: s is a/],
  ['this', `${LOCK}\nreturn this === undefined ? 0 : 1`, /^2: there is no this/],
  ['a forgotten yield*', `mutexLock(mmState().mfMutex)\nreturn 0`, /^1: a kernel function is/],
  [
    'a forgotten yield',
    `read(mmState(), 'numPoisoned')\n${LOCK}\nreturn 0`,
    /^1: an access is announced by yield/,
  ],
  [
    'a forgotten yield* in an argument',
    `${LOCK}\nreturn Number(fget(fd))`,
    /^2: a kernel function is called with yield\*/,
  ],
  [
    'a generator that fn() has not made',
    `const inner = function* (): Kernel<number> {\n${LOCK}\nreturn 1\n}\nreturn yield* inner()`,
    /^5: a kernel function is made by fn\(\)/,
  ],
  ['a clock', `${LOCK}\nreturn Date.now()`, /^2: Date is not the same in every execution/],
  ['randomness', `${LOCK}\nreturn Math.random()`, /^2: Math.random is not the same/],
  ['a way out', `${LOCK}\nreturn Object.keys(globalThis).length`, /^2: globalThis is not the same/],
  ['an end of the process', `${LOCK}\nprocess.exit(0)`, /^2: Cannot find name 'process'/],
  [
    'a yield of nothing',
    `yield\nreturn 0`,
    /^1: (?:a yield must announce something|Type 'undefined')/,
  ],
  ['a number that announces nothing', `yield 5\nreturn 0`, /^1: Type 'number' is not assignable/],
  [
    'a yield in an object',
    `const o = { a: yield* fget(fd) }\nreturn o.a === null ? 0 : 1`,
    /^1: a yield cannot stand inside this ObjectLiteral/,
  ],
]

describe('outside the subset', () => {
  for (const [what, body, expected] of REFUSED) {
    test(what, () => {
      const found = problems(body)
      assert.ok(
        found.some((p) => expected.test(p)),
        `${expected} not in\n${found.join('\n') || 'no problem at all'}`,
      )
    })
  }

  test('parameters with defaults, rest parameters and patterns', () => {
    for (const p of ['fd = 0', '...fds: number[]', '{ fd }: { fd: number }']) {
      assert.match(problems(`${LOCK}\nreturn 0`, p).join('\n'), /a parameter must be a plain name/)
    }
  })

  test('a kernel function without a name', () => {
    writeFileSync(
      join(dir, 'unnamed.ts'),
      `${HEAD}export const f = fn(function* (): Kernel<number> {\nreturn 0\n})\n`,
    )
    const [problem] = lowerDesignFile(join(dir, 'unnamed.ts')).problems
    assert.match(problem?.message ?? '', /^a kernel function has a name/)
  })

  test('a pointer that is called otherwise than it is typed', () => {
    const text = `import type { Inode } from 'restrictedmem/kernel/include/fs.js'
import { embed, num, type Obj, ptr, ptrs, type PtrVec, struct } from 'restrictedmem/machine/struct.js'
interface Wrong extends Obj { a: Inode | null; b: PtrVec<Inode>; c: Inode | null; d: number }
export const Wrong = struct<Wrong>('Wrong', {
  a: ptr('Inodee'),
  b: ptrs('File', 2),
  c: ptr('Inode'),
  d: num(),
})
`
    writeFileSync(join(dir, 'pointers.ts'), text)
    const found = lowerDesignFile(join(dir, 'pointers.ts')).problems
    assert.deepEqual(
      found.map((p) => `${p.line}: ${p.message}`),
      ['5: the field is a Inode, not a Inodee', '6: the field is a Inode, not a File'],
    )
  })

  test('a type error is told like any other compiler does', () => {
    assert.match(problems(`const n: string = fd\n${LOCK}\nreturn 0`).join('\n'), /^1: .*not assign/)
  })
})

test('inside the subset: arrays and objects may live between two yields', () => {
  assert.deepEqual(
    problems(`const file = yield* fget(fd)
const list = [1, 2, 3].map((x) => x * 2)
const n = list.length
${LOCK}
mutexUnlock(mmState().mfMutex)
if (file !== null) yield* fput(file)
return n`),
    [],
  )
})
