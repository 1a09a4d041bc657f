/** The words of SNP's tables, as `explain` says them: states of a page, and codes. */
import type { HostWord } from '../host.js'
import * as fw from './firmware.js'
import * as ghcb from './ghcb.js'
import * as insn from './instructions.js'
import * as psc from './psc.js'
import type { PageState } from './rmp.js'

const FIRMWARE = 'AMD-ASPFW sev_rmp.h'
const VERISMO = 'VeriSMo, arch/rmp'
const GHCB = 'the GHCB protocol, version 2; arch/x86/include/asm/sev-common.h'
const UAPI = 'AMD-ASPFW sev_mcmd.c; include/uapi/linux/psp-sev.h'

const STATES: Readonly<Record<PageState, string>> = {
  Default: 'No entry of the reverse map table is for the page: it can never be given to a guest.',
  Hypervisor: "The host's: it may store there, and so may guests without the C bit.",
  'HV-Fixed': "The host's for good: no entry of it can be changed until the next reset.",
  Firmware: "The firmware's, which made or will make something of it; nobody else may change it.",
  'Firmware-IOMMU': "The firmware's, where the IOMMU keeps its logs.",
  Reclaim: 'Given back by the firmware: nobody may use it until the host makes it its own.',
  Context: 'The firmware keeps a guest there: its phase, its ASID, its keys.',
  Metadata: 'The firmware keeps there what belongs to pages that were swapped out.',
  'Pre-Guest': "A guest's, immutable: it waits for a command, as LAUNCH_UPDATE or PAGE_MOVE.",
  'Pre-Swap': "A guest's, validated and immutable: it waits to be moved or swapped out.",
  'Guest-Invalid': "A guest's that it has not validated: an access is a #VC in the guest.",
  'Guest-Valid': "A guest's that it has validated: it alone reads and writes it, with the C bit.",
}

type Code = readonly [name: string, value: number, text: string]

const INSTRUCTIONS: readonly Code[] = [
  [
    'FAIL_INPUT',
    insn.FAIL_INPUT,
    'RMPUPDATE, PSMASH, PVALIDATE: what is asked for makes no sense.',
  ],
  ['FAIL_PERMISSION', insn.FAIL_PERMISSION, 'The entry is immutable, or the VMPL may not.'],
  ['FAIL_INUSE', insn.FAIL_INUSE, 'Another agent holds the entry; it will not for long.'],
  [
    'FAIL_OVERLAP',
    insn.FAIL_OVERLAP,
    'RMPUPDATE: 4 KiB inside 2 MiB, or 2 MiB over 4 KiB entries.',
  ],
  ['FAIL_SIZEMISMATCH', insn.FAIL_SIZEMISMATCH, 'PVALIDATE of 2 MiB where the entries are 4 KiB.'],
  [
    'PVALIDATE_FAIL_NOUPDATE',
    insn.PVALIDATE_FAIL_NOUPDATE,
    'PVALIDATE with the carry flag: the page was as wanted, nothing has changed.',
  ],
  ['VC_NOT_VALIDATED', insn.VC_NOT_VALIDATED, '#VC in the guest: its page, but not validated.'],
]

const COMMANDS: readonly Code[] = [
  ['INVALID_PLATFORM_STATE', fw.INVALID_PLATFORM_STATE, 'Firmware is not initialised.'],
  ['INVALID_GUEST_STATE', fw.INVALID_GUEST_STATE, 'The guest is in another phase of its life.'],
  ['INVALID_CONFIG', fw.INVALID_CONFIG, 'SNP_ACTIVATE: the ASID has pages of somebody else.'],
  ['INACTIVE', fw.INACTIVE, 'The guest has no ASID.'],
  ['ASID_OWNED', fw.ASID_OWNED, 'Another guest has the ASID.'],
  ['INVALID_ASID', fw.INVALID_ASID, 'There is no such ASID.'],
  ['INVALID_GUEST', fw.INVALID_GUEST, 'The page holds no guest context.'],
  ['ALREADY_ACTIVE', fw.ALREADY_ACTIVE, 'The guest has an ASID already.'],
  ['INVALID_PARAM', fw.INVALID_PARAM, 'The command does not know this parameter.'],
  ['INVALID_PAGE_SIZE', fw.INVALID_PAGE_SIZE, 'The entry is of another size than the command.'],
  ['INVALID_PAGE_STATE', fw.INVALID_PAGE_STATE, 'The page is not in the state that it must be in.'],
  ['INVALID_PAGE_OWNER', fw.INVALID_PAGE_OWNER, 'The page belongs to another guest.'],
]

const PAGE_STATE_CHANGES: readonly Code[] = [
  ['VMGEXIT_PSC_ERROR_GENERIC', psc.VMGEXIT_PSC_ERROR_GENERIC, 'User space did not do as asked.'],
  [
    'VMGEXIT_PSC_ERROR_INVALID_HDR',
    psc.VMGEXIT_PSC_ERROR_INVALID_HDR,
    'The header of a buffer says that there are more entries than can be.',
  ],
  [
    'VMGEXIT_PSC_ERROR_INVALID_ENTRY',
    psc.VMGEXIT_PSC_ERROR_INVALID_ENTRY,
    'An entry is further than it is long, or not aligned to its size.',
  ],
  [
    'GHCB_ERR_INVALID_SCRATCH_AREA',
    ghcb.GHCB_ERR_INVALID_SCRATCH_AREA,
    'A request of a guest has its buffer where none can be. Here 0x200000003: the input is malformed.',
  ],
]

const coded = (codes: readonly Code[], source: string): readonly HostWord[] =>
  codes.map(([name, value, text]) => ({ name, value, text, source }))

export const SNP_WORDS: readonly HostWord[] = [
  ...Object.entries(STATES).map(([name, text]) => ({ name, text, source: FIRMWARE })),
  ...coded(INSTRUCTIONS, VERISMO),
  ...coded(COMMANDS, UAPI),
  ...coded(PAGE_STATE_CHANGES, GHCB),
]
