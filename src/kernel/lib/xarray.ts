/**
 * The XArray: a tree of 64-slot nodes. An entry may cover an aligned power of two of indices, or
 * a run of slots in one node: its canonical slot holds the entry, the others are siblings that
 * point back to it. Whoever touches an index inside such an entry touches all of it, and that is
 * the source of every surprise with ranges.
 *
 * These functions run to completion; callers announce the array (`yield read(xa, 'xaHead')`) and
 * hold its lock, or are the one step that stands for the locked section. Nodes are freed at once:
 * a lookup is one step, so nobody is inside the tree when that happens.
 */
import { GFP_ATOMIC, type Gfp, kfree, kzalloc, mightAlloc } from '../../machine/alloc.js'
import { handleAt, type Obj } from '../../machine/struct.js'
import {
  XA_CHUNK_SHIFT,
  XA_CHUNK_SIZE,
  XA_MAX_MARKS,
  type XArray,
  type XaIndex,
  XaNode,
} from '../include/xarray.js'

const CHUNK_MASK = XA_CHUNK_SIZE - 1

/** Internal entries. Siblings are -1 - offset of the canonical slot. */
const SIBLING = -1
const ZERO_ENTRY = -100
const VALUE = -1000

/** A stored entry: 0 for NULL, an address, a value or the zero entry. */
export type Entry = number

function isNode(entry: Entry): boolean {
  return entry >= XaNode.base && entry < XaNode.base + XaNode.capacity * XaNode.words
}

function isSibling(entry: Entry): boolean {
  return entry <= SIBLING && entry > SIBLING - XA_CHUNK_SIZE
}

function nodeAt(entry: Entry): XaNode {
  return XaNode.at(entry) as XaNode
}

/** The entry that an object, or NULL, is stored as. */
export function xaEntryOf(object: Obj | null): Entry {
  return object === null ? 0 : object.at
}

/** xa_mk_value(): a small number (0 to 2^30) as an entry. */
export function xaMkValue(value: number): Entry {
  return VALUE - value
}

export function xaIsValue(entry: Entry): boolean {
  return entry <= VALUE
}

export function xaToValue(entry: Entry): number {
  return VALUE - entry
}

export function xaInit(xa: XArray): void {
  xa.xaHead = 0
  xa.xaFlags = 0
}

/** xa_empty(): a reserved index counts as used. */
export function xaEmpty(xa: XArray): boolean {
  return xa.xaHead === 0
}

/** 2^n; most trees are so low that a shift will do, which is faster. */
function powerOfTwo(n: number): number {
  return n < 31 ? 1 << n : 2 ** n
}

/** Indices below a node. */
function span(node: XaNode): number {
  return powerOfTwo(node.shift + XA_CHUNK_SHIFT)
}

function offsetIn(index: number, node: XaNode): number {
  return Math.floor(index / powerOfTwo(node.shift)) & CHUNK_MASK
}

/** Where an index lies: the node (null for the head), its canonical slot, and what is there. */
interface Place {
  node: XaNode | null
  offset: number
  entry: Entry
  /** The index is behind everything that the tree can hold. */
  outside: boolean
}

/** Follow siblings to the canonical slot. */
function descend(node: XaNode, index: number): { offset: number; entry: Entry } {
  let offset = offsetIn(index, node)
  let entry = node.slots.get(offset)
  while (isSibling(entry)) {
    offset = SIBLING - entry
    entry = node.slots.get(offset)
  }
  return { offset, entry }
}

/** Walk to an index, not below `shift`. */
function walk(xa: XArray, index: number, shift: number): Place {
  let entry = xa.xaHead
  if (!isNode(entry))
    return { node: null, offset: 0, entry: index > 0 ? 0 : entry, outside: index > 0 }
  if (index >= span(nodeAt(entry))) return { node: null, offset: 0, entry: 0, outside: true }
  let node: XaNode | null = null
  let offset = 0
  while (isNode(entry)) {
    const below = nodeAt(entry)
    if (shift > below.shift) break
    node = below
    const place = descend(below, index)
    offset = place.offset
    entry = place.entry
    if (below.shift === 0) break
  }
  return { node, offset, entry, outside: false }
}

function visible(entry: Entry): Entry {
  return entry === ZERO_ENTRY || isNode(entry) ? 0 : entry
}

/** xa_load(), as an entry. */
export function xaLoadEntry(xa: XArray, index: number): Entry {
  return visible(walk(xa, index, 0).entry)
}

/** xa_load(): the object at an index, or NULL. Not for arrays of values. */
export function xaLoad(xa: XArray, index: number): Obj | null {
  return handleAt(xaLoadEntry(xa, index))
}

