/**
 * What the plain functions call, in which kernel code runs straight through: a task that is alone
 * in the machine meets nobody at an announcement, so all that is left of it is whether it could be
 * waited for.
 */
import { type Effect, isEnabled } from './effects.js'
import { KernelFault } from './fault.js'
import { bodyOf, type FnTag } from './fn.js'

/** An announcement; the result is the ordinary choice. */
export function pass(effect: Effect): number {
  if (!isEnabled(effect)) throw new KernelFault('deadlock', 'undefined', 'the call never returns')
  return 0
}

/** The plain function behind a kernel function, or behind a slot of an ops table. */
export function straightOf(f: FnTag): (...args: unknown[]) => unknown {
  const { straight, cName } = bodyOf(f)
  if (straight === undefined) throw new Error(`${cName} has no plain function`)
  return straight
}
