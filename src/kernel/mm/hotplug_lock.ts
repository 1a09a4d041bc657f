/**
 * The lock that keeps memory from coming and going. Who changes it holds it for as long as the
 * change takes, which for an offline can be for ever; who only wants it to stay waits as long.
 */
import { fn, type Kernel } from '../../machine/fn.js'
import { downRead, downWrite, upRead, upWrite } from '../../machine/locks.js'
import { mmState } from '../include/mm.js'

/** Models: 6.2 mm/memory_hotplug.c get_online_mems. Compared: 6.17 and 7.0 source. */
export const getOnlineMems = fn(function* get_online_mems(): Kernel<void> {
  yield* downRead(mmState().memHotplugLock)
})

/** Models: 6.2 mm/memory_hotplug.c put_online_mems. Compared: 6.17 and 7.0 source. */
export const putOnlineMems = fn(function* put_online_mems(): Kernel<void> {
  yield* upRead(mmState().memHotplugLock)
})

/**
 * Models: 6.2 mm/memory_hotplug.c mem_hotplug_begin. Simplifies: no CPU comes or goes.
 *
 * Compared: 6.17 and 7.0 source.
 */
export const memHotplugBegin = fn(function* mem_hotplug_begin(): Kernel<void> {
  yield* downWrite(mmState().memHotplugLock)
})

/** Models: 6.2 mm/memory_hotplug.c mem_hotplug_done. Compared: 6.17 and 7.0 source. */
export const memHotplugDone = fn(function* mem_hotplug_done(): Kernel<void> {
  yield* upWrite(mmState().memHotplugLock)
})