/** The order of the entry that covers an index; 0 if there is none. */
export function xaGetOrder(xa: XArray, index: number): number {
  const { node, offset, entry } = walk(xa, index, 0)
  if (node === null || visible(entry) === 0) return 0
  let slots = 1
  while (offset + slots < XA_CHUNK_SIZE && node.slots.get(offset + slots) === SIBLING - offset)
    slots++
  return node.shift + Math.floor(Math.log2(slots))
}

// Growing and shrinking

function newNode(xa: XArray, parent: XaNode | null, shift: number, offset: number): XaNode {
  const node = kzalloc(XaNode, GFP_ATOMIC)
  node.array = xa
  node.parent = parent
  node.shift = shift
  node.offset = offset
  return node
}

/** xas_expand(): put nodes on top until the tree can hold `max`. */
function expand(xa: XArray, max: number, minShift: number): void {
  if (xa.xaHead === 0) return
  if (!isNode(xa.xaHead)) {
    if (max === 0 && minShift === 0) return
    const node = newNode(xa, null, 0, 0)
    node.slots.set(0, xa.xaHead)
    node.count = 1
    for (let m = 0; m < XA_MAX_MARKS; m++) if (xa.xaFlags & (1 << m)) setBit(node, m, 0, true)
    xa.xaFlags = 0
    xa.xaHead = node.at
  }
  for (
    let top = nodeAt(xa.xaHead);
    max >= span(top) || top.shift < minShift;
    top = nodeAt(xa.xaHead)
  ) {
    const node = newNode(xa, null, top.shift + XA_CHUNK_SHIFT, 0)
    node.slots.set(0, top.at)
    node.count = 1
    top.parent = node
    xa.xaHead = node.at
  }
}

/**
 * xas_create(): the slot for an index at `shift`, or the larger entry that covers it, in a tree
 * that can hold `max`.
 */
function create(xa: XArray, index: number, shift: number, max: number): Place {
  if (xa.xaHead === 0) {
    if (max === 0) return { node: null, offset: 0, entry: 0, outside: false }
    let top = shift
    while (max >= 2 ** (top + XA_CHUNK_SHIFT)) top += XA_CHUNK_SHIFT
    xa.xaHead = newNode(xa, null, top, 0).at
  } else {
    expand(xa, max, shift)
  }
  if (!isNode(xa.xaHead)) return { node: null, offset: 0, entry: xa.xaHead, outside: false }
  let node = nodeAt(xa.xaHead)
  for (;;) {
    const { offset, entry } = descend(node, index)
    if (node.shift <= shift || (entry !== 0 && !isNode(entry))) {
      return { node, offset, entry, outside: false }
    }
    if (entry === 0) {
      const below = newNode(xa, node, node.shift - XA_CHUNK_SHIFT, offset)
      node.slots.set(offset, below.at)
      node.count++
      node = below
    } else {
      node = nodeAt(entry)
    }
  }
}

/** Would xa_store() at an index have to allocate a node first? The head alone holds index 0. */
export function xaLacksNode(xa: XArray, index: number): boolean {
  if (!isNode(xa.xaHead)) return index > 0
  const { node, entry, outside } = walk(xa, index, 0)
  return outside || node === null || (node.shift > 0 && entry === 0)
}

function freeNodes(top: XaNode): void {
  for (let i = 0; i < XA_CHUNK_SIZE; i++) {
    const entry = top.slots.get(i)
    if (isNode(entry)) freeNodes(nodeAt(entry))
  }
  kfree(top)
}

/** xas_delete_node() and xas_shrink(): drop empty nodes, and levels that are not needed. */
function prune(xa: XArray, from: XaNode): void {
  let node: XaNode | null = from
  while (node !== null && node.count === 0) {
    const parent: XaNode | null = node.parent
    const { offset } = node
    kfree(node)
    if (parent === null) {
      xa.xaHead = 0
      return
    }
    parent.slots.set(offset, 0)
    clearBits(parent, offset)
    parent.count--
    node = parent
  }
  if (node !== null && node.parent === null) shrink(xa, node)
}

function shrink(xa: XArray, head: XaNode): void {
  let node = head
  for (;;) {
    const entry = node.slots.get(0)
    if (node.count !== 1 || entry === 0) return
    if (!isNode(entry) && node.shift > 0) return
    xa.xaHead = entry
    if (!isNode(entry)) {
      for (let m = 0; m < XA_MAX_MARKS; m++) if (getBit(node, m, 0)) xa.xaFlags |= 1 << m
    }
    kfree(node)
    if (!isNode(entry)) return
    node = nodeAt(entry)
    node.parent = null
  }
}

