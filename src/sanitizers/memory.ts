/**
 * Memory that is not what the access takes it for. The machine itself finds these, at the access:
 * every object has a header that says what it is and whether it is alive.
 */

import { asTool, recorded, source } from './ground.js'
import type { Sanitizer } from './sanitizer.js'

export const memory: Sanitizer = {
  name: 'memory',
  invariant:
    'An access meets a live object of the type that it is made for, in which the field has been written.',
  kinds: [
    {
      id: 'use-after-free',
      judgement: 'access',
      sentence: 'An object was used after it had been freed.',
      why: [asTool('KASAN'), recorded('6.2.1', 'E10.d05')],
    },
    {
      id: 'double-free',
      judgement: 'access',
      sentence: 'An object was freed twice.',
      why: [asTool('KASAN')],
    },
    {
      id: 'out-of-bounds',
      judgement: 'access',
      sentence: 'The kernel accesses memory behind the end of what it has.',
      why: [asTool('KASAN'), source('6.17', 'arch/x86/kvm/svm/sev.c setup_vmgexit_scratch')],
    },
    {
      id: 'type-confusion',
      judgement: 'access',
      sentence: 'Memory was used as a struct that is not there.',
      why: [source('6.2', 'mm/shmem.c shmem_getattr'), recorded('6.2.1', 'fstatbug')],
    },
    {
      id: 'uninitialised-memory',
      judgement: 'access',
      sentence: 'A field was read that nobody had written.',
      why: [asTool('KMSAN')],
    },
    {
      id: 'wild-pointer',
      judgement: 'access',
      sentence: 'An ERR_PTR was dereferenced.',
      why: [source('6.2', 'include/linux/err.h ERR_PTR')],
    },
  ],
}
