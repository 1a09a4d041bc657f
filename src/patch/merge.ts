/** An edit between two C functions, carried over to the model's own statements. */
import type { Change } from './changes.js'
import type { ModelFunction } from './model/dictionary.js'
import type { Session } from './translate/session.js'

export function mergeEdit(
  _change: Change,
  target: ModelFunction,
  _session: Session,
): { readonly text: string; readonly edits: number } | { readonly conflict: string } {
  return { conflict: `${target.c}: the edit is not carried over` }
}
