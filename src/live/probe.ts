/** What this host offers: asked of the kernel itself, without changing anything. */
import { readFileSync } from 'node:fs'
import { arch, release } from 'node:os'
import { FAMILIES, type Family } from '../conform/generate.js'
import { GUEST_BEGINS } from '../conform/generate-guest.js'
import type { Op } from '../conform/program.js'
import { GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP } from '../kernel/include/uapi.js'
import { DECOY, decoyMemory } from './guest.js'
import type { Libc } from './libc.js'
import { KVM_CAPS, type KvmCap, NR, RLIMIT_NOFILE } from './numbers.js'
import { runLive } from './run.js'
import type { Live } from './syscalls.js'

export interface Capabilities {
  readonly release: string
  readonly arch: string
  readonly root: boolean
  /** Errno of opening /dev/kvm, 0 if it could be opened. */
  readonly kvmError: number
  /** What KVM_CHECK_EXTENSION says. */
  readonly kvm: Readonly<Partial<Record<KvmCap, number>>>
  readonly secretmem: boolean
  /** Whether any swap is in use; pages may then leave memory. */
  readonly swap: boolean
  /** Whether /proc tells which frame a page is in, and of the frame's flags. */
  readonly frames: boolean
  /** Why no guest can be asked, or empty. */
  readonly guest: string
  /** Descriptors that a process may open. */
  readonly files: number
}

/** Descriptors that the worker needs for itself and the largest program. */
const FILES_NEEDED = 128

export function probe(live: Live): Capabilities {
  const { libc, kvm } = live
  const names = Object.keys(KVM_CAPS) as KvmCap[]
  const caps = kvm.device < 0 ? [] : names.map((name) => [name, kvm.capability(name)])
  return {
    release: release(),
    arch: arch() === 'x64' ? 'x86_64' : arch(),
    root: process.getuid?.() === 0,
    kvmError: kvm.device < 0 ? -kvm.device : 0,
    kvm: Object.fromEntries(caps) as Capabilities['kvm'],
    secretmem: opens(live, ['memfd_secret', 0]),
    swap: readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1,
    frames: live.pages.sees,
    guest: whyNoGuest(live),
    files: fileLimit(libc),
  }
}

function opens(live: Live, op: Op): boolean {
  return runLive(live, [op])[0]?.r === 'fd'
}

/**
 * The decoy experiment: a guest looks at guest_memfd whose slot has other bytes at its user
 * address. Which bytes it sees says who made its access.
 */
function whyNoGuest(live: Live): string {
  if (live.kvm.device < 0) return 'there is no KVM'
  if (!opens(live, ['kvm_create_guest_memfd', 4096, 3])) return 'there is no guest_memfd to map'
  try {
    const decoy = decoyMemory(live.libc, live.memory)
    const seen = runLive(live, GUEST_BEGINS, decoy).at(-1)?.r
    if (seen === 0x21) return ''
    if (seen === DECOY + 1) return 'KVM emulates the guest by way of the user address'
    return `the guest does not get through its first steps (${seen})`
  } catch (error) {
    return (error as Error).message
  }
}

function fileLimit(libc: Libc): number {
  const limit = new BigUint64Array(2)
  libc.call(NR.prlimit64, 0, RLIMIT_NOFILE, 0, libc.address(limit))
  return Number(limit[0])
}

/** Why programs of a family cannot run here, or undefined. */
export function missingFor(family: Family, c: Capabilities): string | undefined {
  if (c.files < FILES_NEEDED) {
    return `a process may open ${c.files} files here; ${FILES_NEEDED} are needed (ulimit -n)`
  }
  switch (family) {
    case 'memory':
    case 'memfd':
      return undefined
    case 'secretmem':
      return missingSecretmem(c)
    case 'page':
      return missingFrames(c) ?? missingSecretmem(c)
    case 'guest_page':
      return missingFrames(c) ?? missingKvm(c)
    case 'guest_memfd':
      return missingKvm(c)
    case 'guest':
    case 'guest_memory':
      return missingKvm(c) ?? (c.guest === '' ? undefined : c.guest)
  }
}

function missingSecretmem(c: Capabilities): string | undefined {
  return c.secretmem ? undefined : 'memfd_secret is not enabled'
}

function missingFrames(c: Capabilities): string | undefined {
  if (!c.frames) return '/proc hides page frames from this user'
  return c.swap ? 'swap is in use: pages may leave memory at any time' : undefined
}

function missingKvm(c: Capabilities): string | undefined {
  if (c.kvmError === 2) return 'there is no /dev/kvm'
  if (c.kvmError === 13) return '/dev/kvm may not be opened by this user'
  if (c.kvmError !== 0) return `/dev/kvm cannot be opened (errno ${c.kvmError})`
  if (!(Number(c.kvm.KVM_CAP_GUEST_MEMFD) > 0)) return 'this KVM has no guest_memfd'
  const flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED
  const has = Number(c.kvm.KVM_CAP_GUEST_MEMFD_FLAGS) & flags
  return has === flags ? undefined : 'this KVM has no guest_memfd that can be mapped'
}

/** The table of `conform --probe`: what it is, what was found. */
export function describeCapabilities(c: Capabilities): (readonly [string, string])[] {
  const kvm = missingKvm(c)
  return [
    ['kernel', `Linux ${c.release} ${c.arch}`],
    ['user', c.root ? 'root' : 'not root'],
    ['/dev/kvm', c.kvmError === 0 ? 'opens' : (kvm ?? '')],
    ...Object.entries(c.kvm).map(([name, value]) => [name, String(value)] as const),
    ['memfd_secret', c.secretmem ? 'yes' : 'no'],
    ['swap', c.swap ? 'in use' : 'none'],
    ['page frame numbers', c.frames ? 'readable' : 'hidden'],
    ...FAMILIES.map((f) => [`family ${f}`, missingFor(f, c) ?? 'can run'] as const),
  ]
}
