/**
 * What the tables of known bugs say of SNP, TDX and pKVM, row by row: which cell shows it, or why
 * none can.
 */
import { type Row, rowsAsTests } from './cells.js'

const LARGE =
  'entries and folios of 2 MiB are not in the kernel code here, as in guest_memfd itself'

/** The tree of February 2023: bugs of the posted code, the window, truncation, the raised count. */
const SERIES_2023: readonly Row[] = [
  {
    row: '4.1 direct map restored at once',
    because: 'it leaves a split, which is what the model has',
  },
  {
    row: '4.2 no flush of the large mapping',
    shows: ['hosts/neighbour-of-a-guests-page', 'upm-aops@snp', 'host-write-fault'],
  },
  { row: '4.3 page unmapped for good', because: 'by 4.1 no page was ever unmapped' },
  {
    row: '4.5 array of a launch leaked',
    shows: ['hosts/launch-of-a-private-page', 'upm-aops@snp', 'refcount-leak'],
    mended: ['hosts/launch-of-a-private-page', 'gmem-6.18@snp'],
  },
  {
    row: '4.7 failed conversion swallowed',
    shows: ['hosts/conversion-fails', 'upm-aops@snp', 'livelock'],
  },
  {
    row: '4.8 freed after a failed release',
    shows: ['hosts/release-fails', 'upm-aops@snp', 'rmp-leak'],
  },
  {
    row: '4.9 save area without notifier',
    shows: ['hosts/save-area-punched', 'upm-aops@snp', 'vmsa-use-after-free'],
  },
  {
    row: '4.9 the same in 6.17 and 7.0',
    shows: ['hosts/save-area-punched', 'gmem-6.18@snp-7.0', 'vmsa-use-after-free'],
    mended: ['hosts/save-area-punched', 'gmem-6.18@snp-7.3'],
  },
  { row: '4.10 PSMASH not tried again', because: LARGE },
  {
    row: '4.11 the memory file itself',
    because: 'it is no matter of the host: see memslot and punch',
  },
  {
    row: '5, to private: loops until the table follows',
    clean: [['hosts/convert-vs-another-vcpu', 'upm-aops@snp']],
  },
  { row: '5, to shared', clean: [['hosts/convert-vs-another-vcpu', 'upm-aops@snp']] },
  {
    row: '6.A punch of a hole allocates',
    clean: [['hosts/page-given-back-then-punched', 'upm-aops@snp']],
  },
  {
    row: '6.C, 6.D punch against a fault',
    shows: ['hosts/punch-of-a-mapped-page', 'upm-aops@snp', 'livelock'],
    mended: ['hosts/punch-of-a-mapped-page', 'gmem-6.18@snp'],
  },
  { row: '6.F punch of a part of a large page', because: LARGE },
  {
    row: '6.G compaction',
    shows: ['hosts/guest-touch-vs-compaction-of-its-page', 'upm@snp', 'rmp-leak'],
    mended: ['hosts/guest-touch-vs-compaction-of-its-page', 'upm-aops@snp'],
  },
  {
    row: '6.H reclaim of the page',
    shows: ['hosts/drop-caches-vs-a-guests-page', 'upm-aops@snp', 'rmp-leak'],
    mended: ['hosts/drop-caches-vs-a-guests-page', 'gmem-6.18@snp'],
  },
  {
    row: '6.I memory failure',
    shows: ['hosts/failure-of-a-guests-page', 'upm-aops@snp', 'null-dereference'],
    mended: ['hosts/failure-of-a-guests-page', 'gmem-6.18@snp'],
  },
  {
    row: '8.3 punch between probe and allocation',
    shows: ['hosts/punch-of-a-mapped-page', 'upm-pin', 'refcount-leak'],
    mended: ['hosts/punch-of-a-mapped-page', 'gmem-6.18'],
  },
  {
    row: '8.1 two vCPUs find the page absent',
    shows: ['hosts/two-vcpus-accept-one-page', 'upm-pin', 'refcount-leak'],
    mended: ['hosts/two-vcpus-accept-one-page', 'upm-aops'],
  },
  {
    row: '8.2 fallocate makes the page',
    shows: ['migration/fallocated-page-vs-compaction', 'upm-pin', 'stale-secondary-mapping'],
    mended: ['migration/fallocated-page-vs-compaction', 'upm-aops'],
  },
  {
    row: '8.4 nobody knows which page carries it',
    shows: ['punch/punch-vs-guest-fault', 'upm-pin', 'refcount-leak'],
    mended: ['punch/punch-vs-guest-fault', 'upm-aops'],
  },
  {
    row: '8.5 failed launch keeps the extra reference',
    because: 'the launch takes its references by the look-up that pins',
  },
  {
    row: '8.6 hot-unplug tries for ever',
    shows: ['hotplug/offline-a-block-of-restricted-pages', 'upm-pin', 'livelock'],
  },
  {
    row: '8.7 in-place conversion wants an exact count',
    clean: [
      ['hosts/conversion-of-a-pinned-page', 'gmem-convert'],
      ['hosts/conversion-of-two-kinds', 'gmem-convert@tdx-6.18'],
    ],
  },
  {
    row: '8.8 memory failure looks at no count',
    shows: ['hosts/failure-of-a-guests-page', 'upm-pin@snp', 'null-dereference'],
  },
]

