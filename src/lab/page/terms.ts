/** Words of the field, for who reads a story and does not know one of them. */
export const TERMS: Readonly<Record<string, string>> = {
  gfn: 'Guest frame number: a page of the guest’s memory, as the guest counts it.',
  pfn: 'Page frame number: a page of the machine’s memory.',
  SPTE: 'A leaf of the secondary MMU: what KVM lets the hardware translate a gfn to. It holds no reference on the page.',
  TLB: 'What a vCPU has cached of a translation. It outlives the SPTE until it is flushed.',
  'secondary MMU': 'The page tables that KVM keeps for a guest, beside those of the process.',
  folio: 'What mm counts references of: one page, or several that belong together.',
  memslot:
    'What KVM knows of a part of the guest’s memory: its gfns, and the file or the addresses behind it.',
  'page cache': 'For each file, which page holds which offset.',
  mapping: 'An address_space: the page cache of one inode, and the operations on it.',
  private:
    'By the VM’s attributes the gfn is private memory: it comes from the file, not from an address of the process.',
  shared: 'By the VM’s attributes the gfn is ordinary memory of the process.',
  bind: 'A memslot is bound to a file when the file knows whom to tell before a page goes.',
  invalidate: 'Tell the secondary MMU that a translation must go, and wait until it has.',
  SGP_NOALLOC: 'How shmem is asked for a page that must be there already; fallocate puts it there.',
  hwpoison: 'The page has an uncorrectable memory error; nobody may use it again.',
  RMP: 'SEV-SNP’s reverse map table: for each frame, which guest it is assigned to, and where.',
  'S-EPT': 'TDX’s page table for private memory, which only the TDX module changes.',
  a_ops:
    'The operations of a mapping: how its pages migrate, are written, or are taken away after an error.',
  compaction:
    'The kernel moves pages to make room for large ones: it copies a page and puts the copy in its place.',
  'soft offline': 'A page with corrected errors is emptied by migration and not used again.',
  lru: 'On one of the lists from which reclaim takes pages.',
  unevictable: 'Reclaim leaves the page alone; compaction may not.',
  uptodate: 'The page holds what the file has there.',
  dirty: 'The page holds something that is nowhere else.',
  'point of no return':
    'The first step after which no continuation avoids the finding. It is computed, not guessed.',
  preemption: 'Another task that could have gone on was put aside.',
}
