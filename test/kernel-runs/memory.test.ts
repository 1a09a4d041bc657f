/**
 * What was observed on Linux 6.1 in an emulator (memory failure, soft offline, compaction, a guest
 * on ordinary memory) and holds for 6.2: poisoned, moved and shared pages as the process sees them.
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { guestRead, guestWrite } from '../../src/kernel/arch/x86/kvm/guest.js'
import { sysFallocate, sysFtruncate } from '../../src/kernel/fs/open.js'
import { sysLseek, sysPread, sysPwrite } from '../../src/kernel/fs/read_write.js'
import { STAT_BLOCKS, sysFstat } from '../../src/kernel/fs/stat.js'
import { EBUSY, EFAULT, EHWPOISON, EINTR, EIO, ENOMEM } from '../../src/kernel/include/errno.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import {
  MADV_DONTNEED,
  MADV_HWPOISON,
  MADV_POPULATE_READ,
  MADV_REMOVE,
  MADV_SOFT_OFFLINE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SEEK_DATA,
  SIGBUS_ADRERR,
  SIGBUS_MCEERR_AR,
} from '../../src/kernel/include/uapi.js'
import { compact } from '../../src/kernel/mm/compaction.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { unpoison } from '../../src/kernel/mm/soft_offline.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { userLoadAt, userStoreAt } from '../../src/user/access.js'
import { userMadvise, userMincore, userMlock, userMmap } from '../../src/user/memory.js'
import { drainLru, migratePage } from '../../src/user/pages.js'
import { slotOver } from '../../src/user/vmm.js'
import { PAGE, pinPage, User, unpinPage } from '../kernel/user.js'

const ONE = 4096n
const READ_WRITE = PROT_READ | PROT_WRITE
const PUNCH = 3

let user: User
const load = (at: number, offset = 0): number => user.call(userLoadAt, at, BigInt(offset))
const store = (at: number, byte: number): number => user.call(userStoreAt, at, 0n, byte)
const advise = (at: number, advice: number): number => user.call(userMadvise, at, ONE, advice, 0n)
const blocks = (fd: number): number => user.call(sysFstat, fd, STAT_BLOCKS)
const punch = (fd: number): number => user.call(sysFallocate, fd, PUNCH, 0n, ONE)
const map = (fd: number, flags = MAP_SHARED): number =>
  user.call(userMmap, fd, READ_WRITE, flags, 2n * ONE, 0n, 0)

/** A memfd of two pages, mapped, both pages written, nothing in a batch. */
function mapped(): { fd: number; at: number; folio: Folio } {
  const fd = user.call(sysMemfdCreate, 0)
  user.call(sysFtruncate, fd, 2n * ONE)
  const at = map(fd)
  store(at, 0x11)
  user.call(userStoreAt, at, ONE, 0x22)
  user.call(drainLru)
  return { fd, at, folio: user.cached(fd, 0)! }
}

function poisoned(): { fd: number; at: number; folio: Folio } {
  const all = mapped()
  assert.equal(advise(all.at, MADV_HWPOISON), 0)
  return all
}

