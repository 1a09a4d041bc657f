/** memfd_restricted(2) in a kernel that does not have it. */
import { fn, type Kernel } from '../../machine/fn.js'
import { ENOSYS } from '../include/errno.js'

/**
 * Models: 6.2 kernel/sys_ni.c sys_ni_syscall. Replaced by the designs.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const sysMemfdRestricted = fn(function* sys_memfd_restricted(
  _flags: number,
): Kernel<number> {
  return -ENOSYS
})
