/**
 * Holes punched while the guest runs. The guest increments a byte and loads it again; a punch may
 * come before the increment, between the two or behind the load. Each has its own pair of values,
 * seen in that run and in the next, and every other pair is a byte that came back from the dead or
 * a store that went to a page nobody has.
 */

import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  KVM_MEM_GUEST_MEMFD,
} from '../kernel/include/uapi.js'
import { Guest } from './guest.js'
import { NR } from './numbers.js'
import type { Live } from './syscalls.js'

export interface Race {
  /** KVM_RUNs. */
  readonly runs: number
  readonly punches: number
  /** Punches that a guest under way saw: before the increment, between it and the load. */
  readonly before: number
  readonly between: number
  /** Values that cannot be, in the order in which they were seen, at most a few. */
  readonly impossible: readonly string[]
}

const GPA = 0x10000n
const SIZE = 0x4000n

/** Runs without a punch before each race, so that a restart shows. */
const COUNTED = 3

/** How many rounds of waiting a punch comes later than the one before; then it begins anew. */
const DELAYS = 60

/** Impossible values that are reported. */
const REPORTED = 5

export async function racePunches(live: Live, ms: number): Promise<Race> {
  const { libc, kvm, memory } = live
  const vm = kvm.createVm()
  const fd = kvm.createGuestMemfd(vm, SIZE, 3n)
  const where = { slot: 0, flags: KVM_MEM_GUEST_MEMFD, gpa: GPA, size: SIZE, fd, offset: 0n }
  const bound = kvm.setUserMemoryRegion2(vm, { ...where, userAddress: kvm.noMemory })
  if (vm < 0 || fd < 0 || bound < 0) throw new Error(`no guest: ${vm} ${fd} ${bound}`)
  const guest = new Guest(kvm, memory, vm)
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
  try {
    return await rounds(guest, () => libc.call(NR.fallocate, fd, mode, 0, SIZE), ms)
  } finally {
    libc.call(NR.munmap, ...guest.map)
    for (const file of [...guest.files, fd, vm]) libc.call(NR.close, file)
  }
}

async function rounds(guest: Guest, punch: () => number, ms: number): Promise<Race> {
  const end = performance.now() + ms
  const seen = { runs: 0, punches: 0, before: 0, between: 0 }
  const impossible: string[] = []
  const expect = (what: string, got: unknown, wanted: readonly number[]): void => {
    const fits = wanted.some((w) => w === got)
    if (!fits && impossible.length < REPORTED) impossible.push(`${what}: ${got}, not ${wanted}`)
  }
  for (let i = 0; performance.now() < end; i++) {
    punch()
    for (let n = 1; n <= COUNTED; n++) expect('after a punch', guest.run(GPA), [n])
    guest.begin(GPA)
    const running = guest.enterLater()
    for (let wait = 0; wait < (i % DELAYS) * 200; wait++) Math.sqrt(wait)
    punch()
    const first = guest.end(await running)
    const second = guest.run(GPA)
    expect('during a punch', first, [COUNTED + 1, 1, 0])
    expect(`after ${first}`, second, [first === 1 ? 2 : 1])
    if (first === 1) seen.before++
    if (first === 0) seen.between++
    seen.runs += COUNTED + 2
    seen.punches += 2
  }
  return { ...seen, impossible }
}
