/**
 * E11 and E10 of the recorded runs, as far as they are storms: threads that fault, punch and more
 * for some seconds, after which the device looks whether its secondary MMU is in line with the page
 * cache and each begin had its end. Here a small scenario is searched exhaustively instead: one
 * page, one call of each. What it can lead to holds for every moment of a storm; what a storm
 * happened to end with must be among it.
 */
import assert from 'node:assert/strict'
import { checkScenario } from '../../src/app/check.js'
import { DESIGNS } from '../../src/designs/index.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { FINDING_KINDS } from '../../src/sanitizers/index.js'
import type { Replay } from './replay.js'

const STALE = ['stale-secondary-mapping', 'secondary-use-after-free']
const UNBALANCED = ['unbalanced-invalidation', 'stuck-invalidation']

const SETUP = `
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 1P)
  bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=1P, PRIVATE)
`

const TASKS = {
  fault: 'task vcpu0\n  guest_write(vm, gpa=0, 0x5a) == 0\n',
  punch: 'task vmm\n  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=0, size=1P) == 0\n',
  allocate: 'task allocator\n  fallocate(fd, 0, offset=0, size=1P) == 0\n',
  compact: 'task kcompactd\n  compact() == 0\n',
  migrate: 'task migrator\n  migrate(fd, page=0)\n',
  drop: 'task sysctl\n  drain_lru()\n  drop_caches() == 0\n',
  fail: 'task mce\n  memory_failure(fd, page=0)\n',
} as const

/** What a scenario can lead to: ids of findings. */
function findingsOf(designId: string, text: string): string[] {
  const known = { designs: DESIGNS.map((d) => d.id), findings: FINDING_KINDS.map((k) => k.id) }
  const design = DESIGNS.find((d) => d.id === designId)!
  const verdict = checkScenario(readScenario(text, known), design, {
    bound: undefined,
    asMet: true,
    keepGoing: () => true,
    now: () => 0,
  })
  assert.equal(verdict.proof, 'exhaustive', verdict.reason)
  return verdict.findings.map(({ id }) => id)
}

/** The same of these tasks, all at once; `setup` comes before them. */
function search(designId: string, tasks: readonly (keyof typeof TASKS)[], setup = ''): string[] {
  const parts = tasks.map((name) => TASKS[name])
  const head = `litmus storm/${tasks.join('-')}\n"A storm in small."\n${SETUP}${setup}`
  return findingsOf(designId, [head, ...parts].join('\n'))
}

const has = (found: readonly string[], ids: readonly string[]): boolean =>
  ids.some((id) => found.includes(id))

interface Storm {
  readonly x: string
  readonly call: string
  readonly tasks: readonly (keyof typeof TASKS)[]
  /** In which flavours entries may be stale. */
  readonly stale: readonly string[]
}

const STORMS: readonly Storm[] = [
  {
    x: 'E11.base',
    call: 'fault x2 with punch, 4 s',
    tasks: ['fault', 'punch'],
    stale: [],
  },
  { x: 'E11.falloc', call: 'plus fallocate', tasks: ['fault', 'punch', 'allocate'], stale: [] },
  {
    x: 'E11.compact',
    call: 'plus compact_memory',
    tasks: ['fault', 'compact'],
    stale: ['upm'],
  },
  {
    x: 'E11.migrate',
    call: 'plus migrate_pages of single pages (pages dirtied by fallocate too)',
    tasks: ['fault', 'migrate'],
    stale: ['upm'],
  },
  {
    x: 'E11.drop',
    call: 'plus drop_caches',
    tasks: ['fault', 'drop'],
    stale: ['upm', 'upm-aops'],
  },
]

/** Boot `conc`. */
export function conc(r: Replay): void {
  for (const { x, call, tasks, stale } of STORMS) {
    const found = search(r.boot.k, tasks)
    const { obs } = r.searched(x, call)
    const maybeStale = has(found, STALE)
    assert.equal(maybeStale, stale.includes(r.boot.k), `${x}: ${found}`)
    assert.ok(maybeStale || !('first_stale' in obs), `${x}: an entry was stale`)
    assert.ok(!has(found, UNBALANCED), `${x}: ${found}`)
    assert.equal(obs.starts, obs.ends)
  }
}

/** A file is closed while a page of another one fails. */
const CLOSE = `litmus storm/close
"A storm in small."

setup
  other = memfd_restricted()
  fd = memfd_restricted()
  fallocate(other, 0, offset=0, size=1P) == 0

task closer
  close(fd)

task mce
  memory_failure(other, page=0)
`

/** Boot `mfstress`: nothing is used after free, unless other files are closed meanwhile. */
export function mfstress(r: Replay): void {
  const design = 'upm-aops-repaired'
  const mapped = '  guest_write(vm, gpa=0, 0x5a) == 0\n  drain_lru() == 0\n'
  const found = [...search(design, ['fault', 'fail']), ...search(design, ['punch', 'fail'], mapped)]
  const { obs } = r.searched('E10.stress', 'memory_failure ‖ fault ‖ punch, 6 s')
  assert.ok(!has(found, [...STALE, ...UNBALANCED, 'use-after-free']), `${found}`)
  assert.ok(!('first_stale' in obs))
  assert.equal(obs.starts, obs.ends)

  const closes = 'memory_failure ‖ fault ‖ punch ‖ 2 x create-bind-fault-close of other files, 6 s'
  r.searched('E10.stress', closes)
  r.finds(findingsOf(design, CLOSE))
}
