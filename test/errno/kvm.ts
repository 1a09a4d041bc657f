/** KVM: files of guest memory, memslots, attributes, prefault. 6.2 has but the oldest of them. */
import type { Op } from '../../src/conform/program.js'
import { sysMemfdCreate } from '../../src/kernel/mm/memfd.js'
import {
  sysKvmCreateGuestMemfd,
  sysKvmPreFaultMemory,
} from '../../src/kernel/virt/kvm/guest_memfd.js'
import { sysKvmCreateVm } from '../../src/kernel/virt/kvm/kvm_main.js'
import { sysKvmSetMemoryAttributes } from '../../src/kernel/virt/kvm/memory_attributes.js'
import {
  sysKvmSetUserMemoryRegion,
  sysKvmSetUserMemoryRegion2,
} from '../../src/kernel/virt/kvm/memory_region.js'
import { setAttributes2 } from '../../src/user/vmm.js'
import { type Call, now, type Row, same } from './row.js'

const P = 4096
const KEEP = 1
const PUNCH = 3
const GMEM = 4
const READ_WRITE = 3
const SHARED = 1
const PRIVATE = 2
const TOP = 2n ** 63n

/** A guest_memfd of four pages that can be mapped and is shared from the start, then more. */
const file = (...then: readonly Op[]): readonly Op[] => [
  ['kvm_create_guest_memfd', 4 * P, 3],
  ...then,
]
/** The same bound to slot 0 at guest address 0. */
const bound = (...then: readonly Op[]): readonly Op[] =>
  file(['kvm_set_user_memory_region2', 0, GMEM, 0, 4 * P, 0, 0], ...then)

/** A VM with a file that a slot is bound to, closed. */
const onClosed: readonly Op[] = [
  ['kvm_create_vm', 0],
  ['kvm_create_guest_memfd', P, 3],
  ['kvm_set_user_memory_region2', 0, GMEM, 0, P, 1, 0],
  ['close', 0],
  ['unbind', 0],
]

const createRows: readonly Row[] = [
  now('KVM_CREATE_GUEST_MEMFD', 'size 0', '-EINVAL', [['kvm_create_guest_memfd', 0, 0]]),
  now('KVM_CREATE_GUEST_MEMFD', 'a size that is not page aligned', '-EINVAL', [
    ['kvm_create_guest_memfd', 1, 0],
  ]),
  now('KVM_CREATE_GUEST_MEMFD', 'a negative size', '-EINVAL', [['kvm_create_guest_memfd', -P, 0]]),
  now('KVM_CREATE_GUEST_MEMFD', '2^63 - 4096', 'fd', [['kvm_create_guest_memfd', TOP - 4096n, 0]]),
  now('KVM_CREATE_GUEST_MEMFD', 'an unknown flag', '-EINVAL', [['kvm_create_guest_memfd', P, 4]]),
  now('KVM_CREATE_GUEST_MEMFD', 'INIT_SHARED without MMAP', 'fd', [
    ['kvm_create_guest_memfd', P, 2],
  ]),
  now(
    'KVM_CREATE_GUEST_MEMFD',
    'INIT_SHARED in a VM with private memory',
    '-EINVAL',
    (call) => call(sysKvmCreateGuestMemfd, call(sysKvmCreateVm, 1), 4096n, 2n),
    'recorded',
  ),
]

