/**
 * /sys/kernel/debug/gup_test: pin a page of the process for as long as the file is open, as a device
 * or io_uring does. The pin is the file's.
 */
import { fn, type Kernel } from '../../machine/fn.js'
import { isErr, opsTable, ptrErr } from '../../machine/struct.js'
import { allocFilePseudo, fdInstall, fput, getUnusedFd, putUnusedFd } from '../fs/file_table.js'
import { allocAnonInode } from '../fs/inode.js'
import { EINVAL } from '../include/errno.js'
import { type File, type FileOperations, fsState, type Inode } from '../include/fs.js'
import type { Folio } from '../include/mm.js'
import { isPageAligned } from '../include/types.js'
import {
  O_RDWR,
  PIN_LONGTERM_TEST_FLAG_USE_FAST,
  PIN_LONGTERM_TEST_FLAG_USE_WRITE,
} from '../include/uapi.js'
import { pinUserPages, unpinUserPage } from './gup.js'

/**
 * Models: 6.2 mm/gup_test.c gup_test_release and pin_longterm_test_stop. Compared: 6.17 and 7.0
 * source.
 */
export const gupTestRelease = fn(function* gup_test_release(
  _inode: Inode,
  file: File,
): Kernel<number> {
  const folio = file.privateData as Folio | null
  file.privateData = null
  if (folio !== null) yield* unpinUserPage(folio)
  return 0
})

const gupTestFops: FileOperations = opsTable({ name: 'gup_test_fops', release: gupTestRelease })

/**
 * Pin a page for a file: 0; -EINVAL for an address (bytes) that is not page aligned, or unknown
 * flags; what get_user_pages() says.
 *
 * Models: 6.2 mm/gup_test.c pin_longterm_test_start. Simplifies: one page. Compared: 6.17 and 7.0
 * source.
 */
export const pinLongtermTestStart = fn(function* pin_longterm_test_start(
  file: File,
  address: bigint,
  flags: number,
): Kernel<number> {
  if (flags & ~(PIN_LONGTERM_TEST_FLAG_USE_WRITE | PIN_LONGTERM_TEST_FLAG_USE_FAST)) return -EINVAL
  if (!isPageAligned(address)) return -EINVAL
  const write = (flags & PIN_LONGTERM_TEST_FLAG_USE_WRITE) !== 0
  const fast = (flags & PIN_LONGTERM_TEST_FLAG_USE_FAST) !== 0
  const folio = yield* pinUserPages(address, write, fast)
  if (isErr(folio)) return ptrErr(folio)
  file.privateData = folio
  return 0
})

/**
 * Open the file and pin a page with it: a descriptor, or why not.
 *
 * Models: 6.2 mm/gup_test.c gup_test_ioctl, PIN_LONGTERM_TEST_START on a file that was just opened.
 * Simplifies: each open file has a pin of its own, where in Linux all share one and the second to ask
 * hears -EINVAL. Compared: 6.17 and 7.0 source.
 */
export const pinLongterm = fn(function* pin_longterm(
  address: bigint,
  flags: number,
): Kernel<number> {
  const fd = yield* getUnusedFd()
  if (fd < 0) return fd
  const inode = yield* allocAnonInode(fsState().anonInodes!)
  const file = allocFilePseudo(inode, gupTestFops, O_RDWR)
  const ret = yield* pinLongtermTestStart(file, address, flags)
  if (ret !== 0) {
    yield* fput(file)
    yield* putUnusedFd(fd)
    return ret
  }
  yield* fdInstall(fd, file)
  return fd
})
