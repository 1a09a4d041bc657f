/** read, write, pread, pwrite and lseek: who may, before the file's own operation. */
import { read } from '../../machine/effects.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { EBADF, EINVAL, ESPIPE } from '../include/errno.js'
import {
  type File,
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  FMODE_READ,
  FMODE_WRITE,
} from '../include/fs.js'
import { MAX_LFS_FILESIZE } from '../include/types.js'
import { SEEK_HOLE } from '../include/uapi.js'
import { fget, fput } from './file_table.js'

/**
 * Do `len` bytes from `pos` end within what a file can have?
 *
 * Models: 6.2 fs/read_write.c rw_verify_area.
 *
 * Compared: 6.17 and 7.0 source.
 */
function rwVerifyArea(pos: bigint, len: number): number {
  return pos < 0n || pos + BigInt(len) > MAX_LFS_FILESIZE ? -EINVAL : 0
}

/** Models: 6.2 fs/read_write.c vfs_read. */
export const vfsRead = fn(function* vfs_read(file: File, pos: bigint, len: number): Kernel<number> {
  if (!(file.fMode & FMODE_READ)) return -EBADF
  if (file.fOp!.read === undefined) return -EINVAL
  const error = rwVerifyArea(pos, len)
  return error !== 0 ? error : yield* file.fOp!.read!(file, pos, len)
})

/** Models: 6.2 fs/read_write.c vfs_write. */
export const vfsWrite = fn(function* vfs_write(
  file: File,
  pos: bigint,
  len: number,
  byte: number,
): Kernel<number> {
  if (!(file.fMode & FMODE_WRITE)) return -EBADF
  if (file.fOp!.write === undefined) return -EINVAL
  const error = rwVerifyArea(pos, len)
  return error !== 0 ? error : yield* file.fOp!.write!(file, pos, len, byte)
})

/**
 * pread64(2): bytes read or an error; -EBADF, -EINVAL for a negative position or without a read
 * operation, -ESPIPE if the file cannot be read at a position.
 *
 * Models: 6.2 fs/read_write.c ksys_pread64.
 */
export const sysPread = fn(function* pread64(fd: number, pos: bigint, len: number): Kernel<number> {
  if (pos < 0n) return -EINVAL
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = file.fMode & FMODE_PREAD ? yield* vfsRead(file, pos, len) : -ESPIPE
  yield* fput(file)
  return ret
})

/** pwrite64(2) of `len` bytes of one value; errors as pread64. Models: 6.2 ksys_pwrite64. */
export const sysPwrite = fn(function* pwrite64(
  fd: number,
  pos: bigint,
  len: number,
  byte: number,
): Kernel<number> {
  if (pos < 0n) return -EINVAL
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = file.fMode & FMODE_PWRITE ? yield* vfsWrite(file, pos, len, byte) : -ESPIPE
  yield* fput(file)
  return ret
})

/** read(2) at the file's position. Models: 6.2 fs/read_write.c ksys_read. */
export const sysRead = fn(function* ksys_read(fd: number, len: number): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = yield* vfsRead(file, file.fPos, len)
  if (ret > 0) file.fPos += BigInt(ret)
  yield* fput(file)
  return ret
})

/** write(2) at the file's position. Models: 6.2 fs/read_write.c ksys_write. */
export const sysWrite = fn(function* ksys_write(
  fd: number,
  len: number,
  byte: number,
): Kernel<number> {
  const file = yield* fget(fd)
  if (file === null) return -EBADF
  const ret = yield* vfsWrite(file, file.fPos, len, byte)
  if (ret > 0) file.fPos += BigInt(ret)
  yield* fput(file)
  return ret
})

/**
 * Seeking is allowed and moves nothing.
 *
 * Models: 6.2 fs/read_write.c noop_llseek. Compared: 6.17 and 7.0 source.
 */
export const noopLlseek = fn(function* noop_llseek(
  file: File,
  _offset: bigint,
  _whence: number,
): Kernel<bigint> {
  yield read(file, 'fPos')
  return file.fPos
})

/** lseek(2). Models: 6.2 fs/read_write.c ksys_lseek and vfs_llseek. */
export const sysLseek = fn(function* lseek(
  fd: number,
  offset: bigint,
  whence: number,
): Kernel<bigint> {
  const file = yield* fget(fd)
  if (file === null) return BigInt(-EBADF)
  let ret = BigInt(-EINVAL)
  if (whence >= 0 && whence <= SEEK_HOLE) {
    ret = BigInt(-ESPIPE)
    if (file.fMode & FMODE_LSEEK && file.fOp!.llseek !== undefined) {
      ret = yield* file.fOp!.llseek!(file, offset, whence)
    }
  }
  yield* fput(file)
  return ret
})