const gmemFileRows: readonly Row[] = [
  now(
    'fallocate of a guest_memfd',
    'without KEEP_SIZE',
    '-EOPNOTSUPP',
    file(['fallocate', 0, 0, 0, P]),
  ),
  now(
    'fallocate of a guest_memfd',
    'without KEEP_SIZE, and not page aligned',
    '-EOPNOTSUPP',
    file(['fallocate', 0, 0, 1, P]),
  ),
  now(
    'fallocate of a guest_memfd',
    'not page aligned',
    '-EINVAL',
    file(['fallocate', 0, KEEP, 1, P]),
  ),
  now(
    'fallocate of a guest_memfd',
    'allocation beyond the end',
    '-EINVAL',
    file(['fallocate', 0, KEEP, 4 * P, P]),
  ),
  now(
    'fallocate of a guest_memfd',
    'punch beyond the end',
    0,
    file(['fallocate', 0, PUNCH, 4 * P, P]),
  ),
  now(
    'fallocate of a guest_memfd',
    'punch that ends at 2^63',
    '-EFBIG',
    file(['fallocate', 0, PUNCH, TOP - 4096n, P]),
  ),
  now('ftruncate of a guest_memfd', 'any size', '-EINVAL', file(['ftruncate', 0, 4 * P])),
  now('read of a guest_memfd', '', '-EINVAL', file(['read', 0, 8])),
  now('pread of a guest_memfd', '', '-ESPIPE', file(['pread', 0, 0, 8])),
  now('lseek of a guest_memfd', '', '-ESPIPE', file(['lseek', 0, 0, 0])),
  now('fcntl(F_GET_SEALS) of a guest_memfd', '', '-EINVAL', file(['fcntl_get_seals', 0])),
  now('mmap of a guest_memfd', 'without the flag MMAP', '-ENODEV', [
    ['kvm_create_guest_memfd', P, 0],
    ['mmap', 0, READ_WRITE, SHARED, P, 0],
  ]),
  now(
    'mmap of a guest_memfd',
    'MAP_PRIVATE',
    '-EINVAL',
    file(['mmap', 0, READ_WRITE, PRIVATE, P, 0]),
  ),
  now('a load from a guest_memfd', 'behind the end of the file', '-EFAULT', [
    ['kvm_create_guest_memfd', P, 3],
    ['mmap', 0, READ_WRITE, SHARED, 2 * P, 0],
    ['load', 0, P],
  ]),
  now('a load from a guest_memfd', 'without the flag INIT_SHARED', '-EFAULT', [
    ['kvm_create_guest_memfd', P, 1],
    ['mmap', 0, READ_WRITE, SHARED, P, 0],
    ['load', 0, 0],
  ]),
]

const REGION2 = 'KVM_SET_USER_MEMORY_REGION2'

