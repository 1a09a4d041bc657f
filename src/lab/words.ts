/** What the page says of designs, calls and findings, read off the tables when it is shipped. */
import { CONSTANTS } from '../calls/constants.js'
import { CALLS } from '../calls/table.js'
import { DESIGNS } from '../designs/index.js'
import { MACHINES, type Machine } from '../hosts/host.js'
import { designIds, designsOn } from '../hosts/index.js'
import { ERRNO, errnoName } from '../kernel/include/errno.js'
import { shortFinding } from '../report/words.js'
import { FINDING_KINDS } from '../sanitizers/index.js'
import type { MatrixHead, Words } from './protocol.js'

export const WORDS: Words = {
  operations: Object.entries(CALLS).map(([name, { parameters, doc }]) => ({
    name,
    parameters: parameters.map((p) => p.name),
    doc,
  })),
  constants: Object.keys(CONSTANTS),
  errno: Object.fromEntries(Object.values(ERRNO).map((n) => [String(-n), errnoName(-n)])),
  findings: FINDING_KINDS.map(({ id, sentence }) => ({ id, sentence, short: shortFinding(id) })),
}

/** Ids that a scenario may name. */
export const DESIGN_IDS = designIds()

type Table = Omit<MatrixHead, 'scenarios'> & {
  /** The machine under its designs; undefined for the table of designs alone. */
  readonly machine: Machine | undefined
}

const TITLES: Readonly<Record<Machine, string>> = {
  sw: 'no protection',
  snp: 'SEV-SNP',
  tdx: 'TDX',
  pkvm: 'pKVM',
}

const headsOf = (designs: readonly { id: string; summary: string }[]) =>
  designs.map(({ id, summary }) => ({ id, summary }))

/** The tables of the page: designs, then what each machine makes of the scenarios about machines. */
export const TABLES: readonly Table[] = [
  { id: 'main', title: 'designs', machine: undefined, designs: headsOf(DESIGNS) },
  ...MACHINES.map((machine) => ({
    id: machine,
    title: TITLES[machine],
    machine,
    designs: headsOf(designsOn(machine)),
  })),
]
