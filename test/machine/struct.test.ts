import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { kfree, kmalloc, kzalloc, offStack, onStack } from '../../src/machine/alloc.js'
import { fingerprintLo } from '../../src/machine/arena.js'
import { asNullDereference, KernelFault } from '../../src/machine/fault.js'
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
  wide,
} from '../../src/machine/struct.js'

interface Inner extends Obj {
  value: number
}
const Inner: Struct<Inner> = struct<Inner>('TestInner', { value: num() })

interface Outer extends Obj {
  before: number
  offset: number
  bytes: bigint
  ready: boolean
  next: Outer | null
  inner: Inner
}
const Outer: Struct<Outer> = struct<Outer>('TestOuter', {
  before: num(),
  offset: wide(),
  bytes: i64(),
  ready: flag(),
  next: ptr('TestOuter'),
  inner: embed('TestInner'),
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
  const o = kzalloc(Outer)
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

test('a pointer to the same object is the same handle', () => {
  const a = kzalloc(Outer)
  const b = kzalloc(Outer)
  a.next = b
  assert.ok(a.next === b && a !== b)
})

test('a use of freed memory is found, for reading, writing and an embedded struct', () => {
  const o = kzalloc(Outer)
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
  const o = kzalloc(Outer)
  kfree(o)
  assert.notEqual(kzalloc(Outer), o)
})

test('kmalloc memory must be written before it is read; kzalloc memory is zero', () => {
  const o = kmalloc(Outer)
  assert.equal(
    faultOf(() => o.before),
    'uninitialised-memory',
  )
  o.before = 3
  assert.equal(o.before, 3)
  assert.equal(kzalloc(Outer).before, 0)
})

test('container_of leads to the outer struct, or to a wrong type that is found', () => {
  const o = kzalloc(Outer)
  assert.equal(containerOf(o.inner, Outer, 'inner'), o)
  const alone = kzalloc(Inner)
  const wrong = containerOf(alone, Outer, 'inner')
  assert.equal(
    faultOf(() => wrong.before),
    'type-confusion',
  )
})

test('NULL and ERR_PTR fault when they are followed', () => {
  const o = kzalloc(Outer)
  assert.equal(
    faultOf(() => o.next!.before),
    'null-dereference',
  )
  const error = errPtr(Outer, -22)
  assert.ok(isErr(error) && ptrErr(error) === -22)
  assert.equal(
    faultOf(() => error.before),
    'wild-pointer',
  )
})

test('what was on the stack leaves no trace, and is no object afterwards', () => {
  const before = fingerprintLo()
  const outer = onStack(Outer)
  outer.inner.value = 7
  assert.notEqual(fingerprintLo(), before)
  offStack(outer)
  assert.equal(fingerprintLo(), before)
  assert.throws(() => outer.before, KernelFault)
  assert.equal(onStack(Outer), outer)
})
