/** Experiment 2t: the flag of guest_memfd is cleared on a live slot. */
import assert from 'node:assert/strict'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysFallocate } from '../../src/kernel/fs/open.js'
import { sysKvmSetUserMemoryRegion2 } from '../../src/kernel/virt/kvm/memory_region.js'
import { GPA, type Host, KEEP, P, PUNCH, type Region, type Run, shown } from './gmem-host.js'
import type { GmemRow, Rows } from './gmem-recording.js'
import { call, takeFindings } from './runner.js'

/** The user memory behind the slot is full of these bytes. */
const PATTERN = 0x3c

type Call = Parameters<typeof call>

/** What each step does; undefined: a guest access. */
function action(h: Host, step: string): Call | undefined {
  const punch = (size: bigint): Call => [sysFallocate, h.fd, PUNCH, 0n, size]
  const set = (r: Region): Call => {
    const { slot = 1, flags = 0, gpa = GPA, size = 4n * P } = r
    return [sysKvmSetUserMemoryRegion2, h.vm, slot, flags, gpa, size, h.hva, h.fd, 0n]
  }
  switch (step) {
    case 'bind slot 1':
    case 'set GUEST_MEMFD again on the slot':
      return set({ flags: 4 })
    case 'same slot, GUEST_MEMFD flag cleared (FLAGS_ONLY)':
      return set({})
    case 'same slot, GUEST_MEMFD flag cleared, gpa moved (MOVE)':
      return set({ gpa: 2n * GPA })
    case 'bind the same file range in slot 2':
      return set({ slot: 2, flags: 4, gpa: 3n * GPA })
    case 'VM fd closed first':
      return [sysClose, h.vm]
    case 'fallocate':
      return [sysFallocate, h.fd, KEEP, 0n, 4n * P]
    case 'punch':
    case 'punch page 0':
      return punch(P)
    case 'close gmem':
    case 'close gmem directly after the toggle':
      return [sysClose, h.fd]
    default:
      return undefined
  }
}

/** What went wrong, in the kernel's log and on the model. */
function expectedFindings(row: GmemRow): string[] {
  const log = (row.kmsg ?? []) as readonly string[]
  if (log.some((l) => l.startsWith('BUG: KASAN: slab-use-after-free'))) return ['use-after-free']
  return log.some((l) => l.startsWith('WARNING')) ? ['kernel-warning'] : []
}

function guest(h: Host, row: GmemRow, at: bigint): void {
  if (row.step === 'guest read after conversion to shared') h.attributes(at, P, 0n)
  const run = row.step.startsWith('guest write') ? h.write(at, 0x77) : h.read(at)
  const { val } = row.run as { val: string }
  // A dword of the pattern; the model reads one byte of it.
  const byte = Number(val) === PATTERN * 0x01010101 ? `0x${PATTERN.toString(16)}` : val
  assert.deepEqual(run, { ...(row.run as Run), val: byte }, row.step)
}

/** Replay a boot up to the first use after free, behind which nothing is defined. */
export function toggle(h: Host, rows: Rows, type: number): void {
  h.newUserMemory(4, () => PATTERN)
  h.newVm(type)
  h.newFile(4, type === 0 ? 3 : 0)
  if (type === 1) h.attributes(GPA, 4n * P, 8n)
  let at = GPA
  for (let step = rows.step; step !== undefined; step = rows.step) {
    const row = rows.next(step)
    const does = action(h, step)
    if (does === undefined) {
      guest(h, row, at)
      continue
    }
    const ret = call(...does)
    const findings = takeFindings()
    assert.deepEqual(findings, expectedFindings(row), step)
    if (findings.includes('use-after-free')) break
    const expected = row.errno === undefined ? (row.ret ?? 0) : `-${row.errno}`
    assert.equal(shown(ret), expected, step)
    if (step.endsWith('(MOVE)')) at = 2n * GPA
  }
  while (rows.step !== undefined) rows.list(rows.step, 'behind a use after free')
}
