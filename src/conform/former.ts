/**
 * Transcripts of schema 1, which had short names of their own for most calls. They are read as if
 * they had been written today.
 */
import { GUEST_MEMORY, PROGRAM_CALLS } from '../calls/table.js'

type Written = readonly unknown[]

const PRESENT: ReadonlyMap<unknown, string> = new Map(
  [...PROGRAM_CALLS].flatMap(([name, { program }]) =>
    program?.was === undefined ? [] : [[program.was, name] as const],
  ),
)

/** The calls of a program, under the names and with the arguments that they have now. */
export function presentOps(ops: readonly Written[]): Written[] {
  const lengths: unknown[] = []
  return ops.map((op): Written => {
    const [name, ...args] = op
    if (name === 'mmap') lengths.push(args[3])
    if (name === 'vm') return ['kvm_create_vm', 0, ...args]
    // It always wrote this byte.
    if (name === 'write') return [name, ...args, 1]
    // It was slot 0, over all of a map.
    if (name === 'slot') {
      const [map] = args
      return ['kvm_set_user_memory_region', 0, 0, GUEST_MEMORY, lengths[Number(map)] ?? 0, map, 0]
    }
    return [PRESENT.get(name) ?? name, ...args]
  })
}