const regionRows: readonly Row[] = [
  now(
    REGION2,
    'an unknown flag',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, 8, 0, P, 0, 0]),
  ),
  now(
    REGION2,
    'GUEST_MEMFD and LOG_DIRTY_PAGES',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, 5, 0, P, 0, 0]),
  ),
  now(
    REGION2,
    'GUEST_MEMFD and READONLY',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, 6, 0, P, 0, 0]),
  ),
  now(
    REGION2,
    'an unaligned size',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, GMEM, 0, P + 1, 0, 0]),
  ),
  now(
    REGION2,
    'an unaligned guest address',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, GMEM, 1, P, 0, 0]),
  ),
  now(
    REGION2,
    'an unaligned offset',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 1]),
  ),
  now(REGION2, 'an unaligned offset, and a bad descriptor', '-EINVAL', [
    ['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 1],
  ]),
  now(REGION2, 'a range of guest memory that wraps', '-EINVAL', [
    ['kvm_set_user_memory_region2', 0, 0, -P, 2 * P, 0, 0],
  ]),
  now(REGION2, 'a slot number that there is not', '-EINVAL', [
    ['kvm_set_user_memory_region2', 32764, 0, 0, P, 0, 0],
  ]),
  now(REGION2, 'another address space', '-EINVAL', [
    ['kvm_set_user_memory_region2', 65536, 0, 0, P, 0, 0],
  ]),
  now(REGION2, 'deleting a slot that there is not', '-EINVAL', [['unbind', 0]]),
  now(REGION2, 'the same request again, with GUEST_MEMFD', '-EINVAL', [
    ...bound(),
    ['kvm_set_user_memory_region2', 0, GMEM, 0, 4 * P, 0, 0],
  ]),
  now(REGION2, 'the same request again, without', 0, [
    ['kvm_set_user_memory_region2', 0, 0, 0, P, 0, 0],
    ['kvm_set_user_memory_region2', 0, 0, 0, P, 0, 0],
  ]),
  now(REGION2, 'GUEST_MEMFD cleared on a live slot (0 on 6.18.2)', '-EINVAL', [
    ...bound(),
    ['kvm_set_user_memory_region2', 0, 0, 0, 4 * P, 0, 0],
  ]),
  now(REGION2, 'another size of a live slot', '-EINVAL', [
    ['kvm_set_user_memory_region2', 0, 0, 0, P, 0, 0],
    ['kvm_set_user_memory_region2', 0, 0, 0, 2 * P, 0, 0],
  ]),
  now(REGION2, 'READONLY set on a live slot', '-EINVAL', [
    ['kvm_set_user_memory_region2', 0, 0, 0, P, 0, 0],
    ['kvm_set_user_memory_region2', 0, 2, 0, P, 0, 0],
  ]),
  now(REGION2, 'LOG_DIRTY_PAGES set on a live slot', 0, [
    ['kvm_set_user_memory_region2', 0, 0, 0, P, 0, 0],
    ['kvm_set_user_memory_region2', 0, 1, 0, P, 0, 0],
  ]),
  now(REGION2, 'guest memory that another slot has', '-EEXIST', [
    ...bound(),
    ['kvm_set_user_memory_region2', 1, 0, P, P, 0, 0],
  ]),
  now(REGION2, 'guest memory that another slot has, and a bad descriptor', '-EEXIST', [
    ...bound(),
    ['kvm_set_user_memory_region2', 1, GMEM, P, P, 7, 0],
  ]),
  now(REGION2, 'a bad descriptor', '-EBADF', [
    ['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 0],
  ]),
  now(REGION2, 'a memfd', '-EINVAL', [
    ['memfd_create', 0],
    ['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 0],
  ]),
  now(
    REGION2,
    'a guest_memfd of another VM',
    '-EINVAL',
    file(['kvm_create_vm', 0], ['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 0]),
    'read',
  ),
  now(
    REGION2,
    'a VM as the file',
    '-EINVAL',
    [
      ['kvm_create_vm', 0],
      ['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 0],
    ],
    'read',
  ),
  now(REGION2, 'on a VM that was closed, while its file lives', '-EBADF', onClosed, 'read'),
  now(
    REGION2,
    'on a file that is no VM',
    '-ENOTTY',
    [
      ['memfd_create', 0],
      ['use', 0],
      ['unbind', 0],
    ],
    'read',
  ),
  now(REGION2, 'slot 32763', 0, [['kvm_set_user_memory_region2', 32763, 0, 0, P, 0, 0]], 'read'),
  now(
    REGION2,
    'beyond the end of the file',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, 4 * P]),
  ),
  now(REGION2, 'pages of the file that another slot has', '-EINVAL', [
    ...bound(),
    ['kvm_set_user_memory_region2', 1, GMEM, 8 * P, P, 0, 0],
  ]),
  now(
    REGION2,
    'an offset whose sum with the size is 2^63',
    0,
    file(['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, TOP - 4096n]),
  ),
  now(
    REGION2,
    'an offset whose sum with the size is less',
    '-EINVAL',
    file(['kvm_set_user_memory_region2', 0, GMEM, 0, P, 0, TOP - 8192n]),
  ),
  now(
    REGION2,
    'a user address of the kernel',
    '-EINVAL',
    (call) => {
      const vm = call(sysKvmCreateVm, 0)
      const hva = 0xffff800000000000n
      return call(sysKvmSetUserMemoryRegion2, vm, 0, 0, 0n, 4096n, hva, -1, 0n)
    },
    'recorded',
  ),
  now(
    REGION2,
    "another VM's guest_memfd",
    '-EINVAL',
    (call) => {
      const fd = call(sysKvmCreateGuestMemfd, call(sysKvmCreateVm, 0), 4096n, 0n)
      const other = call(sysKvmCreateVm, 0)
      return call(sysKvmSetUserMemoryRegion2, other, 0, GMEM, 0n, 4096n, 0n, fd, 0n)
    },
    'recorded',
  ),
  now(
    'KVM_SET_USER_MEMORY_REGION',
    'GUEST_MEMFD',
    '-EINVAL',
    (call) => call(sysKvmSetUserMemoryRegion, call(sysKvmCreateVm, 0), 0, GMEM, 0n, 4096n, 0n),
    'recorded',
  ),
]

/** A row of KVM_SET_USER_MEMORY_REGION in a VM without slots; both versions have that. */
function region(
  condition: string,
  answer: string | number,
  [gpa, size, uaddr]: readonly [gpa: bigint, size: bigint, uaddr: bigint],
): Row {
  const run = (call: Call): number =>
    call(sysKvmSetUserMemoryRegion, call(sysKvmCreateVm, 0), 0, 0, gpa, size, uaddr)
  return same('KVM_SET_USER_MEMORY_REGION', condition, answer, run, 'read')
}

const END_OF_USER = 2n ** 47n - 4096n

const plainRegionRows: readonly Row[] = [
  region('the last page of user space', 0, [0n, 4096n, END_OF_USER - 4096n]),
  region('user memory behind its end', '-EINVAL', [0n, 4096n, END_OF_USER]),
  region('user memory that reaches behind its end', '-EINVAL', [0n, 8192n, END_OF_USER - 4096n]),
  region('a user address that is negative', '-EINVAL', [0n, 4096n, -4096n]),
  region('a range of guest memory that wraps', '-EINVAL', [-4096n, 8192n, 0n]),
  region('2^31 pages', '-EINVAL', [0n, 2n ** 43n, 0n]),
  region('the last page of guest memory', 0, [2n ** 52n - 4096n, 4096n, 0n]),
  region('guest memory behind its end', '-EINVAL', [2n ** 52n, 4096n, 0n]),
  region('guest memory that reaches behind its end', '-EINVAL', [2n ** 52n - 4096n, 8192n, 0n]),
]

type Words = readonly [gpa: bigint, size: bigint, attributes: bigint, flags: bigint]

/** A row of KVM_SET_MEMORY_ATTRIBUTES in a VM of this type. */
function attributes(type: number, condition: string, answer: string | number, words: Words): Row {
  const run = (call: Call): number =>
    call(sysKvmSetMemoryAttributes, call(sysKvmCreateVm, type), ...words)
  return now('KVM_SET_MEMORY_ATTRIBUTES', condition, answer, run, 'recorded')
}

const attributeRows: readonly Row[] = [
  attributes(1, 'PRIVATE, where no slot is', 0, [0n, 4096n, 8n, 0n]),
  attributes(0, 'PRIVATE in a VM without private memory', '-EINVAL', [0n, 4096n, 8n, 0n]),
  attributes(0, 'no attribute in a VM without private memory', 0, [0n, 4096n, 0n, 0n]),
  attributes(1, 'an unknown attribute', '-EINVAL', [0n, 4096n, 1n, 0n]),
  attributes(1, 'a flag', '-EINVAL', [0n, 4096n, 8n, 1n]),
  attributes(1, 'size 0', '-EINVAL', [0n, 0n, 8n, 0n]),
  attributes(1, 'an unaligned size', '-EINVAL', [0n, 1n, 8n, 0n]),
  attributes(1, 'an unaligned address', '-EINVAL', [1n, 4096n, 8n, 0n]),
  attributes(1, 'a range that ends at 2^64', '-EINVAL', [2n ** 64n - 4096n, 4096n, 8n, 0n]),
  attributes(1, 'beyond the width of guest addresses', 0, [2n ** 51n, 4096n, 8n, 0n]),
]

type Range = readonly [gpa: bigint, size: bigint, flags: bigint]

/** A row of KVM_PRE_FAULT_MEMORY in a software-protected VM without slots. */
function prefault(
  condition: string,
  answer: string | number,
  range: Range,
  isPrivate = false,
): Row {
  const run = (call: Call): number => {
    const vm = call(sysKvmCreateVm, 1)
    if (isPrivate) call(sysKvmSetMemoryAttributes, vm, 0n, 4096n, 8n, 0n)
    return call(sysKvmPreFaultMemory, vm, ...range)
  }
  return now('KVM_PRE_FAULT_MEMORY', condition, answer, run, 'recorded')
}

/** What converts pages in place asks the file; no released kernel knows it. */
const attributes2 = (fd: (call: Call) => number) => (call: Call) =>
  call(setAttributes2, fd(call), 0n, 4096n, 8n, 0n, 0)

const attributes2Rows: readonly Row[] = [
  same(
    'KVM_SET_MEMORY_ATTRIBUTES2',
    'no such file',
    '-EBADF',
    attributes2(() => 9),
    'read',
  ),
  same(
    'KVM_SET_MEMORY_ATTRIBUTES2',
    'any file',
    '-ENOTTY',
    attributes2((call) => call(sysMemfdCreate, 0)),
    'read',
  ),
]

const prefaultRows: readonly Row[] = [
  prefault('a flag', '-EINVAL', [0n, 4096n, 1n]),
  prefault('size 0', '-EINVAL', [0n, 0n, 0n]),
  prefault('an unaligned size', '-EINVAL', [0n, 1n, 0n]),
  prefault('a range that ends at 2^64', '-EINVAL', [2n ** 64n - 4096n, 4096n, 0n]),
  prefault('no slot', '-ENOENT', [0n, 4096n, 0n]),
  prefault('no slot, and the attribute PRIVATE', '-EFAULT', [0n, 4096n, 0n], true),
]

export const kvmRows: readonly Row[] = [
  ...createRows,
  ...gmemFileRows,
  ...regionRows,
  ...plainRegionRows,
  ...attributeRows,
  ...attributes2Rows,
  ...prefaultRows,
]
