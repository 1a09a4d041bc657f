/** guest_memfd's inode, once it knows of each of its pages whether it is private. */
import '../../../machine/locks.js'
import {
  containerOf,
  embed,
  num,
  type Obj,
  ptr,
  type Struct,
  struct,
  type Vec,
  vec,
} from '../../../machine/struct.js'
import type { Inode, SuperBlock } from '../../include/fs.js'
import '../../include/fs.js'

/** Pages of a file whose kind can change here. */
export const GMEM_INDICES = 16

/** struct gmem_inode. */
export interface GmemInode extends Obj {
  /** GUEST_MEMFD_FLAG_*. Constant. */
  flags: number
  /**
   * By page offset: KVM_MEMORY_ATTRIBUTE_*, a maple tree in Linux. Behind its end every page is as
   * the flags say. Guard: invalidate_lock; a guest's fault reads it without.
   */
  attributes: Vec
  /** Embedded last: what lies before the inode is this struct's. */
  vfsInode: Inode
}

export const GmemInode: Struct<GmemInode> = struct<GmemInode>(
  'GmemInode',
  { flags: num(), attributes: vec(GMEM_INDICES), vfsInode: embed('Inode') },
  { capacity: 64 },
)

/** GMEM_I(): right only for an inode of guest_memfd. */
export function gmemI(inode: Inode): GmemInode {
  return containerOf(inode, GmemInode, 'vfsInode')
}

/** Statics of virt/kvm/guest_memfd.c. */
export interface KvmGmemState extends Obj {
  /** kvm_gmem_mnt. Set at boot. */
  mnt: SuperBlock | null
}

export const KvmGmemState: Struct<KvmGmemState> = struct<KvmGmemState>(
  'KvmGmemState',
  { mnt: ptr('SuperBlock') },
  { capacity: 1 },
)
