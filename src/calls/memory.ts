/** Calls on the memory of the process, and its own loads and stores. */
import {
  MADV_HWPOISON,
  MADV_SOFT_OFFLINE,
  MAP_ANONYMOUS,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  PIN_LONGTERM_TEST_FLAG_USE_WRITE,
} from '../kernel/include/uapi.js'
import { sysSwapon } from '../kernel/mm/swapon.js'
import { userLoadAt, userStoreAt } from '../user/access.js'
import {
  userMadvise,
  userMincore,
  userMlock,
  userMmap,
  userMovePage,
  userMprotect,
  userMsync,
  userMunlock,
  userMunmap,
  userPinLongterm,
  userVmsplice,
} from '../user/memory.js'
import { type Arguments, address, bytes, call, fd, hidden, length, number, offset } from './call.js'

/** A private map is charged as a whole, and the kernel's log tells if it is more than there is. */
const MAX_MAP = 1n << 30n
/** What is populated or locked is there at once. */
const MAX_RESIDENT = 1n << 20n
/** No map is as long as this. */
const ADDRESS_SPACE = 1n << 47n
const HARMLESS = BigInt(
  MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | MAP_LOCKED,
)
const AT_ONCE = BigInt(MAP_POPULATE | MAP_LOCKED)

/** Addresses of its own choice are for no program: the worker lives in the same memory. */
function refuseMap({ flags = 0n, size = 0n }: Arguments): string | undefined {
  if ((flags & ~HARMLESS) !== 0n) return 'flags that choose an address, or take what is scarce'
  if (size > MAX_MAP && size < ADDRESS_SPACE) return 'more than 1 GiB'
  return (flags & AT_ONCE) !== 0n && size > MAX_RESIDENT ? 'more than 1 MiB at once' : undefined
}

/** Whether advice takes frames of the machine out of use, for good. */
function refuseAdvice({ advice = 0n }: Arguments): string | undefined {
  const breaks = advice === BigInt(MADV_HWPOISON) || advice === BigInt(MADV_SOFT_OFFLINE)
  return breaks ? 'memory of this host would break' : undefined
}

export const MEMORY_CALLS = {
  mmap: call(
    userMmap,
    [
      fd,
      number('prot'),
      number('flags'),
      bytes('size', 4096),
      bytes('offset', 0),
      hidden({ ...address, preset: 0 }),
    ],
    'mmap(2): the address, or why not. An address matters with MAP_FIXED.',
    { makes: 'map', refuse: refuseMap },
  ),
  munmap: call(userMunmap, [address, length('size'), offset], 'munmap(2).', {
    nr: 11,
    ends: 'map',
  }),
  madvise: call(
    userMadvise,
    [address, length('size'), number('advice'), offset],
    'madvise(2), with advice such as MADV_DONTNEED.',
    { nr: 28, refuse: refuseAdvice },
  ),
  mprotect: call(userMprotect, [address, length('size'), number('prot'), offset], 'mprotect(2).', {
    nr: 10,
  }),
  mlock: call(userMlock, [address, length('size'), offset], 'mlock(2).', { nr: 149 }),
  munlock: call(userMunlock, [address, length('size'), offset], 'munlock(2).', { nr: 150 }),
  msync: call(userMsync, [address, length('size'), number('flags'), offset], 'msync(2).', {
    nr: 26,
  }),
  mincore: call(userMincore, [address, offset], 'mincore(2) of one page: 0 or 1.', {}),
  load: call(userLoadAt, [address, offset], 'Load a byte, or get a signal.', {}),
  store: call(userStoreAt, [address, offset, number('byte')], 'Store a byte: 0, or a signal.', {}),
  move_pages: call(
    userMovePage,
    [address, number('node'), offset],
    "move_pages(2) of one page, with MPOL_MF_MOVE: the page's status, which is -1 before.",
    { was: 'move', ownMachine: true },
  ),
  pin_longterm: call(
    userPinLongterm,
    [address, offset, number('flags', PIN_LONGTERM_TEST_FLAG_USE_WRITE)],
    'A page of the process is pinned, as for a device, until the descriptor is closed.',
  ),
  vmsplice: call(
    userVmsplice,
    [address, offset],
    'vmsplice(2) of a page into a new pipe, which has it until the descriptor is closed.',
  ),
  swapon: call(sysSwapon, [bytes('size')], 'swapon(2) of a RAM disk: a header, then slots.'),
} as const
