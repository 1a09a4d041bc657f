/** Error numbers as in include/uapi/asm-generic/errno*.h; kernel functions return them negated. */
import { SIGNALS } from './uapi.js'

export const EPERM = 1
export const ENOENT = 2
export const ESRCH = 3
export const EINTR = 4
export const EIO = 5
export const ENXIO = 6
export const EBADF = 9
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EBUSY = 16
export const EEXIST = 17
export const EXDEV = 18
export const ENODEV = 19
export const ENOTDIR = 20
export const EISDIR = 21
export const EINVAL = 22
export const ENFILE = 23
export const EMFILE = 24
export const ENOTTY = 25
export const ETXTBSY = 26
export const EFBIG = 27
export const ENOSPC = 28
export const ESPIPE = 29
export const EROFS = 30
export const ENOSYS = 38
export const EOVERFLOW = 75
export const EBADFD = 77
export const EOPNOTSUPP = 95
export const EHWPOISON = 133

/** Every errno by name. */
export const ERRNO: Readonly<Record<string, number>> = {
  EPERM,
  ENOENT,
  ESRCH,
  EINTR,
  EIO,
  ENXIO,
  EBADF,
  EAGAIN,
  ENOMEM,
  EACCES,
  EFAULT,
  EBUSY,
  EEXIST,
  EXDEV,
  ENODEV,
  ENOTDIR,
  EISDIR,
  EINVAL,
  ENFILE,
  EMFILE,
  ENOTTY,
  ETXTBSY,
  EFBIG,
  ENOSPC,
  ESPIPE,
  EROFS,
  ENOSYS,
  EOVERFLOW,
  EBADFD,
  EOPNOTSUPP,
  EHWPOISON,
}

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(ERRNO).map(([name, n]) => [-n, `-${name}`] as const),
  ...Object.entries(SIGNALS).map(([name, n]) => [n, name] as const),
])

/** `-EBUSY` for -16, the name of a signal for its value; else the number itself. */
export function errnoName(value: number): string {
  return NAMES.get(value) ?? String(value)
}
