/** guest_memfd's own object. */
import '../../../machine/locks.js'
import { embed, num, type Obj, ptr, type Struct, struct } from '../../../machine/struct.js'
import type { File } from '../../include/fs.js'
import type { Kvm } from '../../include/kvm.js'
import '../../include/kvm.js'
import type { XArray } from '../../include/xarray.js'
import '../../include/xarray.js'

/** struct kvm_gmem: one VM's view of a guest_memfd. */
export interface KvmGmem extends Obj {
  /** A reference is held. Constant. */
  kvm: Kvm | null
  /** Page offset to memslot. Written under invalidate_lock, but see `kvmGmemUnbind`. */
  bindings: XArray
  /** Next view of the same inode. Guard: invalidate_lock. */
  entry: KvmGmem | null
  /** GUEST_MEMFD_FLAG_* that the file was created with; Linux keeps them in i_private. */
  flags: number
}

export const KvmGmem: Struct<KvmGmem> = struct<KvmGmem>(
  'KvmGmem',
  { kvm: ptr('Kvm'), bindings: embed('XArray'), entry: ptr('KvmGmem'), flags: num() },
  { capacity: 64 },
)

export function kvmGmemOf(file: File): KvmGmem {
  return file.privateData as KvmGmem
}
