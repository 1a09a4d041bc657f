/** The end of the process, in which order its parts go, and of files. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doExit } from '../../src/kernel/exit.js'
import { sysClose } from '../../src/kernel/fs/file_table.js'
import { sysFallocate, sysFtruncate } from '../../src/kernel/fs/open.js'
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { shmemAops } from '../../src/kernel/mm/shmem.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { takeRemarks } from '../../src/machine/fault.js'
import { opsTable } from '../../src/machine/struct.js'
import { userMmap } from '../../src/user/memory.js'
import { PAGE, returns, User } from './user.js'

/** What memfd_restricted() gives a memfd, if nobody tells shmem_mapping(). */
const ownAops = opsTable({ ...shmemAops, name: 'own_aops' })

for (const profile of ['6.2', '6.18'] as const) {
  test(`memory goes before files, and the file closed last goes first, on ${profile}`, () => {
    const user = new User(profile)
    user.call(sysKvmCreateVm, 0)
    const fd = user.call(sysMemfdCreate, 0)
    user.call(sysFtruncate, fd, BigInt(PAGE))
    user.call(userMmap, fd, PROT_READ | PROT_WRITE, MAP_SHARED, BigInt(PAGE), 0n, 0)
    const order = ['kvm_mmu_notifier_release', 'remove_vma', 'exit_mmap', 'exit_files']
    const freed = ['shmem_evict_inode', 'kvm_destroy_vm']
    assert.deepEqual(
      returns([...order, ...freed], () => user.call(doExit)),
      [...order, ...freed],
    )
  })

  test(`a file that shmem does not know as its own is warned of, and kept whole, on ${profile}`, () => {
    const user = new User(profile)
    const fd = user.call(sysMemfdCreate, 0)
    assert.equal(user.call(sysFallocate, fd, 0, 0n, BigInt(PAGE)), 0)
    user.mapping(fd).aOps = ownAops
    const close = (): number => user.call(sysClose, fd)
    assert.throws(close, { id: 'kernel-bug', message: /^clear_inode/ })
    assert.deepEqual(
      takeRemarks().map((r) => [r.id, r.message.split(':')[0]]),
      [['kernel-warning', 'shmem_evict_inode']],
    )
  })
}
