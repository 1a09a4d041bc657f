/**
 * Memory that is not what the access takes it for. The machine itself finds these, at the access:
 * every object has a header that says what it is and whether it is alive.
 */
import type { Sanitizer } from './sanitizer.js'

export const memory: Sanitizer = {
  name: 'memory',
  kinds: [
    {
      id: 'use-after-free',
      judgement: 'access',
      sentence: 'An object was used after it had been freed.',
      source: 'as KASAN; kernel-runs 5, D05',
    },
    {
      id: 'double-free',
      judgement: 'access',
      sentence: 'An object was freed twice.',
      source: 'as KASAN',
    },
    {
      id: 'type-confusion',
      judgement: 'access',
      sentence: 'Memory was used as a struct that is not there.',
      source: 'container_of() on an inode of another file system; D07',
    },
    {
      id: 'uninitialised-memory',
      judgement: 'access',
      sentence: 'A field was read that nobody had written.',
      source: 'as KMSAN',
    },
    {
      id: 'wild-pointer',
      judgement: 'access',
      sentence: 'An ERR_PTR was dereferenced.',
      source: 'the pointer carries an errno, not an address',
    },
  ],
}