/** Vendor bugs of later kernels. */
const VENDORS: readonly Row[] = [
  {
    row: "SNP: a guest's scratch area outside of its GHCB (mended in 6.12.117 and 7.1.8)",
    shows: ['hosts/scratch-area-outside-of-the-ghcb', 'gmem-6.18@snp', 'out-of-bounds'],
    mended: ['hosts/scratch-area-outside-of-the-ghcb', 'gmem-6.18@snp-7.3'],
  },
  {
    row: 'SNP: a buffer of more entries than there is room for (mended there)',
    shows: ['hosts/buffer-at-the-end-of-the-ghcb', 'gmem-6.18@snp-7.0', 'out-of-bounds'],
    mended: ['hosts/buffer-at-the-end-of-the-ghcb', 'gmem-6.18@snp-7.3'],
  },
  {
    row: 'SNP: a launch that is finished twice (mended in 6.12.117 and 7.1.8)',
    shows: ['hosts/launch-finished-twice', 'gmem-6.18@snp', 'host-write-fault'],
    mended: ['hosts/launch-finished-twice', 'gmem-6.18@snp-7.3'],
  },
  {
    row: 'SNP: a vCPU that goes during a request keeps the GHCB (mended in 7.1.8)',
    shows: ['hosts/vmm-that-never-answers', 'gmem-6.18@snp', 'refcount-leak'],
    mended: ['hosts/vmm-that-never-answers', 'gmem-6.18@snp-7.3'],
  },
  {
    row: 'SNP: a source that is written to without being asked for (7.0; mended in 7.1.8)',
    shows: ['hosts/cpuid-page-of-a-file', 'gmem-6.18@snp-7.0', 'condition-violated'],
    mended: ['hosts/cpuid-page-of-a-file', 'gmem-6.18@snp-7.3'],
  },
  {
    row: '7 firmware page leaked twice',
    because: 'who did it, an ioctl of /dev/sev, is not in the model',
  },
  { row: '13 launch of a shared gfn', because: 'the version without the test was never released' },
  {
    row: '17 uptodate before it was prepared',
    because: 'the version that had it was never released',
  },
  {
    row: '18 prefault against deletion, on TDX',
    because:
      "the retry is the guest's here; lifetime/prefault-while-the-slot-goes has the other half",
  },
  {
    row: '31 RMP fault on a page that went',
    because: 'its warnings are lines of a log, which no judge reads',
  },
  {
    row: '38 a notifier before the hypervisor has a handle',
    because: 'both hypervisors reserve the handle when the VM is made, as since 2025',
  },
  {
    row: '39 a range that is no memory is donated',
    because: 'fixed in 6.4, and every frame here is memory',
  },
  { row: '40 caches not flushed on free', because: 'caches are coherent here' },
  {
    row: '43 2 MiB direct map',
    shows: ['hosts/neighbour-of-a-guests-page', 'upm@snp', 'host-write-fault'],
    without: ['hosts/neighbour-of-a-guests-page', 'gmem-6.18@snp'],
  },
  {
    row: '44 removal is busy (9a89894f30d5)',
    shows: ['hosts/vcpu-made-while-memory-is-taken-back', 'gmem-6.18@tdx-6.18', 'tdr-contended'],
    mended: ['hosts/vcpu-made-while-memory-is-taken-back', 'gmem-6.18@tdx-6.19'],
  },
  {
    row: 'pKVM: no room for a table (April 2026)',
    mutant: 'room-for-tables-not-looked-at',
    finding: 'hypervisor-panic',
  },
  {
    row: 'pKVM: the union of two caches (Android)',
    because: 'a guest that is not protected, with dirty logging',
  },
  {
    row: 'pKVM: the share count wraps',
    because: 'a row of the table of ownership: -EBUSY for a page that counts as often as it can',
  },
  {
    row: 'pKVM: pages times page size wraps',
    because: 'a call is about one page of memory here',
  },
]

rowsAsTests('the tree of February 2023', SERIES_2023)
rowsAsTests('vendor bugs', VENDORS)
