/** A machine with SEV-SNP to try its tables on: frames, guests, and how software makes each state. */
import assert from 'node:assert/strict'
import { bootKernel } from '../../src/cell/boot.js'
import { designNamed } from '../../src/hosts/index.js'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import {
  IOMMU_MARK,
  METADATA_MARK,
  type PageState,
  pfnAt,
  rmpEntry,
} from '../../src/hosts/snp/rmp.js'
import type { Gfn, Pfn } from '../../src/kernel/include/types.js'
import { allocFolio } from '../../src/kernel/mm/page_alloc.js'

export const VS = 'VeriSMo'
export const FW = 'AMD-ASPFW'
export const LX = 'Linux'

export const A = 1
export const B = 2
export const g = (n: number): Gfn => n as Gfn

/** Frames of one region: its head, and two others; and frames of other regions. */
export const head = pfnAt(8)
export const page = pfnAt(9)
export const next = pfnAt(10)
export const far = pfnAt(17)
export const ctx = pfnAt(13)

const design = designNamed('gmem-6.18@snp')!

export function boot(): void {
  bootKernel(design, 'lowered')
  // Each task's frames are taken in order; those of the table must have a struct page.
  for (let i = 0; i < 24; i++) allocFolio(false)
}

export const guest = (gfn = 0, over = {}): insn.NewState => ({
  assigned: true,
  asid: A,
  gfn: g(gfn),
  large: false,
  immutable: false,
  ...over,
})
export const shared = (over = {}): insn.NewState => ({
  assigned: false,
  asid: 0,
  gfn: g(0),
  large: false,
  immutable: false,
  ...over,
})
export const firmware = guest(0, { asid: 0, immutable: true })

/** What a guest's instruction names. */
export const at = (gfn: number, over = {}): insn.GuestPage => ({
  asid: A,
  gfn: g(gfn),
  vmpl: 0,
  large: false,
  ...over,
})

export const ok = (code: number): void => assert.equal(code, 0)

/** Bring a frame into a state as software would. */
export function make(state: PageState, pfn: Pfn, gfn = 0): void {
  switch (state) {
    case 'Hypervisor':
      break
    case 'Firmware':
      ok(insn.rmpupdate(pfn, firmware))
      break
    case 'Firmware-IOMMU':
      make('Firmware', pfn)
      rmpEntry(pfn).gfn = g(IOMMU_MARK)
      break
    case 'Context':
      make('Firmware', pfn)
      ok(fw.gctxCreate(pfn))
      break
    case 'Metadata':
      make('Firmware', pfn)
      rmpEntry(pfn).gfn = g(METADATA_MARK)
      break
    case 'Reclaim':
      make('Firmware', pfn)
      ok(fw.pageReclaim(pfn, false))
      break
    case 'HV-Fixed':
      make('Firmware', pfn)
      ok(fw.pageSetState([pfn]))
      break
    case 'Guest-Invalid':
      ok(insn.rmpupdate(pfn, guest(gfn)))
      break
    case 'Guest-Valid':
      make('Guest-Invalid', pfn, gfn)
      ok(insn.pvalidate(pfn, at(gfn), true))
      break
    case 'Pre-Guest':
      ok(insn.rmpupdate(pfn, guest(gfn, { immutable: true })))
      break
    case 'Pre-Swap':
      make('Guest-Valid', pfn, gfn)
      ok(insn.rmpupdate(pfn, guest(gfn, { immutable: true })))
      break
    default:
      throw new Error(state)
  }
}

/** All but Default, which no frame of the table is in. */
export const STATES: readonly PageState[] = [
  'Hypervisor',
  'HV-Fixed',
  'Firmware',
  'Firmware-IOMMU',
  'Reclaim',
  'Context',
  'Metadata',
  'Pre-Guest',
  'Pre-Swap',
  'Guest-Invalid',
  'Guest-Valid',
]

/** A guest with an ASID, in a phase. */
export function makeGuest(asid = A, context = ctx, phase = fw.PHASE_RUNNING): void {
  make('Context', context)
  if (phase === fw.PHASE_INIT) return
  ok(fw.launchStart(context))
  ok(fw.activate(context, asid))
  if (phase === fw.PHASE_RUNNING) ok(fw.launchFinish(context))
}
