/** Who may touch what under SEV-SNP, and what each reads there: tables 3.4 and 3.7, row by row. */
import assert from 'node:assert/strict'
import {
  ACCESS_OK,
  ACCESS_VC,
  checkGuestAccess,
  deviceMayAccess,
  hostStoreAllowed,
  NPF_RMP,
  NPF_RMP_ENC,
  NPF_RMP_VMPL,
  OPEN_ROWS,
  plainGuestStoreAllowed,
  saveAreaFits,
} from '../../src/hosts/snp/access.js'
import * as fw from '../../src/hosts/snp/firmware.js'
import * as insn from '../../src/hosts/snp/instructions.js'
import { type PageState, pfnAt } from '../../src/hosts/snp/rmp.js'
import {
  byteWithKey,
  keyAt,
  keyedByte,
  NOISE_BYTE,
  withBytes,
  ZERO_PAGE,
} from '../../src/machine/blob.js'
import { A, at, B, boot, far, g, guest, LX, make, next, ok, page, STATES, VS } from './snp-bench.js'
import { everySwitchIsTried, notModelled, open, type Row, row, table } from './table.js'

const APM = 'APM 15.36.10'

const access = (over = {}): Parameters<typeof checkGuestAccess>[1] => ({
  asid: A,
  gfn: g(0),
  encrypted: true,
  write: false,
  vmpl: 0,
  largeMapping: false,
  ...over,
})

/** A row for each state that says something of it. */
function inStates(states: readonly PageState[], run: (state: PageState) => void): void {
  for (const state of states) {
    boot()
    make(state, page)
    run(state)
  }
}

/** Not the host's, and not its for good. */
const ASSIGNED: readonly PageState[] = STATES.filter((s) => s !== 'Hypervisor' && s !== 'HV-Fixed')
const secret = (pfn = page): ReturnType<typeof withBytes> =>
  withBytes(ZERO_PAGE, 0, 1, keyedByte(0x5a, fw.keyOf(A, pfn)))

const HOST: readonly Row[] = [
  row('1: the host stores, by 4 KiB, to what is its own', 'A', APM, () => {
    assert.equal(hostStoreAllowed(page, false), true)
  }),
  row('2: it stores to nothing else: #PF', 'A', APM, () => {
    inStates(ASSIGNED, (state) => assert.equal(hostStoreAllowed(page, false), false, state))
  }),
  row("2: it reads the guest's ciphertext", 'A', 'white paper', () => {
    assert.equal(byteWithKey(secret(), 0, 0), NOISE_BYTE)
  }),
  notModelled(
    '2, with ciphertext hiding: it reads a constant',
    'A',
    LX,
    'what the host reads is noise in any case, and nobody can tell one from another',
  ),
  open('3: it stores to an HV-Fixed page, or not', 'hostStoresToFixed', () => {
    make('HV-Fixed', page)
    for (const hostStoresToFixed of [true, false]) {
      const allowed = hostStoreAllowed(page, false, { ...OPEN_ROWS, hostStoresToFixed })
      assert.equal(allowed, hostStoresToFixed)
    }
  }),
  row(
    '4: through 2 MiB to its own page, and another one is assigned: #PF',
    'A',
    `${APM}, ${LX}`,
    () => {
      make('Guest-Invalid', next)
      assert.equal(hostStoreAllowed(page, true), false)
      assert.equal(hostStoreAllowed(page, false), true)
    },
  ),
  row('5: through 2 MiB, and all are its own', 'A', APM, () => {
    assert.equal(hostStoreAllowed(page, true), true)
  }),
  notModelled(
    '6: its page walk stores to a table that is assigned: #PF',
    'A',
    APM,
    'page tables have no frames here',
  ),
  open(
    '7: a device stores to what is assigned, or the IOMMU stops it',
    'deviceStoresToAssigned',
    () => {
      inStates(STATES, (state) => {
        for (const deviceStoresToAssigned of [true, false]) {
          const may = deviceMayAccess(page, true, { ...OPEN_ROWS, deviceStoresToAssigned })
          assert.equal(may, deviceStoresToAssigned || !ASSIGNED.includes(state), state)
        }
      })
    },
  ),
  open(
    '7: a device loads from what is assigned, or the IOMMU stops it',
    'deviceLoadsAssigned',
    () => {
      make('Guest-Valid', page)
      for (const deviceLoadsAssigned of [true, false]) {
        const may = deviceMayAccess(page, false, { ...OPEN_ROWS, deviceLoadsAssigned })
        assert.equal(may, deviceLoadsAssigned)
      }
    },
  ),
]
table('3.4: the host and its devices', boot, HOST)

const both = (over: object, verdict: number): void => {
  for (const write of [false, true]) {
    assert.equal(checkGuestAccess(page, access({ ...over, write })), verdict)
  }
}

