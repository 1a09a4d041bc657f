/** The words of pKVM's tables, as `explain` says them. */
import type { HostWord } from '../host.js'

const SOURCE = 'linux 7.1 arch/arm64/kvm/hyp/include/nvhe/memory.h enum pkvm_page_state'

export const PKVM_WORDS: readonly HostWord[] = [
  {
    name: 'PKVM_PAGE_OWNED',
    text: 'It has the page, and nobody else has anything of it.',
    source: SOURCE,
  },
  {
    name: 'PKVM_PAGE_SHARED_OWNED',
    text: 'It owns the page, and lets another one at it.',
    source: SOURCE,
  },
  {
    name: 'PKVM_PAGE_SHARED_BORROWED',
    text: 'Another one owns the page, and lets it at it.',
    source: SOURCE,
  },
  {
    name: 'PKVM_NOPAGE',
    text: 'It has nothing of the page; in the host, an annotation may say whose it is.',
    source: SOURCE,
  },
  {
    name: 'PKVM_POISON',
    text: 'The host has touched the page of a guest and got it, zeroed; the guest finds this.',
    source: SOURCE,
  },
]
