/** A NULL pointer was followed. The machine finds it; the thread dies with its locks held. */

import { asTool, recorded } from './ground.js'
import type { Sanitizer } from './sanitizer.js'

export const nullDereference: Sanitizer = {
  name: 'null-dereference',
  invariant: 'Nobody follows a NULL pointer.',
  kinds: [
    {
      id: 'null-dereference',
      judgement: 'access',
      sentence: 'A NULL pointer was dereferenced: the kernel oopses and the thread dies.',
      why: [
        asTool('the page fault handler'),
        recorded('6.2.1', 'E8.restricted'),
        recorded('6.2.1', 'E9.mincore'),
      ],
    },
  ],
}
