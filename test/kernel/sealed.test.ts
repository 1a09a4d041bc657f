/**
 * Whoever takes a page of a memfd to write to it looks at the seals first. If it does that without
 * the inode's lock, F_SEAL_WRITE may be set, and its wait for references be over, before the page is
 * taken: udmabuf did so until 9cb189a88273. Linux's other ways to a page go through mappings, which
 * that seal refuses; so the driver is one of the test.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkScenario } from '../../src/app/check.js'
import { knownNames } from '../../src/app/known.js'
import { defineDesign } from '../../src/designs/design.js'
import { fget, fput } from '../../src/kernel/fs/file_table.js'
import { sysFsync } from '../../src/kernel/fs/sync.js'
import { EINVAL } from '../../src/kernel/include/errno.js'
import type { File, Inode } from '../../src/kernel/include/fs.js'
import { type Folio, SGP_CACHE } from '../../src/kernel/include/mm.js'
import type { Pgoff } from '../../src/kernel/include/types.js'
import { F_SEAL_WRITE } from '../../src/kernel/include/uapi.js'
import { folioUnlock } from '../../src/kernel/mm/filemap.js'
import { shmemGetFolio, shmemI } from '../../src/kernel/mm/shmem.js'
import { folioPut } from '../../src/kernel/mm/swap.js'
import { readScenario } from '../../src/litmus/scenario.js'
import { type Blob, withBytes } from '../../src/machine/blob.js'
import { read, write } from '../../src/machine/effects.js'
import { fn, type Kernel, replace } from '../../src/machine/fn.js'
import { downRead, upRead } from '../../src/machine/locks.js'

/** The first page with a reference, or NULL if the file may not be written. */
const pinUnlessSealed = fn(function* pin_unless_sealed(inode: Inode): Kernel<Folio | null> {
  yield read(shmemI(inode), 'seals')
  if (shmemI(inode).seals & F_SEAL_WRITE) return null
  const folio = (yield* shmemGetFolio(inode, 0 as Pgoff, SGP_CACHE)) as Folio
  yield* folioUnlock(folio)
  return folio
})

const pinUnderLock = fn(function* pin_under_lock(inode: Inode): Kernel<Folio | null> {
  yield* downRead(inode.iRwsem)
  const folio = yield* pinUnlessSealed(inode)
  yield* upRead(inode.iRwsem)
  return folio
})

const pin = fn(function* pin(inode: Inode): Kernel<Folio | null> {
  return yield* pinUnlessSealed(inode)
})

/** In the place of fsync(): the request to a driver that writes into the first page of a memfd. */
const driverWrites = fn(function* driver_writes(fd: number): Kernel<number> {
  const file = (yield* fget(fd)) as File
  const folio = yield* pin(file.fInode!)
  if (folio !== null) {
    yield write(folio, 'data')
    folio.data = withBytes(folio.data as Blob, 0, 1, 0x66)
    yield* folioPut(folio)
  }
  yield* fput(file)
  return folio === null ? -EINVAL : 0
})

const SCENARIO = `litmus test/sealed-beside-a-driver
"A driver takes a page of a memfd to write to it while the file is sealed. Does sealed memory change?"

setup
  fd = memfd_create(MFD_ALLOW_SEALING)
  ftruncate(fd, 1P) == 0
  pwrite(fd, offset=0, length=1, byte=0x5a) == 1
  at = mmap(fd, PROT_READ, MAP_PRIVATE, 1P)

task driver
  d = fsync(fd)

task owner
  s = fcntl_add_seals(fd, F_SEAL_WRITE)
  before = load(at)
  after = load(at)

never owner:s == 0 and owner:before != owner:after
sometimes owner:s == -EBUSY
sometimes driver:d == -EINVAL
`

for (const profile of ['6.2', '6.18'] as const) {
  for (const [how, locked, expected] of [
    ['under the lock of the inode keeps what is sealed', true, ['clean']],
    ['without it changes what is sealed', false, ['finding', 'condition-violated']],
  ] as const) {
    test(`a driver that looks at the seals ${how}, on ${profile}`, () => {
      const design = defineDesign({
        id: 'driver',
        summary: 'fsync() writes to the first page.',
        profile,
        cite: ['9cb189a88273'],
        replaces: [
          replace(sysFsync, driverWrites),
          ...(locked ? [replace(pin, pinUnderLock)] : []),
        ],
      })
      const scenario = readScenario(SCENARIO, knownNames())
      const { verdict, findings, proof } = checkScenario(scenario, design, {
        keepGoing: () => true,
        now: () => 0,
      })
      assert.deepEqual([verdict, ...findings.map((f) => f.id)], expected)
      assert.equal(proof, 'exhaustive')
    })
  }
}
