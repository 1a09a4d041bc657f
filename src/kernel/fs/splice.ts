/**
 * vmsplice(2): a page of the process goes into a pipe as it is, and who reads the pipe finds what
 * is in the page by then. Of what the process can do to keep a page, this takes nothing but a
 * reference.
 */
import { tracepoint } from '../../machine/fault.js'
import { fn, type Kernel } from '../../machine/fn.js'
import { isErr, opsTable, ptrErr } from '../../machine/struct.js'
import { type File, type FileOperations, fsState, type Inode } from '../include/fs.js'
import type { Folio } from '../include/mm.js'
import { O_RDWR } from '../include/uapi.js'
import { getUserPages } from '../mm/gup.js'
import { folioPut } from '../mm/swap.js'
import { allocFilePseudo, fdInstall, fput, getUnusedFd, putUnusedFd } from './file_table.js'
import { allocAnonInode } from './inode.js'

/**
 * Models: 6.2 fs/pipe.c pipe_release, with fs/splice.c page_cache_pipe_buf_release. Compared: 6.17
 * and 7.0 source.
 */
export const pipeRelease = fn(function* pipe_release(_inode: Inode, file: File): Kernel<number> {
  const folio = file.privateData as Folio | null
  file.privateData = null
  if (folio !== null) yield* folioPut(folio)
  return 0
})

const pipefifoFops: FileOperations = opsTable({ name: 'pipefifo_fops', release: pipeRelease })

/**
 * A page at an address (bytes) goes into a pipe: 0, or what get_user_pages() says.
 *
 * Models: 6.2 fs/splice.c iter_to_pipe, one page. Compared: 6.17 and 7.0 source.
 */
export const iterToPipe = fn(function* iter_to_pipe(pipe: File, address: bigint): Kernel<number> {
  const folio = yield* getUserPages(address, false)
  if (isErr(folio)) return ptrErr(folio)
  pipe.privateData = folio
  tracepoint('folio_held', folio)
  return 0
})

/**
 * pipe(2), and vmsplice(2) of one page into it: the pipe's descriptor, or why not.
 *
 * Models: 6.2 fs/splice.c vmsplice_to_pipe. Simplifies: a pipe for each call, with one descriptor for
 * both of its ends, which nobody reads. Compared: 6.17 and 7.0 source.
 */
export const vmspliceToPipe = fn(function* vmsplice_to_pipe(address: bigint): Kernel<number> {
  const fd = yield* getUnusedFd()
  if (fd < 0) return fd
  const inode = yield* allocAnonInode(fsState().anonInodes!)
  const file = allocFilePseudo(inode, pipefifoFops, O_RDWR)
  const ret = yield* iterToPipe(file, address)
  if (ret !== 0) {
    yield* fput(file)
    yield* putUnusedFd(fd)
    return ret
  }
  yield* fdInstall(fd, file)
  return fd
})
