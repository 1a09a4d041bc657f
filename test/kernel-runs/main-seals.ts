/** E9 of the recorded runs: which files have seals, and what the predicate says of them. */
import { sysClose } from '../../src/kernel/fs/file_table.js'
import {
  DEVTMPFS_DEVICE,
  openTmpfs,
  TMPFS_DIRECTORY,
  TMPFS_FIFO,
  TMPFS_REGULAR,
} from '../../src/kernel/fs/namei.js'
import { F_SEAL_WRITE, MFD_ALLOW_SEALING } from '../../src/kernel/include/uapi.js'
import { sysFcntlAddSeals, sysFcntlGetSeals, sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import { shmemMapping } from '../../src/kernel/mm/shmem.js'
import { setCurrent, taskNumber } from '../../src/machine/task.js'
import { create } from './calls.js'
import { fileOf, type Observation } from './observe.js'
import type { Replay } from './replay.js'
import { call } from './runner.js'

/** Each is a new object of its kind. devtmpfs is a tmpfs, and so was the recorded root. */
const OBJECTS: readonly (readonly [name: string, open: () => number])[] = [
  ['/dev/null O_RDWR', () => call(openTmpfs, DEVTMPFS_DEVICE)],
  ['/dev/zero O_RDWR', () => call(openTmpfs, DEVTMPFS_DEVICE)],
  ['tmpfs directory', () => call(openTmpfs, TMPFS_DIRECTORY)],
  ['devtmpfs directory /dev', () => call(openTmpfs, TMPFS_DIRECTORY)],
  ['tmpfs fifo', () => call(openTmpfs, TMPFS_FIFO)],
  ['tmpfs regular file', () => call(openTmpfs, TMPFS_REGULAR)],
  ['memfd plain', () => call(sysMemfdCreate, 0)],
  ['memfd ALLOW_SEALING', () => call(sysMemfdCreate, MFD_ALLOW_SEALING)],
  ['restricted fd', create],
  ['rootfs file /init', () => call(openTmpfs, TMPFS_REGULAR)],
]

function predicate(fd: number): Observation {
  const file = fileOf(fd)
  setCurrent(taskNumber(0))
  const isShmem = shmemMapping(file.fMapping!)
  setCurrent(undefined)
  const magic = `0x${file.fInode!.iSb!.sMagic.toString(16)}`
  return { open: true, shmem_mapping: Number(isShmem), magic }
}

export function mainSeals(r: Replay): void {
  for (const [name, open] of OBJECTS) {
    const fd = open()
    const ret = call(sysFcntlGetSeals, fd)
    r.row('E9.seals', `F_GET_SEALS on ${name}`, { ret, obs: predicate(fd) })
    const add = `F_ADD_SEALS WRITE on ${name}`
    if (r.isNext(add)) r.row('E9.seals', add, { ret: call(sysFcntlAddSeals, fd, F_SEAL_WRITE) })
    call(sysClose, fd)
  }
}
