import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { kfree, kmalloc, kzalloc, offStack, onStack } from '../../src/machine/alloc.js'
import { fingerprintLo } from '../../src/machine/arena.js'
import { asNullDereference, KernelFault, LimitError } from '../../src/machine/fault.js'
import { boot } from '../../src/machine/machine.js'
import {
  containerOf,
  embed,
  errPtr,
  flag,
  i64,
  isErr,
  num,
  type Obj,
  ptr,
  ptrErr,
  type Struct,
  struct,
  type Vec,
  vec,
  wide,
} from '../../src/machine/struct.js'

interface TestInner extends Obj {
  value: number
}
const TestInner: Struct<TestInner> = struct<TestInner>('TestInner', { value: num() })

interface TestOuter extends Obj {
  before: number
  offset: number
  bytes: bigint
  ready: boolean
  next: TestOuter | null
  inner: TestInner
  list: Vec
}
const TestOuter: Struct<TestOuter> = struct<TestOuter>('TestOuter', {
  before: num(),
  offset: wide(),
  bytes: i64(),
  ready: flag(),
  next: ptr('TestOuter'),
  inner: embed('TestInner'),
  list: vec(2),
})

beforeEach(() => boot('direct', () => {}))

const faultOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    return error instanceof KernelFault ? error.id : (asNullDereference(error)?.id ?? 'other')
  }
  return 'none'
}

test('fields keep what they are given, up to their width', () => {
  const o = kzalloc(TestOuter)
  o.offset = 2 ** 52
  o.bytes = -1n
  o.ready = true
  o.next = o
  assert.equal(o.offset, 2 ** 52)
  assert.equal(o.bytes, -1n)
  assert.equal(o.ready, true)
  assert.equal(o.next, o)
  o.bytes = 2n ** 63n - 1n
  assert.equal(o.bytes, 2n ** 63n - 1n)
})

/** Set a field to a value: what it has then, or 'refused'. */
function kept(set: () => void, get: () => unknown): unknown {
  try {
    set()
  } catch (error) {
    if (error instanceof LimitError) return 'refused'
    throw error
  }
  return get()
}

test('a field of any width gives back what it was given, or refuses it', () => {
  const o = kzalloc(TestOuter)
  for (const bits of [0n, 31n, 32n, 52n, 53n, 62n, 63n, 64n]) {
    for (const sign of [1n, -1n]) {
      for (const beside of [-1n, 0n, 1n]) {
        const big = sign * 2n ** bits + beside
        const n = Number(big)
        const inNum = BigInt.asIntN(32, big) === big && n !== -0x80000000
        assert.equal(
          kept(
            () => (o.before = n),
            () => o.before,
          ),
          inNum ? n : 'refused',
        )
        assert.equal(
          kept(
            () => o.list.set(0, n),
            () => o.list.get(0),
          ),
          BigInt.asIntN(32, big) === big ? n : 'refused',
        )
        assert.equal(
          kept(
            () => (o.offset = n),
            () => o.offset,
          ),
          n >= 0 && Number.isSafeInteger(n) ? n : 'refused',
        )
        const inBytes = BigInt.asIntN(64, big) === big && big >> 32n !== -0x80000000n
        assert.equal(
          kept(
            () => (o.bytes = big),
            () => o.bytes,
          ),
          inBytes ? big : 'refused',
        )
      }
    }
  }
})

test('a pointer to the same object is the same handle', () => {
  const a = kzalloc(TestOuter)
  const b = kzalloc(TestOuter)
  a.next = b
  assert.ok(a.next === b && a !== b)
})

test('a use of freed memory is found, for reading, writing and an embedded struct', () => {
  const o = kzalloc(TestOuter)
  const { inner } = o
  kfree(o)
  assert.equal(
    faultOf(() => o.before),
    'use-after-free',
  )
  assert.equal(
    faultOf(() => (o.before = 1)),
    'use-after-free',
  )
  assert.equal(
    faultOf(() => inner.value),
    'use-after-free',
  )
  assert.equal(
    faultOf(() => kfree(o)),
    'double-free',
  )
})

test('a freed object is not handed out again at once', () => {
  const o = kzalloc(TestOuter)
  kfree(o)
  assert.notEqual(kzalloc(TestOuter), o)
})

test('kmalloc memory must be written before it is read; kzalloc memory is zero', () => {
  const o = kmalloc(TestOuter)
  assert.equal(
    faultOf(() => o.before),
    'uninitialised-memory',
  )
  o.before = 3
  assert.equal(o.before, 3)
  assert.equal(kzalloc(TestOuter).before, 0)
})

test('container_of leads to the outer struct, or to a wrong type that is found', () => {
  const o = kzalloc(TestOuter)
  assert.equal(containerOf(o.inner, TestOuter, 'inner'), o)
  const alone = kzalloc(TestInner)
  const wrong = containerOf(alone, TestOuter, 'inner')
  assert.equal(
    faultOf(() => wrong.before),
    'type-confusion',
  )
})

test('NULL and ERR_PTR fault when they are followed', () => {
  const o = kzalloc(TestOuter)
  assert.equal(
    faultOf(() => o.next!.before),
    'null-dereference',
  )
  const error = errPtr(TestOuter, -22)
  assert.ok(isErr(error) && ptrErr(error) === -22)
  assert.equal(
    faultOf(() => error.before),
    'wild-pointer',
  )
})

test('what was on the stack leaves no trace, and is no object afterwards', () => {
  const before = fingerprintLo()
  const outer = onStack(TestOuter)
  outer.inner.value = 7
  assert.notEqual(fingerprintLo(), before)
  offStack(outer)
  assert.equal(fingerprintLo(), before)
  assert.throws(() => outer.before, KernelFault)
  assert.equal(onStack(TestOuter), outer)
})

test('a NULL dereference reads the same on every engine', () => {
  const said = [
    "Cannot read properties of null (reading 'pfn')",
    "Cannot set properties of null (setting 'pfn')",
    'can\'t access property "pfn", folio is null',
    "null is not an object (evaluating 'spte.folio.pfn')",
    "null is not an object (evaluating 'folio.pfn = 1')",
  ]
  for (const text of said) {
    const fault = asNullDereference(new TypeError(text))
    assert.equal(fault?.message, 'NULL pointer dereference, field pfn', text)
  }
  for (const text of ['folio is null', 'Cannot read properties of null', 'null is not an object']) {
    assert.equal(asNullDereference(new TypeError(text))?.id, 'null-dereference', text)
  }
  for (const text of [
    "Cannot read properties of undefined (reading 'pfn')",
    'folio is undefined',
    "undefined is not an object (evaluating 'folio.pfn')",
    'nullify is not a function',
  ]) {
    assert.equal(asNullDereference(new TypeError(text)), undefined, text)
  }
})
