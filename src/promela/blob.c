/*
 * Contents of pages, beside src/machine/blob.ts: runs of equal bytes, one number for each content.
 * The numbers are made as there, so that final states of both searches can be compared. What is
 * known here is no part of a state; it only grows.
 */

enum { RESIDUE = 0x100, PAGE_BYTES = 4096, MAX_RUNS = 64, MAX_BLOBS = 4096 };

typedef struct { int id, count, at[MAX_RUNS], byte[MAX_RUNS]; } Blob;

static Blob blobs[MAX_BLOBS];
static int blob_count;

static const Blob *blob_named(V id) {
  for (int i = 0; i < blob_count; i++) if (blobs[i].id == id) return &blobs[i];
  give_up("no page content has this number");
}

static void add_run(Blob *b, int at, int byte) {
  if (b->count > 0 && b->byte[b->count - 1] == byte) return;
  if (b->count == MAX_RUNS) give_up("a page with too many runs");
  b->at[b->count] = at;
  b->byte[b->count++] = byte;
}

static V intern(Blob *b) {
  if (b->count == 1 && b->byte[0] == 0) return ZERO_PAGE;
  uint32_t h = 0x811c9dc5u;
  for (int i = 0; i < b->count; i++) h = (h ^ (uint32_t)(b->at[i] * 512 + b->byte[i])) * 0x01000193u;
  h = (h ^ (h >> 15)) & 0x7fffffff;
  b->id = (int)(h < 2 ? h + 2 : h);
  for (int i = 0; i < blob_count; i++) if (blobs[i].id == b->id) return b->id;
  if (blob_count == MAX_BLOBS) give_up("more page contents than there is room for");
  blobs[blob_count++] = *b;
  return b->id;
}

static int raw_at(const Blob *b, V offset) {
  int byte = 0;
  for (int i = 0; i < b->count && b->at[i] <= offset; i++) byte = b->byte[i];
  return byte;
}

static V byteAt(V id, V offset) { return raw_at(blob_named(id), offset) & 0xff; }
static V isResidue(V id, V offset) { return (raw_at(blob_named(id), offset) & RESIDUE) != 0; }

static V residueOf(V id) {
  const Blob *old = blob_named(id);
  Blob b = { 0 };
  for (int i = 0; i < old->count; i++) add_run(&b, old->at[i], old->byte[i] | RESIDUE);
  return intern(&b);
}

static V withBytes(V id, V offset, V length, V byte) {
  if (length == 0) return id;
  const Blob *old = blob_named(id);
  Blob b = { 0 };
  V end = offset + length;
  for (int i = 0; i < old->count; i++) if (old->at[i] < offset) add_run(&b, old->at[i], old->byte[i]);
  add_run(&b, (int)offset, (int)byte);
  if (end < PAGE_BYTES) {
    add_run(&b, (int)end, raw_at(old, end));
    for (int i = 0; i < old->count; i++) if (old->at[i] > end) add_run(&b, old->at[i], old->byte[i]);
  }
  return intern(&b);
}

/** A content that was there before the first step; `runs` are offset and byte by turns. */
static void add_blob(int id, int count, const int *runs) {
  Blob *b = &blobs[blob_count++];
  *b = (Blob){ .id = id };
  for (int i = 0; i < count; i++) add_run(b, runs[2 * i], runs[2 * i + 1]);
}
