/** Calls of the one user process on a booted kernel, for tests: one after the other, lowered. */

import { bootKernel } from '../../src/cell/boot.js'
import { defineDesign, type Profile } from '../../src/designs/design.js'
import { type AddressSpace, filesStruct } from '../../src/kernel/include/fs.js'
import type { Folio } from '../../src/kernel/include/mm.js'
import type { Pgoff } from '../../src/kernel/include/types.js'
import { xaLoad } from '../../src/kernel/lib/xarray.js'
import { getUserPages } from '../../src/kernel/mm/gup.js'
import { folioPut } from '../../src/kernel/mm/swap.js'
import { taskWorkRun } from '../../src/kernel/task_work.js'
import { Alone } from '../../src/machine/alone.js'
import { type FnTag, fn, type Kernel } from '../../src/machine/fn.js'
import { watchReturns } from '../../src/machine/frames.js'

export const PAGE = 4096

/** A process on a kernel as released. */
export class User {
  readonly #alone: Alone

  constructor(profile: Profile) {
    const design = { id: `linux-${profile}`, summary: 'as released', profile, cite: [] }
    bootKernel(defineDesign({ ...design, replaces: [] }), 'lowered')
    this.#alone = new Alone(taskWorkRun)
    this.#alone.inFrames = true
  }

  /** What a call returns; numbers for bigints. @throws Misbehaviour */
  call(f: FnTag, ...args: readonly unknown[]): number {
    return Number(this.#alone.call(f, ...args))
  }

  mapping(fd: number): AddressSpace {
    return filesStruct().fd.get(fd)!.fMapping!
  }

  /** The folio cached at a page of a file, or null. */
  cached(fd: number, index: number): Folio | null {
    return xaLoad(this.mapping(fd).iPages, index as Pgoff) as Folio | null
  }
}

/** Which of these functions return while something runs, in order; once for several in a row. */
export function returns(cNames: readonly string[], run: () => void): string[] {
  const seen: string[] = []
  watchReturns((name) => {
    if (cNames.includes(name) && seen.at(-1) !== name) seen.push(name)
  })
  run()
  watchReturns(undefined)
  return seen
}

let pinned: Folio | undefined

/** Take a reference to the page behind an address, as I/O on it would. */
export const pinPage = fn(function* pin_page(address: number): Kernel<number> {
  const folio = yield* getUserPages(BigInt(address), false)
  pinned = folio
  return 0
})

/** Put it. */
export const unpinPage = fn(function* unpin_page(): Kernel<number> {
  yield* folioPut(pinned!)
  return 0
})
