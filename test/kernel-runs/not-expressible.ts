/**
 * What of the recording the model cannot express, and why. Rows first, then single observations of
 * rows that are replayed, then what the console printed.
 *
 * Of every row also left out: PG_error, which nobody reads, so the model has not got it. The model
 * leaves open, and so takes any recorded value: the contents of a page that nobody has written
 * since it changed hands, and the kind of page block of a free frame.
 */
import type { CallRow, EventRow } from './recording.js'

interface Rule {
  /** Of the experiment; all if absent. */
  readonly x?: RegExp
  /** Of the call; all if absent. */
  readonly call?: RegExp
  /** Of the flavour; all if absent. */
  readonly k?: RegExp
  /** Paths of observations; the whole row if absent. */
  readonly keys?: readonly string[]
  readonly why: string
}

const RULES: readonly Rule[] = [
  { x: /^boot$/, call: /^end$/, why: 'marks where a boot ends' },
  { x: /^boot$/, keys: ['kasan', 'lockdep'], why: 'options of the build; here all checks are on' },
  { x: /^E1\.link$/, call: /^readlink/, why: 'files have no names in the model' },
  {
    x: /^E1\.io$/,
    call: /^(splice|sendfile|copy_file_range|posix_fadvise|readahead|flock|poll|epoll|ioctl)/,
    why: 'the model does not have the call, nor what is at its other end',
  },
  {
    x: /^E1\.attr$/,
    call: /^(futimens|f[sg]etxattr|linkat)/,
    why: 'no times, extended attributes and names in the model',
  },
  {
    x: /^E7\.ctl$/,
    why: 'a file without a block before and after: what was done to it is not told',
  },
  {
    x: /^E9\.seals$/,
    call: /\/proc\/version|\/dev\/ram0|pipe$/,
    why: 'no procfs, block devices and pipes in the model',
  },
  {
    call: /^fill free memory/,
    why: 'prepares the contents of frames; in the model they are stale',
  },

  { x: /^E1\.fstatfs$/, keys: ['f_bsize'], why: 'the model answers with the magic number alone' },
  { x: /^E4\.leak$/, keys: ['memfree_change_kB', 'shmem_kB'], why: 'counts all of the machine' },
  {
    x: /^E6\.offline$/,
    call: /^restricted pages per|block 0/,
    why: 'where in memory the pages lie, and a block that is not all memory',
  },
  { x: /^E6\.offline$/, keys: ['spte_ok'], why: 'the mapped pages lay in another block' },
  {
    x: /^E6\.offline$/,
    k: /^upm-aops/,
    call: /block 2/,
    keys: ['ret', 'killed_by_signal'],
    why: 'a signal ended it after 8 s; without signals it goes on for ever',
  },
  {
    x: /^E9\.mincore$/,
    call: /^(swap device|setuid|unprivileged child)/,
    why: 'no block devices, users and child processes in the model',
  },
  {
    x: /^E9\.mincore$/,
    keys: ['swapped'],
    why: 'recorded as 0 with 64 pages written out, so it does not count them',
  },
  {
    x: /^E10\.(d05|walk)$/,
    call: /^(joined|close\(X\)$|corrupt-pfn)/,
    why: 'KASAN reports the use after free and goes on; in the model nothing is defined after it',
  },
  { keys: ['waited_ms', 'ms', 'unbind_ms', 'after_ms'], why: 'the model has no clock' },
  {
    x: /^E6\.compact$/,
    call: /^compact_memory over 3000 dirty/,
    k: /^upm$/,
    why: 'here compaction isolated 10 pages: where it looks depends on hints that are not modelled',
  },
  {
    x: /^E6\.(compact|pin)$/,
    keys: ['pgmigrate_fail', 'pgmigrate_success', 'compact_isolated', 'compact_migrate_scanned'],
    why: 'count what compaction does to all of the machine',
  },
  {
    x: /^E6\.(compact|pin)$/,
    k: /^upm$/,
    call: /clean restricted pages(, anonymous neighbours freed)?$/,
    keys: ['spte.spte_ok'],
    why: 'some pages stayed where compaction did not look; here it looks everywhere',
  },
  {
    x: /^E6\.ctl$/,
    keys: ['before.flags'],
    why: 'PG_referenced depends on how the control page was written, which is not recorded',
  },
  { x: /^E8\.anon$/, keys: ['old.index'], why: 'the address at which the process had the page' },
  {
    x: /^E5\.zero$/,
    call: /holes$/,
    keys: ['zeroed', 'not_zeroed'],
    why: 'which stale page happened to be zero is chance; that none is cleared is asserted',
  },
]

const CONSOLE: readonly { readonly text: RegExp; readonly g?: RegExp; readonly why: string }[] = [
  { g: /^mfstress$/, text: /^Memory failure/, why: 'how often in a storm is chance' },
  {
    text: /use-after-free in __mutex_lock/,
    why: 'the waiter spins on the task struct of the dead owner; tasks are never freed here',
  },
  {
    g: /^race/,
    text: /use-after-free in xas_start|^Memory failure/,
    why: 'after the first use after free nothing is defined in the model',
  },
  { g: /^mfstress$/, text: /^dump_stack/, why: 'found by a search, which keeps no stacks' },
  { text: /^rt_ioctl$/, why: 'a stack of system call code alone' },
  { text: /^RIP:|^Oops:|^Read of size|^Kernel panic/, why: 'addresses, registers, end of the run' },
]

const used = new Set<object>()

function find(row: CallRow, path: string | undefined): string | undefined {
  const rule = RULES.find(
    ({ x, call, k, keys }) =>
      (path === undefined ? keys === undefined : keys?.includes(path)) &&
      (x === undefined || x.test(row.x)) &&
      (call === undefined || call.test(row.call)) &&
      (k === undefined || k.test(row.k)),
  )
  if (rule !== undefined) used.add(rule)
  return rule?.why
}

/** Why a row is not replayed, or undefined. */
export function rowReason(row: CallRow): string | undefined {
  return find(row, undefined)
}

/** Why an observation of a row is not compared, or undefined. */
export function keyReason(row: CallRow, path: string): string | undefined {
  return find(row, path)
}

/** Why a message of the console is not expected of the model, or undefined. */
export function consoleReason(event: EventRow): string | undefined {
  const rule = CONSOLE.find(
    ({ text, g }) =>
      text.test(event.text ?? event.frames?.[0] ?? '') && (g === undefined || g.test(event.g)),
  )
  if (rule !== undefined) used.add(rule)
  return rule?.why
}

/** Reasons that no row of the recording has needed. */
export function unusedReasons(): string[] {
  return [...RULES, ...CONSOLE].filter((rule) => !used.has(rule)).map(({ why }) => why)
}
