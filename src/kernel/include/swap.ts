/**
 * Swap: one area, of a few slots, to which anonymous pages go when they are reclaimed. Its cache is
 * an address space like that of a file, but for no inode: it has no host.
 */
import { embed, num, type Obj, type Struct, struct, type Vec, vec } from '../../machine/struct.js'
import type { AddressSpace } from './fs.js'
import './fs.js'

/** swp_entry_t: the number of a slot. 0 is none, since the area's header lies there. */
export type SwpEntry = number & { readonly __swpEntry: true }

/** Slots that an area can have, the header's included. */
export const SWAP_SLOTS_MAX = 65

/** In a slot's count: the swap cache uses it, or is about to. */
export const SWAP_HAS_CACHE = 0x40

/** struct swap_info_struct, with the address space that belongs to it. */
export interface SwapInfo extends Obj {
  /** Slots, the header's included; 0 before swapon(). Set once. */
  max: number
  /** By slot: how many PTEs name it, and SWAP_HAS_CACHE. Guard: si->lock, which is a leaf. */
  swapMap: Vec
  /** By slot: the content that was written there last; it stays when the slot is free. */
  data: Vec
  /** swapper_spaces[0]: slot to folio, or to the shadow of one that was reclaimed. */
  space: AddressSpace
}

export const SwapInfo: Struct<SwapInfo> = struct<SwapInfo>(
  'SwapInfo',
  {
    max: num(),
    swapMap: vec(SWAP_SLOTS_MAX),
    data: vec(SWAP_SLOTS_MAX),
    space: embed('AddressSpace'),
  },
  { capacity: 1 },
)

/** The area, whether or not it is in use. */
export function swapInfo(): SwapInfo {
  return SwapInfo.at(SwapInfo.base) as SwapInfo
}
