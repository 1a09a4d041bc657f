/** A NULL pointer was followed. The machine finds it; the thread dies with its locks held. */
import type { Sanitizer } from './sanitizer.js'

export const nullDereference: Sanitizer = {
  name: 'null-dereference',
  kinds: [
    {
      id: 'null-dereference',
      judgement: 'access',
      sentence: 'A NULL pointer was dereferenced: the kernel oopses and the thread dies.',
      source: 'kernel-runs 2.1, 2.6; D01',
    },
  ],
}
