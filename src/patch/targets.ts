/** Which functions of the model a C function is. */
import type { ModelFunction } from './model/dictionary.js'
import type { Scope } from './model/scope.js'
import { RENAMED } from './translate/crosswalk.js'

/**
 * The model's functions that are a C function, or say that they model it: of a file in the same
 * part of the tree, since a driver may have a function of the same name.
 */
export function targetsOf(scope: Scope, name: string, file: string): ModelFunction[] {
  const names = [...new Set([name, RENAMED[name] ?? name])]
  const all = [...bodiesFor(scope, name), ...names.flatMap((n) => scope.modelling(n))]
  return [...new Set(all)].filter((f) => isOfPart(f, file))
}

/** mm/, fs/ and so on; KVM is in two places, and what is inline in any. */
export function isOfPart({ models }: ModelFunction, file: string): boolean {
  const part = (path: string): string =>
    path.replace(/^arch\/x86\/kvm\/|^virt\/kvm\//, 'kvm/').split('/')[0] ?? ''
  const paths = models?.match(/[\w.-]+(?:\/[\w.-]+)+\.[ch]\b/g) ?? []
  const all = [file, ...paths]
  return (
    paths.length === 0 ||
    all.some((p) => p.endsWith('.h')) ||
    paths.some((p) => part(p) === part(file))
  )
}

/** Bodies of the model for a C name, under the name of another version if need be. */
export function bodiesFor(scope: Scope, name: string): ModelFunction[] {
  const own = scope.bodies(name)
  return own.length > 0 || RENAMED[name] === undefined ? own : scope.bodies(RENAMED[name])
}
