/** The end of the process: in which order its parts go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doExit } from '../../src/kernel/exit.js'
import { sysFtruncate } from '../../src/kernel/fs/open.js'
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../../src/kernel/include/uapi.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { watchReturns } from '../../src/machine/frames.js'
import { userMmap } from '../../src/user/memory.js'
import { PAGE, User } from './user.js'

/** Which of these functions return while something runs, in order; once for several in a row. */
function returns(cNames: readonly string[], run: () => void): string[] {
  const seen: string[] = []
  watchReturns((name) => {
    if (cNames.includes(name) && seen.at(-1) !== name) seen.push(name)
  })
  run()
  watchReturns(undefined)
  return seen
}

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
}
