import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { unannounced } from '../../src/app/announced.js'
import { expectationFor } from '../../src/app/expect.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { knownNames } from '../../src/app/known.js'
import { splitSections } from '../../src/app/sections.js'
import { defineDesign } from '../../src/designs/design.js'
import { DESIGNS } from '../../src/designs/index.js'
import { upm } from '../../src/designs/upm.js'
import { GUARDS } from '../../src/explore/listen/guards.js'
import { dropPagecacheSb } from '../../src/kernel/fs/drop_caches.js'
import { inodeSbListAdd, iput } from '../../src/kernel/fs/inode.js'
import { I_FREEING, type Inode, type SuperBlock } from '../../src/kernel/include/fs.js'
import type { Kvm } from '../../src/kernel/include/kvm.js'
import { kvmSwapActiveMemslots } from '../../src/kernel/virt/kvm/memslots.js'
import { readScenario, type Scenario } from '../../src/litmus/scenario.js'
import { read, rmw, write } from '../../src/machine/effects.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
import { mutexUnlock, spinLock, spinUnlock } from '../../src/machine/locks.js'
import { synchronizeSrcu } from '../../src/machine/rcu.js'
import { structNamed } from '../../src/machine/struct.js'
import { finishWait, prepareToWait, schedule } from '../../src/machine/wait.js'
import { drawFrom } from '../engine/programs.js'

const files = builtInScenarios()
const draw = drawFrom(15_485_863)

describe('what Linux does in one section of a lock, the model does in one', () => {
  for (const { scenario } of files) {
    test(scenario.name, () => {
      for (const design of DESIGNS) {
        if (expectationFor(scenario, design)?.outcome === 'skip') continue
        assert.deepEqual(splitSections(scenario, design, drawFrom(104_729), 1), [], design.id)
      }
    })
  }
})

test('every field and lock of the table is one of a struct', () => {
  const has = (name: string, field: string): boolean => structNamed(name).fields.has(field)
  const wrong = GUARDS.flatMap(({ struct, fields, tests = [], users, locks }) => {
    const named = [...fields, ...tests, ...(users === undefined ? [] : [users])]
    const paths = locks === 'leaf' ? [] : locks
    const first = paths.map((path) => path.split('.')[0] ?? '')
    return [...named, ...first].filter((f) => !has(struct, f)).map((f) => `${struct}.${f}`)
  })
  assert.deepEqual(wrong, [])
})

const CLOSE_AND_DROP = readScenario(
  `litmus seeded/close-and-drop
"A file is closed beside drop_caches."
setup
  fd = memfd_create()
  ftruncate(fd, 1P)
  pwrite(fd, 0, 1, 0x11)
task a
  close(fd)
task b
  drop_caches()
`,
  knownNames(),
)

const BIND_AND_UNMAP = readScenario(
  `litmus seeded/bind-and-unmap
"Memory is unmapped while a slot is made."
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 1P)
  at = mmap(-1, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS)
task a
  munmap(at, 1P)
task b
  bind(vm, slot=0, gpa=0, size=1P, fd=fd, offset=0)
`,
  knownNames(),
)

describe('a section that is split is found, and by nothing else', () => {
  const seeded = (replacement: ReturnType<typeof replace>) =>
    defineDesign({
      id: 'split',
      summary: 'A section that Linux holds in one piece is two.',
      base: upm,
      cite: ['seeded'],
      replaces: [replacement],
    })
  const judge = (scenario: Scenario, replacement: ReturnType<typeof replace>): string[] => {
    const design = seeded(replacement)
    assert.deepEqual(unannounced(scenario, design, draw), [])
    return splitSections(scenario, design, draw, 60)
  }

  test('the state of an inode is tested, and its count taken later', () => {
    const testThenTake = fn(function* drop_pagecache_sb(sb: SuperBlock): Kernel<void> {
      yield* spinLock(sb.sInodeListLock)
      const inode = sb.sInodes
      if (inode !== null) {
        yield read(inode, 'iState')
        if (!(inode.iState & I_FREEING)) {
          yield rmw(inode, 'iCount')
          inode.iCount++
          spinUnlock(sb.sInodeListLock)
          yield* iput(inode)
          return
        }
      }
      spinUnlock(sb.sInodeListLock)
    })
    assert.deepEqual(judge(CLOSE_AND_DROP, replace(dropPagecacheSb, testThenTake)), [
      'Inode.iCount is written after iState was tested in an earlier section of i_lock, and not again',
    ])
  })

  test('who has to wait queues when the lock is dropped already', () => {
    const queueLate = fn(function* kvm_swap_active_memslots(kvm: Kvm): Kernel<void> {
      yield* spinLock(kvm.mnInvalidateLock)
      while (kvm.mnActiveInvalidateCount > 0) {
        spinUnlock(kvm.mnInvalidateLock)
        yield rmw(kvm.mnMemslotsUpdateWait, 'waiting')
        prepareToWait(kvm.mnMemslotsUpdateWait)
        yield* schedule(kvm.mnMemslotsUpdateWait)
        yield* spinLock(kvm.mnInvalidateLock)
      }
      finishWait(kvm.mnMemslotsUpdateWait)
      yield write(kvm, 'memslots')
      const old = kvm.memslots
      kvm.memslots = kvm.inactive
      spinUnlock(kvm.mnInvalidateLock)
      mutexUnlock(kvm.slotsArchLock)
      yield* synchronizeSrcu(kvm.srcu)
      kvm.inactive = old
    })
    assert.deepEqual(judge(BIND_AND_UNMAP, replace(kvmSwapActiveMemslots, queueLate)), [
      'Kvm.mnMemslotsUpdateWait is written after mnActiveInvalidateCount was tested in an earlier section of mn_invalidate_lock, and not again',
    ])
  })

  test('the list of inodes grows without its lock', () => {
    const listAtOnce = fn(function* inode_sb_list_add(inode: Inode): Kernel<void> {
      const sb = inode.iSb!
      yield rmw(sb, 'sInodes')
      inode.iSbNext = sb.sInodes
      inode.iSbListed = true
      sb.sInodes = inode
    })
    const scenario = readScenario(
      `litmus seeded/two-files
"Two files are made."
task a
  memfd_create()
task b
  memfd_create()
`,
      knownNames(),
    )
    assert.deepEqual(judge(scenario, replace(inodeSbListAdd, listAtOnce)), [
      'SuperBlock.sInodes is read without s_inode_list_lock',
      'SuperBlock.sInodes is written without s_inode_list_lock',
    ])
  })
})
