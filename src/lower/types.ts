/** How a local is kept in a frame, decided by its type. */
import ts from 'typescript'

/** The classes of values that may live across a yield. */
export type Keep =
  | { readonly kind: 'num' | 'flag' | 'wide' | 'big' | 'ops' }
  | { readonly kind: 'ptr'; readonly struct: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'forbidden'; readonly type: string }

export function wordsOf(keep: Keep): number {
  if (keep.kind === 'none' || keep.kind === 'forbidden') return 0
  if (keep.kind === 'big') return 3
  return keep.kind === 'wide' ? 2 : 1
}

export function keepOf(type: ts.Type, checker: ts.TypeChecker): Keep {
  const { flags } = type
  if (flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined | ts.TypeFlags.Never)) return NONE
  if (flags & ts.TypeFlags.BooleanLike) return { kind: 'flag' }
  if (flags & ts.TypeFlags.BigIntLike) return { kind: 'big' }
  if (flags & ts.TypeFlags.NumberLike) return { kind: 'num' }
  if (flags & ts.TypeFlags.Null) return { kind: 'ptr', struct: 'Obj' }
  if (type.getProperty('__wide') !== undefined) return { kind: 'wide' }
  if (type.isUnion()) return keepOfUnion(type, checker)
  if (type.isIntersection()) {
    for (const part of type.types) if (part.flags & ts.TypeFlags.NumberLike) return { kind: 'num' }
  }
  if (/(Ops|Operations)$/.test(type.symbol?.name ?? '')) return { kind: 'ops' }
  if (type.symbol !== undefined && isHandle(type, checker)) {
    return { kind: 'ptr', struct: type.symbol.name }
  }
  return { kind: 'forbidden', type: checker.typeToString(type) }
}

/** A handle has its address as a number; an array's `at` is a function. */
function isHandle(type: ts.Type, checker: ts.TypeChecker): boolean {
  const at = type.getProperty('at')
  if (at === undefined) return false
  const { kind } = keepOf(checker.getTypeOfSymbol(at), checker)
  return kind === 'num'
}

const NONE: Keep = { kind: 'none' }

/** All members of a union must be kept in the same way; null and undefined join pointers. */
function keepOfUnion(type: ts.UnionType, checker: ts.TypeChecker): Keep {
  let found: Keep | undefined
  for (const part of type.types) {
    if (part.flags & (ts.TypeFlags.Null | ts.TypeFlags.Undefined)) continue
    const keep = keepOf(part, checker)
    if (found === undefined) found = keep
    else if (found.kind !== keep.kind || structOf(found) !== structOf(keep)) {
      return { kind: 'forbidden', type: checker.typeToString(type) }
    }
  }
  return found ?? NONE
}

function structOf(keep: Keep): string {
  return keep.kind === 'ptr' ? keep.struct : ''
}
