/** The kernel's own assertions: BUG_ON, WARN_ON, and the checks of the page allocator. */
import type { Sanitizer } from './sanitizer.js'

export const assertions: Sanitizer = {
  name: 'assertions',
  kinds: [
    {
      id: 'kernel-bug',
      judgement: 'assertion',
      sentence: 'A BUG_ON() of the kernel fired: the thread dies.',
      source: 'the function that asserts it',
    },
    {
      id: 'kernel-warning',
      judgement: 'assertion',
      sentence: 'A WARN_ON() of the kernel fired.',
      source: 'the function that asserts it',
    },
    {
      id: 'bad-page-state',
      judgement: 'assertion',
      sentence: 'A page was freed that is locked, mapped, on the LRU or in a page cache.',
      source: '6.2 mm/page_alloc.c free_page_is_bad',
    },
    {
      id: 'unlock-by-other',
      judgement: 'assertion',
      sentence: 'A lock was released by a task that does not hold it.',
      source: 'as lockdep',
    },
  ],
}
