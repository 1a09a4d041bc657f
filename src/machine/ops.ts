/**
 * Tables of functions that a word of the arena can point to, as Linux's constant ops structs. They
 * are numbered in the order of names and places, when a machine boots.
 */
import { mem, pokeFrame } from './arena.js'
import { inOrder } from './order.js'

/** Every table of functions has a name, as its variable has in C, where two files may share one. */
export interface NamedTable {
  readonly name: string
}

interface Written {
  readonly table: NamedTable
  /** File and offset of its first character. */
  readonly place: string
}

const opsTables: NamedTable[] = []
const newTables: Written[] = []

/**
 * Register a constant table of functions, so that a word of the arena can point to it. The second
 * argument is put there by the lowering.
 */
export function opsTable<T extends NamedTable>(table: T, place = ''): T {
  newTables.push({ table, place })
  return table
}

/** Number the tables that have been registered since the last call. */
export function placeOpsTables(): void {
  for (const { table } of newTables) mustBeWhole(table)
  const ordered = inOrder(newTables.splice(0), ({ table, place }) => `${table.name} ${place}`)
  opsTables.push(...ordered.map(({ table }) => table))
}

/** Modules that import each other in a circle begin in some order: a function may come too late. */
function mustBeWhole(table: NamedTable): void {
  const late = Object.entries(table).find(([, value]) => value === undefined)
  if (late !== undefined) throw new Error(`${table.name} was made before its ${late[0]}`)
}

/** All ops tables, once a machine has booted; the number of one in the arena is its place + 1. */
export function allOpsTables(): readonly object[] {
  return opsTables
}

/** Number of an ops table in the arena; 0 is NULL. */
export function opsNumber(table: object | null): number {
  if (table === null) return 0
  const i = opsTables.indexOf(table as NamedTable)
  if (i < 0) throw new Error('an ops table was stored that opsTable() has not registered')
  return i + 1
}

/** The ops table with a number; null for 0. */
export function opsNumbered(n: number): object | null {
  return n === 0 ? null : (opsTables[n - 1] as object)
}

/** Write a pointer to an ops table into a word of a frame. */
export function saveOps(at: number, table: object | null): void {
  pokeFrame(at, opsNumber(table))
}

/** The ops table that a word of a frame points to. */
export function opsAt(at: number): object | null {
  return opsNumbered(mem[at] as number)
}