// Storing

/** xas_store(): put `entry` at an index, over `siblings` + 1 slots of size 2^shift. */
function storeAt(xa: XArray, index: number, shift: number, siblings: number, entry: Entry): Entry {
  const max = index + (siblings + 1) * 2 ** shift - 1
  const place = entry === 0 ? walk(xa, index, shift) : create(xa, index, shift, max)
  if (place.outside) return 0
  const { node } = place
  if (node === null) {
    if (isNode(xa.xaHead)) {
      // A NULL store of more than the whole tree.
      freeNodes(nodeAt(xa.xaHead))
      xa.xaHead = 0
      return 0
    }
    const old = xa.xaHead
    xa.xaHead = entry
    if (entry === 0) xa.xaFlags = 0
    return old
  }
  const run = shift < node.shift ? 0 : siblings
  if (place.entry === entry && run === 0) return place.entry
  if (entry !== 0) squashMarks(node, place.offset, place.offset + run)
  writeRun(node, place.offset, place.offset + run, entry)
  if (node.count === 0 || entry === 0) prune(xa, node)
  return isNode(place.entry) ? 0 : place.entry
}

/** xas_squash_marks(): what replaces a run of slots has every mark that one of them had. */
function squashMarks(node: XaNode, first: number, max: number): void {
  for (let m = 0; m < XA_MAX_MARKS; m++) {
    let any = false
    for (let offset = first; offset <= max; offset++) {
      const entry = node.slots.get(offset)
      any ||= getBit(node, m, offset) || (isNode(entry) && anyMark(nodeAt(entry), m))
      setBit(node, m, offset, false)
    }
    setBit(node, m, first, any)
  }
}

/** Has anything in the tree below a node this mark? */
function anyMark(node: XaNode, mark: number): boolean {
  for (let offset = 0; offset < XA_CHUNK_SIZE; offset++) {
    const entry = node.slots.get(offset)
    if (getBit(node, mark, offset) || (isNode(entry) && anyMark(nodeAt(entry), mark))) return true
  }
  return false
}

/**
 * Write the canonical slot and the siblings up to `max`. A NULL goes on over the siblings of what
 * it replaces; an entry leaves those behind it, which then are its own.
 */
function writeRun(node: XaNode, first: number, max: number, entry: Entry): void {
  for (let offset = first; offset < XA_CHUNK_SIZE; offset++) {
    const old = node.slots.get(offset)
    if (offset > max && (entry !== 0 || !isSibling(old))) return
    if (isNode(old)) freeNodes(nodeAt(old))
    node.slots.set(offset, offset === first || entry === 0 ? entry : SIBLING - first)
    node.count += (entry === 0 ? 0 : 1) - (old === 0 ? 0 : 1)
    if (entry === 0) clearBits(node, offset)
  }
}

/**
 * xa_store(): returns the old entry. With GFP_ATOMIC it stands for xas_store() under the array's
 * lock, where nodes are there already.
 */
export function xaStoreEntry(xa: XArray, index: number, entry: Entry, gfp?: Gfp): Entry {
  if (entry !== 0) mightAlloc('xa_store', gfp)
  const old = storeAt(xa, index, 0, 0, entry)
  return old === ZERO_ENTRY ? 0 : old
}

/** xa_store() of an object; NULL erases. Returns what was there. */
export function xaStore(xa: XArray, index: number, object: Obj | null, gfp?: Gfp): Obj | null {
  return handleAt(Math.max(0, xaStoreEntry(xa, index, xaEntryOf(object), gfp)))
}

/** xa_erase(): takes away the whole entry that covers an index. */
export function xaErase(xa: XArray, index: number): Obj | null {
  return xaStore(xa, index, null)
}

/** Store an aligned entry of 2^order indices. */
export function xaStoreOrder(xa: XArray, index: number, order: number, object: Obj | null): void {
  const shift = order - (order % XA_CHUNK_SHIFT)
  const slots = 2 ** (order % XA_CHUNK_SHIFT)
  const aligned = index - (index % 2 ** order)
  storeAt(xa, aligned, shift, slots - 1, xaEntryOf(object))
}

/** xas_set_range(): the largest piece of [first, last] that one run of slots can hold. */
function pieceOf(first: number, last: number): { shift: number; siblings: number } {
  let shift = 0
  let siblings = last - first
  let start = first
  let seen = CHUNK_MASK
  while (start % XA_CHUNK_SIZE === 0 && siblings >= CHUNK_MASK) {
    if (siblings === CHUNK_MASK && seen < CHUNK_MASK) break
    shift += XA_CHUNK_SHIFT
    if (seen === CHUNK_MASK) seen = siblings % XA_CHUNK_SIZE
    siblings = Math.floor(siblings / XA_CHUNK_SIZE)
    start = Math.floor(start / XA_CHUNK_SIZE)
  }
  const offset = start % XA_CHUNK_SIZE
  if (offset + siblings > CHUNK_MASK) siblings = CHUNK_MASK - offset
  if ((start + siblings + 1) * 2 ** shift - 1 > last) siblings -= 1
  return { shift, siblings }
}