describe('a poisoned page of a mapped memfd', () => {
  before(() => {
    user = new User('6.2')
  })

  test('stays in the file, off the LRU, mapped by nobody', () => {
    const { fd, folio } = poisoned()
    assert.deepEqual([folio.hwpoison, folio.lru, folio.mapcount], [true, false, 0])
    assert.equal(user.cached(fd, 0), folio)
    assert.equal(blocks(fd), 16)
  })

  test('is a SIGBUS to loads and stores, through old mappings and new ones', () => {
    const { fd, at } = poisoned()
    assert.deepEqual([load(at), store(at, 1)], [SIGBUS_MCEERR_AR, SIGBUS_MCEERR_AR])
    assert.equal(load(at, PAGE), 0x22)
    assert.equal(load(map(fd)), SIGBUS_MCEERR_AR)
    const own = map(fd, MAP_PRIVATE)
    assert.deepEqual([load(own), store(own, 1)], [SIGBUS_MCEERR_AR, SIGBUS_MCEERR_AR])
  })

  test('is -EIO to read and write, and there for mincore and SEEK_DATA', () => {
    const { fd, at } = poisoned()
    assert.equal(user.call(sysPread, fd, 0n, 1), -EIO)
    assert.equal(user.call(sysPwrite, fd, 0n, 1, 7), -EIO)
    assert.equal(user.call(sysPread, fd, ONE, 1), 1)
    assert.equal(user.call(userMincore, at, 0n), 1)
    assert.equal(user.call(sysLseek, fd, 0n, SEEK_DATA), 0)
    assert.equal(user.call(sysFallocate, fd, 0, 0n, ONE), 0)
  })

  test('cannot be populated, locked or poisoned again', () => {
    const { at } = poisoned()
    assert.equal(advise(at, MADV_POPULATE_READ), -EHWPOISON)
    assert.equal(user.call(userMlock, at, ONE, 0n), -ENOMEM)
    assert.equal(advise(at, MADV_HWPOISON), -EFAULT)
  })

  test('leaves the file with a punch; mappings that met the poison keep it until DONTNEED', () => {
    const { fd, at, folio } = poisoned()
    assert.equal(punch(fd), 0)
    assert.equal(blocks(fd), 8)
    assert.equal(user.call(sysPread, fd, 0n, 1), 1)
    assert.deepEqual([folio.hwpoison, folio.buddy], [true, false])
    assert.equal(user.call(sysPwrite, fd, 0n, 1, 9), 1)
    assert.equal(load(at), SIGBUS_MCEERR_AR)
    assert.equal(load(map(fd)), 9)
    assert.equal(advise(at, MADV_DONTNEED), 0)
    assert.equal(load(at), 9)
    assert.deepEqual([advise(at, MADV_REMOVE), load(at)], [0, 0])
  })

  test('leaves the mappings with a truncation', () => {
    const { fd, at } = poisoned()
    user.call(sysFtruncate, fd, 0n)
    assert.equal(load(at), SIGBUS_ADRERR)
    user.call(sysFtruncate, fd, ONE)
    assert.equal(load(at), 0)
  })

  test('can be unpoisoned only once it has left the file', () => {
    const { fd, folio } = poisoned()
    assert.equal(user.call(unpoison, folio.pfn), -EBUSY)
    punch(fd)
    assert.equal(user.call(unpoison, folio.pfn), 0)
    assert.equal(folio.hwpoison, false)
  })

  test('with another reference: -EBUSY, and poisoned and unmapped all the same', () => {
    const { at, folio } = mapped()
    user.call(pinPage, at)
    assert.equal(advise(at, MADV_HWPOISON), -EBUSY)
    assert.deepEqual([folio.hwpoison, folio.mapcount, load(at)], [true, 0, SIGBUS_MCEERR_AR])
    user.call(unpinPage)
  })

  test('a hole is faulted in to be poisoned', () => {
    const fd = user.call(sysMemfdCreate, 0)
    user.call(sysFtruncate, fd, ONE)
    const at = map(fd)
    assert.equal(advise(at, MADV_HWPOISON), 0)
    assert.deepEqual([blocks(fd), load(at)], [8, SIGBUS_MCEERR_AR])
  })
})

describe('a mapped page that moves', () => {
  before(() => {
    user = new User('6.2')
  })

  test('soft offline: another frame, the same content; not with another reference', () => {
    const { fd, at, folio } = mapped()
    user.call(pinPage, at)
    assert.equal(advise(at, MADV_SOFT_OFFLINE), -EBUSY)
    assert.deepEqual([user.cached(fd, 0), folio.hwpoison, load(at)], [folio, false, 0x11])
    user.call(unpinPage)
    user.call(drainLru)
    assert.equal(advise(at, MADV_SOFT_OFFLINE), 0)
    assert.deepEqual([folio.hwpoison, load(at)], [true, 0x11])
    assert.notEqual(user.cached(fd, 0), folio)
  })

  test('compaction moves it, locked or not, and the content stays', () => {
    const { fd, at, folio } = mapped()
    user.call(userMlock, at, ONE, 0n)
    user.call(compact)
    assert.notEqual(user.cached(fd, 0), folio)
    assert.deepEqual([load(at), load(at, PAGE)], [0x11, 0x22])
  })
})

describe('a guest on ordinary memory', () => {
  let vm: number
  before(() => {
    user = new User('6.2')
    vm = user.call(sysKvmCreateVm, 0)
  })
  const guest = (): number => user.call(guestRead, vm, 0n)

  test('sees what the process stores, a hole after a punch, and what is stored then', () => {
    const { fd, at } = mapped()
    assert.equal(user.call(slotOver, vm, 0, 0n, 2n * ONE, at), 0)
    assert.equal(guest(), 0x11)
    store(at, 0x33)
    assert.equal(guest(), 0x33)
    punch(fd)
    assert.equal(guest(), 0)
    user.call(sysPwrite, fd, 0n, 1, 0x44)
    assert.equal(guest(), 0x44)
    assert.equal(user.call(guestWrite, vm, 0n, 0x55), 0)
    assert.equal(load(at), 0x55)
  })

  test('keeps its value over migration and soft offline, and gets EINTR for poison', () => {
    const { fd, at } = mapped()
    assert.equal(user.call(slotOver, vm, 1, 8n * ONE, 2n * ONE, at), 0)
    const other = (): number => user.call(guestRead, vm, 8n * ONE)
    assert.equal(other(), 0x11)
    assert.equal(user.call(migratePage, fd, 0), 0)
    assert.equal(other(), 0x11)
    user.call(drainLru)
    assert.equal(advise(at, MADV_SOFT_OFFLINE), 0)
    assert.equal(other(), 0x11)
    user.call(drainLru)
    assert.equal(advise(at, MADV_HWPOISON), 0)
    assert.deepEqual([other(), other()], [-EINTR, -EINTR])
    punch(fd)
    assert.equal(other(), -EINTR)
    assert.equal(advise(at, MADV_DONTNEED), 0)
    assert.equal(other(), 0)
  })
})