const GUEST: readonly Row[] = [
  row('8: with its C bit, on a page of its own that it has validated', 'A', VS, () => {
    make('Guest-Valid', page)
    both({}, ACCESS_OK)
  }),
  row('9: not validated: #VC', 'A', VS, () => {
    make('Guest-Invalid', page)
    both({}, ACCESS_VC)
  }),
  row('10: on what is not assigned: #NPF with RMP and ENC', 'A', `${VS}, KVM`, () => {
    inStates(['Hypervisor', 'HV-Fixed'], () => both({}, NPF_RMP_ENC))
  }),
  row('11: of another ASID or address: #NPF, and never a #VC', 'A', VS, () => {
    make('Guest-Invalid', page, 3)
    both({ gfn: g(4) }, NPF_RMP)
    both({ gfn: g(3), asid: B }, NPF_RMP)
    both({ gfn: g(3) }, ACCESS_VC)
  }),
  row('11: immutable, or no guest has it: #NPF', 'A', VS, () => {
    const states = ASSIGNED.filter((s) => !s.startsWith('Guest'))
    inStates(states, () => both({}, NPF_RMP))
  }),
  row('12: a mapping of 4 KiB, an entry of 2 MiB: #NPF', 'A', `${VS}, KVM`, () => {
    ok(insn.rmpupdate(pfnAt(16), guest(8, { large: true })))
    assert.equal(checkGuestAccess(far, access({ gfn: g(9) })), NPF_RMP)
  }),
  row('13: a mapping of 2 MiB, an entry of 4 KiB: #NPF', 'A', 'mailing list', () => {
    make('Guest-Valid', page)
    both({ largeMapping: true }, NPF_RMP)
  }),
  row('14: PVALIDATE and RMPADJUST of 4 KiB on 2 MiB: #NPF with SIZEM', 'A', `${VS}, KVM`, () => {
    ok(insn.rmpupdate(pfnAt(16), guest(8, { large: true })))
    assert.equal(insn.pvalidate(far, at(9), true), insn.NESTED_FAULT_SIZE)
    assert.equal(insn.rmpadjust(far, at(9), 1, 1, false), insn.NESTED_FAULT_SIZE)
  }),
  row('15: a VMPL without permission: #NPF with VMPL', 'A', VS, () => {
    make('Guest-Valid', page)
    both({ vmpl: 1 }, NPF_RMP_VMPL)
    ok(insn.rmpadjust(page, at(0), 1, 1, false))
    both({ vmpl: 1 }, ACCESS_OK)
  }),
  row("16: without the C bit, on what is the hypervisor's", 'A', VS, () => {
    both({ encrypted: false }, ACCESS_OK)
  }),
  row('17: without the C bit, a store to what is assigned: #NPF', 'A', VS, () => {
    inStates(ASSIGNED, (state) => {
      const a = access({ encrypted: false, write: true })
      assert.equal(checkGuestAccess(page, a), NPF_RMP, state)
    })
  }),
  open('17: without the C bit, a read of it: #NPF, or ciphertext', 'sharedReadOfAssigned', () => {
    const lax = { ...OPEN_ROWS, sharedReadOfAssigned: 'ciphertext' } as const
    inStates(ASSIGNED, (state) => {
      const a = access({ encrypted: false })
      assert.equal(checkGuestAccess(page, a), NPF_RMP, state)
      assert.equal(checkGuestAccess(page, a, lax), ACCESS_OK, state)
    })
  }),
  row('18: a guest without SNP stores to what is assigned: #NPF', 'A', 'white paper', () => {
    inStates(STATES, (state) => {
      assert.equal(plainGuestStoreAllowed(page), !ASSIGNED.includes(state), state)
    })
  }),
  row('18: it reads the ciphertext', 'A', 'white paper', () => {
    assert.equal(byteWithKey(secret(), 0, 0), NOISE_BYTE)
  }),
  row('wrong address and not validated: #NPF; all right but immutable: #NPF', 'A', VS, () => {
    make('Guest-Invalid', page, 1)
    both({}, NPF_RMP)
    boot()
    make('Pre-Swap', page)
    both({}, NPF_RMP)
  }),
]
table('3.4: guests', boot, [
  ...GUEST,
  notModelled('19: firmware', 'A', 'AMD-ASPFW', 'see the table of its commands, row by row'),
])

const SAVE_AREAS: readonly Row[] = [
  open(
    "VMRUN: the save area must be a validated page of the guest's",
    'vmrunChecksSaveArea',
    () => {
      const lax = { ...OPEN_ROWS, vmrunChecksSaveArea: false }
      inStates(STATES, (state) => {
        assert.equal(saveAreaFits(page, A), false, state)
        assert.equal(saveAreaFits(page, A, lax), true, state)
      })
      boot()
      make('Guest-Valid', page)
      ok(insn.rmpadjust(page, at(0), 1, 1, true))
      assert.equal(saveAreaFits(page, A), true)
      assert.equal(saveAreaFits(page, B), false)
    },
  ),
  notModelled(
    'RMPUPDATE of one that is in use is refused, or not',
    '?',
    'not public',
    'a vCPU is in the guest for one step, and nobody is in between',
  ),
]
table('3.10: save areas', boot, SAVE_AREAS)
everySwitchIsTried([...HOST, ...GUEST, ...SAVE_AREAS], OPEN_ROWS)

table('3.7: content is bound to the ASID and the frame', boot, [
  row('its own key at its own frame reads it', 'A', 'AMD-ASPFW', () => {
    assert.equal(byteWithKey(secret(), 0, fw.keyOf(A, page)), 0x5a)
  }),
  row('the host, another guest and another frame read noise', 'A', 'AMD-ASPFW', () => {
    for (const wrong of [0, fw.keyOf(B, page), fw.keyOf(A, far)]) {
      assert.equal(byteWithKey(secret(), 0, wrong), NOISE_BYTE)
    }
  }),
  row('what the host has written is noise to the guest', 'A', 'AMD-ASPFW', () => {
    assert.equal(byteWithKey(ZERO_PAGE, 0, fw.keyOf(A, page)), NOISE_BYTE)
    assert.equal(keyAt(secret(), 1), 0)
  }),
])