/**
 * xa_store_range(): store over [first, last], both inclusive. The range becomes as many entries
 * as there are pieces; a piece that touches an entry already there replaces all of that one, and
 * only that one.
 */
export function xaStoreRange(xa: XArray, first: number, last: number, object: Obj | null): void {
  mightAlloc('xa_store_range')
  const entry = xaEntryOf(object)
  for (let at = first; at <= last; ) {
    const { shift, siblings } = pieceOf(at, last)
    storeAt(xa, at, shift, siblings, entry)
    at += (siblings + 1) * 2 ** shift
  }
}

/** xa_destroy(): drops the nodes; what the entries point to stays. */
export function xaDestroy(xa: XArray): void {
  if (isNode(xa.xaHead)) freeNodes(nodeAt(xa.xaHead))
  xa.xaHead = 0
  xa.xaFlags = 0
}

/** xa_reserve(): an empty index becomes used but still reads as NULL. */
export function xaReserve(xa: XArray, index: number): void {
  mightAlloc('xa_reserve')
  if (walk(xa, index, 0).entry === 0) xaStoreEntry(xa, index, ZERO_ENTRY)
}

/** xa_release(): undo a reservation that was not used. */
export function xaRelease(xa: XArray, index: number): void {
  if (walk(xa, index, 0).entry === ZERO_ENTRY) xaStoreEntry(xa, index, 0)
}

// Finding

/** First index behind what lies at `index`: an entry's run, or an empty part of the tree. */
function endOf(xa: XArray, index: number): number {
  const { node, offset, entry, outside } = walk(xa, index, 0)
  if (outside) return Number.POSITIVE_INFINITY
  if (node === null) return 1
  const size = 2 ** node.shift
  const start = index - (index % span(node))
  if (entry === 0) return start + (offset + 1) * size
  let last = offset
  while (last < CHUNK_MASK && node.slots.get(last + 1) === SIBLING - offset) last++
  return start + (last + 1) * size
}

/**
 * xa_find(): the first index from `start` to `max` (inclusive) that has an entry, or -1. Inside a
 * multi-index entry it is `start` itself.
 */
export function xaFindIndex(xa: XArray, start: number, max: number): XaIndex {
  let index = start
  while (index <= max) {
    if (xaLoadEntry(xa, index) !== 0) return index as XaIndex
    index = endOf(xa, index)
  }
  return -1 as XaIndex
}

/** xa_find_after(): the same behind the run that covers `start`. */
export function xaFindAfterIndex(xa: XArray, start: number, max: number): XaIndex {
  return xaFindIndex(xa, endOf(xa, start), max)
}

// Marks

function setBit(node: XaNode, mark: number, offset: number, value: boolean): void {
  const word = mark * 2 + (offset >> 5)
  const bit = 1 << (offset & 31)
  const old = node.marks.get(word)
  node.marks.set(word, value ? old | bit : old & ~bit)
}

function getBit(node: XaNode, mark: number, offset: number): boolean {
  return (node.marks.get(mark * 2 + (offset >> 5)) & (1 << (offset & 31))) !== 0
}

function clearBits(node: XaNode, offset: number): void {
  for (let m = 0; m < XA_MAX_MARKS; m++) setBit(node, m, offset, false)
}

function putMark(xa: XArray, index: number, mark: number, value: boolean): void {
  const { node, offset, entry } = walk(xa, index, 0)
  if (visible(entry) === 0) return
  if (node !== null) setBit(node, mark, offset, value)
  else xa.xaFlags = value ? xa.xaFlags | (1 << mark) : xa.xaFlags & ~(1 << mark)
}

/** xa_set_mark(): does nothing on an empty index. */
export function xaSetMark(xa: XArray, index: number, mark: number): void {
  putMark(xa, index, mark, true)
}

export function xaClearMark(xa: XArray, index: number, mark: number): void {
  putMark(xa, index, mark, false)
}

export function xaGetMark(xa: XArray, index: number, mark: number): boolean {
  const { node, offset, entry } = walk(xa, index, 0)
  if (visible(entry) === 0) return false
  return node === null ? (xa.xaFlags & (1 << mark)) !== 0 : getBit(node, mark, offset)
}
