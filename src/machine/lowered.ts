/** What the text of lowered functions calls; nothing else imports this module. */
import { mem } from './arena.js'
import { handleAt, type Obj, structNamed } from './struct.js'

export { mem, pokeFrame } from './arena.js'
export {
  announced,
  call,
  loadBig,
  loadWide,
  ret,
  saveBig,
  saveFlag,
  saveNum,
  savePtr,
  saveWide,
  suspend,
} from './frames.js'
export { pass, straightOf } from './straight.js'
export { opsAt as loadOps, saveOps } from './struct.js'

/** The handle of whatever object a word of a frame points to. */
export function loadAny(at: number): Obj | null {
  return handleAt(mem[at] as number)
}

/** From an address to a handle of this struct; the struct may be declared later. */
export function structAt(name: string): (addr: number) => Obj | null {
  let at: ((addr: number) => Obj | null) | undefined
  return (addr) => {
    at ??= structNamed(name).at
    return at(addr)
  }
}
