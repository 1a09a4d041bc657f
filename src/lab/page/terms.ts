/** Words of the field, for who reads a story and does not know one of them. */

type Terms = Readonly<Record<string, string>>

/** They mean the same wherever they stand. */
export const TERMS: Terms = {
  gfn: 'Guest frame number: a page of the guest’s memory, as the guest counts it.',
  gpa: 'Guest physical address: what the guest takes for an address of its machine.',
  pfn: 'Page frame number: a page of the machine’s memory.',
  SPTE: 'A leaf of the secondary MMU: what KVM lets the hardware translate a gfn to. It holds no reference on the page.',
  PTE: 'An entry of the page table of a process. It holds a reference on the page.',
  TLB: 'What a CPU has cached of a translation. It outlives the entry until it is flushed.',
  'secondary MMU': 'The page tables that KVM keeps for a guest, beside those of the process.',
  vCPU: 'A CPU of the guest; on the host, a thread that runs it.',
  VMM: 'The process on the host that makes the VM and gives it memory, such as QEMU.',
  folio: 'What mm counts references of: one page, or several that belong together.',
  memslot:
    'What KVM knows of a part of the guest’s memory: its gfns, and the file or the addresses behind it.',
  'page cache': 'For each file, which page holds which offset.',
  address_space:
    'The page cache of one inode, and the operations on it. A folio’s mapping points to one.',
  a_ops:
    'The operations of an address_space: how its pages migrate, are written, or are taken away after an error.',
  shmem: 'The file system behind tmpfs, memfd and shared anonymous memory.',
  tmpfs: 'A file system whose files live in the page cache and in swap alone.',
  memfd: 'A file without a name, made by memfd_create(); usually on shmem.',
  memfd_restricted:
    'The system call of the series of 2022: a memfd that nobody can map or read, for the memory of a guest.',
  guest_memfd:
    'The file for private memory that was merged in 6.8. KVM itself makes it and owns its pages.',
  SGP_NOALLOC: 'How shmem is asked for a page that must be there already; fallocate puts it there.',
  fallocate: 'The system call that puts pages into a file, or, with PUNCH_HOLE, takes them out.',
  PUNCH_HOLE: 'Take the pages of a range out of the file; who maps them must be told.',
  KEEP_SIZE: 'Beside PUNCH_HOLE: the size of the file stays.',
  notifier: 'Whom somebody has asked to call before pages go: here KVM, of a file or of a process.',
  invalidate_lock: 'Of an address_space: whoever takes pages out of the file holds it for itself.',
  mmu_lock: 'KVM’s lock on a guest’s secondary MMU.',
  slots_lock: 'KVM’s lock on the memslots of a guest.',
  memory_attributes: 'By gfn, whether the VMM wants it private or shared.',
  XArray: 'A tree from index to pointer. The page cache is one.',
  rwsem: 'A lock that many may hold to read, or one to write. Its holders may sleep.',
  RCU: 'Readers take no lock; who frees something waits until all that might see it have gone.',
  hwpoison: 'The page has an uncorrectable memory error; nobody may use it again.',
  'soft offline': 'A page with corrected errors is emptied by migration and not used again.',
  compaction:
    'The kernel moves pages to make room for large ones: it copies a page and puts the copy in its place.',
  kcompactd: 'The kernel thread that compacts.',
  kswapd: 'The kernel thread that reclaims pages when memory is low.',
  reclaim: 'To take pages that seem not to be used from files and processes.',
  inode: 'A file as the kernel has it, whatever it is called and however often it is open.',
  unevictable: 'Reclaim leaves the page alone; compaction may not.',
  uptodate: 'The page holds what the file has there.',
  'use after free': 'Somebody uses a page or an object that has been given back.',
  livelock: 'Tasks go on for ever and get nowhere.',
  deadlock: 'Tasks wait for each other for ever.',
  RMP: 'SEV-SNP’s reverse map table: for each frame, which guest it is assigned to, and where.',
  ASID: 'The number under which a guest’s key is known to the memory controller.',
  'S-EPT': 'TDX’s page table for private memory, which only the TDX module changes.',
  PAMT: 'The TDX module’s own table: for each frame, what it is used for, and by which TD.',
  PT_NDA: 'In the PAMT: the frame is not directly assigned to the TDX module; it is the host’s.',
  PT_REG: 'In the PAMT: the frame is memory of a TD.',
  TD: 'Trust domain: a guest that TDX protects.',
  EL2: 'The exception level of Arm’s hypervisor. With pKVM the host’s kernel runs below it.',
  pKVM: 'KVM on Arm with a small hypervisor that takes pages away from the host’s kernel.',
  'point of no return':
    'The first step after which no continuation avoids the finding. It is computed, not guessed.',
  preemption: 'Another task that could have gone on was put aside.',
  preempts: 'Puts aside another task that could have gone on.',
}

/** What they mean in the memory map; in a sentence they may be other words. */
export const MAP_TERMS: Terms = {
  private:
    'By the VM’s attributes the gfn is private memory: it comes from the file, not from an address of the process.',
  shared: 'By the VM’s attributes the gfn is ordinary memory of the process.',
  refs: 'References: who has a pointer to the folio and counts. At none it is freed.',
  dirty: 'The page holds something that is nowhere else.',
  lru: 'On one of the lists from which reclaim takes pages.',
  referenced: 'Somebody has used the page since reclaim last looked.',
  active: 'On the list of pages that reclaim looks at later.',
  swapbacked: 'The page can go to swap, not to a file.',
  hole: 'The file has no page at this offset.',
  'swapped out': 'The page is in the swap area; the page cache has an entry that says where.',
  locked: 'A task holds the folio’s lock.',
  free: 'The frame is with the page allocator.',
}

/** What a word means, wherever it is explained. */
export const meaningOf = (term: string): string | undefined => TERMS[term] ?? MAP_TERMS[term]

const escaped = (word: string): string => word.replace(/[^\w ]/g, '\\$&')

/** A term, perhaps of several; the longer one of two that begin alike. */
const ANY = new RegExp(
  `(?<![\\w-])(${Object.keys(TERMS)
    .sort((a, b) => b.length - a.length)
    .map(escaped)
    .join('|')})(?=s?(?![\\w-]))`,
)

/** A text in pieces: every second one is a term, the first time that it stands there. */
export function piecesOf(text: string): string[] {
  const seen = new Set<string>()
  const pieces = ['']
  text.split(ANY).forEach((piece, i) => {
    if (i % 2 === 1 && !seen.has(piece)) {
      seen.add(piece)
      pieces.push(piece, '')
    } else pieces[pieces.length - 1] += piece
  })
  return pieces
}
