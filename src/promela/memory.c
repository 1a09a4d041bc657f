/*
 * Memory of an exported model: the words that differ between states, structs over them, and what
 * kernel code calls of the machine. Written by hand, beside src/machine and not from it.
 *
 * A word is kept as its difference from the initial state, in the order in which words are first
 * written. A word that nobody has written yet is 0 in every state seen so far, so the vector that
 * SPIN matches states by can grow while it searches.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Numbers, truth values, and pointers with the struct they point to in the upper half. */
typedef int64_t V;
/** What TypeScript calls bigint. */
typedef __int128 B;

static const V UNDEFINED = 1LL << 62;
/** Stands for a text that is only read by people. */
static const V TEXT = (1LL << 61) + 1;
/** Larger than any number. */
static const V INFINITE = 1LL << 60;
static const int32_t UNINITIALISED = INT32_MIN;

enum { ARENA_WORDS = 1 << 21 };

/** What SPIN matches. */
static int32_t W[WORDS];
static int32_t initial[ARENA_WORDS];
/** By word: 0 if never written, else its number in W + 1. */
static int32_t place[ARENA_WORDS];
static int words_used;
/** By number in W: its address. */
static V written[WORDS];

/** A bug of the exporter, or a model that does not fit: never a verdict. */
static _Noreturn void give_up(const char *why) {
  printf("\nerror: %s\n", why);
  exit(3);
}

static int32_t rd(V at) {
  if (at < 0 || at >= ARENA_WORDS) give_up("a read outside the arena");
  int p = place[at];
  return p == 0 ? initial[at] : initial[at] ^ W[p - 1];
}

static void poke(V at, V value) {
  if (at <= 0 || at >= ARENA_WORDS) give_up("a write outside the arena");
  if (rd(at) == (int32_t)value) return;
  if (place[at] == 0) {
    if (words_used == WORDS) give_up("more words than WORDS");
    written[words_used++] = at;
    place[at] = words_used;
  }
  W[place[at] - 1] = initial[at] ^ (int32_t)value;
}

/* Findings */

enum { OOPS, UNDEFINED_BEHAVIOUR };

static jmp_buf step_ends;
static const char *fault_id;
static int fault_kind;
enum { MAX_PENDING = 64 };
static const char *pending_ids[MAX_PENDING];
static int pending_count;

/** Note a finding and go on. */
static V report(const char *id) {
  if (pending_count < MAX_PENDING) pending_ids[pending_count++] = id;
  return UNDEFINED;
}

static int judging;

/** The thread dies here, or the path ends. */
static _Noreturn void fault(const char *id, int kind) {
  if (judging) give_up("a judge used memory that is not there");
  fault_id = id;
  fault_kind = kind;
  longjmp(step_ends, 1);
}

static V bug_on(V condition) {
  if (condition) fault("kernel-bug", OOPS);
  return UNDEFINED;
}

static V load_fault(void) { fault("host-read-fault", OOPS); }

static V hypervisor_panic(void) { fault("hypervisor-panic", UNDEFINED_BEHAVIOUR); }

static V store_fault(void) { fault("host-write-fault", OOPS); }

static V warn_on(V condition) {
  if (condition) report("kernel-warning");
  return condition;
}

/* Values */

static int truth(V v) { return v != 0 && v != UNDEFINED; }
static V ref(int struct_id, V at) {
  return at == 0 ? 0 : ((V)struct_id << 32) | (uint32_t)at;
}
static V at_of(V r) {
  if (r == UNDEFINED) give_up("undefined is used as a pointer");
  if (r == 0) fault("null-dereference", OOPS);
  return (int32_t)r;
}
static int struct_of(V r) { return (int)(r >> 32); }
static V floor_div(V a, V b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static V power(V a, V b) {
  V result = 1;
  for (V i = 0; i < b; i++) result *= a;
  return result;
}

static V floor_log2(V n) {
  V result = -1;
  for (; n > 0; n >>= 1) result++;
  return result;
}

/* Records and maps of JavaScript: they live until the step ends. */

enum { HEAP = 1 << 16 };
static B heap[HEAP];
static int heap_used;

static V heap_take(int count) {
  if (heap_used + count > HEAP) give_up("a step makes more records than there is room for");
  heap_used += count;
  return heap_used - count + (1LL << 34);
}

static B *heap_at(V r) { return &heap[r - (1LL << 34)]; }

/** The parts in the order of their names; the layout says what they are called. */
static V record(int layout, int count, const B *parts) {
  V r = heap_take(count + 1);
  heap_at(r)[0] = layout;
  memcpy(heap_at(r) + 1, parts, (size_t)count * sizeof(B));
  return r;
}

static B record_get(V r, int layout, int part) {
  if (heap_at(r)[0] != layout) give_up("a record of another form");
  return heap_at(r)[1 + part];
}

enum { MAP_ROOM = 64 };

static V map_new(void) {
  V m = heap_take(1 + 2 * MAP_ROOM);
  heap_at(m)[0] = 0;
  return m;
}

static V map_get(V m, V key) {
  B *at = heap_at(m);
  for (int i = 0; i < (int)at[0]; i++) if (at[1 + 2 * i] == key) return (V)at[2 + 2 * i];
  return UNDEFINED;
}

static V map_set(V m, V key, V value) {
  B *at = heap_at(m);
  int i = 0;
  while (i < (int)at[0] && at[1 + 2 * i] != key) i++;
  if (i == MAP_ROOM) give_up("a map is full");
  if (i == (int)at[0]) at[0]++;
  at[1 + 2 * i] = key;
  at[2 + 2 * i] = value;
  return m;
}

/* Structs */

typedef struct { int id, words, base, capacity, first_field, end_field; } Struct;
enum { K_NUM, K_FLAG, K_PTR, K_ANY, K_WIDE, K_I64, K_EMBED, K_OPS, K_VEC, K_PTRS };
typedef struct { int of, offset, words, kind, target, watchers; } Field;

extern const Struct structs[];
extern const Field fields[];
extern const int struct_count;
static int dirty;

static int struct_at(V at) {
  for (int s = 1; s <= struct_count; s++) {
    V offset = at - structs[s].base;
    if (offset >= 0 && offset < (V)structs[s].words * structs[s].capacity) return s;
  }
  return 0;
}

/** The pointer to whatever object is, or was, at an address. */
static V handle_at(V at) {
  if (at == 0) return 0;
  int header = at < 0 ? 0 : abs(rd(at));
  int s = header >= 1 && header <= struct_count ? header : struct_at(at);
  return s == 0 ? 0 : ref(s, at);
}

static void check(V at, int of) {
  if (at < 0) fault("wild-pointer", OOPS);
  int header = rd(at);
  if (header == of) return;
  fault(header == -of ? "use-after-free" : "type-confusion", UNDEFINED_BEHAVIOUR);
}

/** The first word of a field that is read as it stands. */
static V raw(V r, int f) {
  V at = at_of(r);
  check(at, fields[f].of);
  int32_t value = rd(at + fields[f].offset);
  if (value == UNINITIALISED) fault("uninitialised-memory", UNDEFINED_BEHAVIOUR);
  return value;
}

static B get_big(V r, int f) {
  B high = raw(r, f);
  return (high << 32) | (uint32_t)rd(at_of(r) + fields[f].offset + 1);
}

static V get(V r, int f) {
  const Field *field = &fields[f];
  if (field->kind == K_EMBED) return ref(field->target, at_of(r) + field->offset);
  if (field->kind == K_VEC || field->kind == K_PTRS) return ((V)f << 32) | (uint32_t)at_of(r);
  V value = raw(r, f);
  if (field->kind == K_FLAG) return value != 0;
  if (field->kind == K_PTR) return ref(field->target, value);
  if (field->kind == K_ANY) return handle_at(value);
  if (field->kind == K_WIDE) return (V)get_big(r, f);
  return value;
}

static B set_big(V r, int f, B value) {
  const Field *field = &fields[f];
  if (field->kind == K_I64) {
    B high = value >> 32;
    if (high != (int32_t)high || high == UNINITIALISED) give_up("a number does not fit its field");
  }
  V at = at_of(r);
  check(at, field->of);
  poke(at + field->offset, (int32_t)(value >> 32));
  poke(at + field->offset + 1, (int32_t)value);
  dirty |= field->watchers;
  return value;
}

static V pointed(V r) { return r == 0 ? 0 : at_of(r); }

static V set(V r, int f, V value) {
  const Field *field = &fields[f];
  if (field->kind == K_WIDE) {
    if (value < 0 || value > (1LL << 53) - 1) give_up("a number does not fit its field");
    set_big(r, f, value);
    return value;
  }
  if (field->kind == K_NUM && (value != (int32_t)value || value == UNINITIALISED)) {
    give_up("a number does not fit its field");
  }
  V at = at_of(r);
  check(at, field->of);
  V word = value;
  if (field->kind == K_FLAG) word = truth(value);
  if (field->kind == K_PTR || field->kind == K_ANY) word = pointed(value);
  poke(at + field->offset, word);
  dirty |= field->watchers;
  return value;
}

/* Vectors: the field in the upper half, the object in the lower. */

static V vec_length(V vec) { return fields[vec >> 32].words; }

static V vec_word(V vec, V i) {
  const Field *field = &fields[vec >> 32];
  if (i < 0 || i >= field->words) give_up("an index outside a vector");
  V at = (int32_t)vec;
  check(at, field->of);
  return at + field->offset + i;
}

static V vec_get(V vec, V i) {
  const Field *field = &fields[vec >> 32];
  V value = rd(vec_word(vec, i));
  return field->kind == K_PTRS ? ref(field->target, value) : value;
}

static V vec_set(V vec, V i, V value) {
  const Field *field = &fields[vec >> 32];
  if (field->kind == K_VEC && value != (int32_t)value) give_up("a number does not fit its field");
  poke(vec_word(vec, i), field->kind == K_PTRS ? pointed(value) : value);
  dirty |= field->watchers;
  return UNDEFINED;
}

/* What src/machine/struct.ts has besides accessors */

static void fill_words(int s, V at, int fill) {
  for (int f = structs[s].first_field; f < structs[s].end_field; f++) {
    V first = at + fields[f].offset;
    if (fields[f].kind == K_EMBED) {
      poke(first, fill);
      fill_words(fields[f].target, first, fill);
    } else for (int i = 0; i < fields[f].words; i++) poke(first + i, fill);
  }
}

static void set_headers(int s, V at, int sign) {
  poke(at, sign * s);
  for (int f = structs[s].first_field; f < structs[s].end_field; f++) {
    if (fields[f].kind == K_EMBED) set_headers(fields[f].target, at + fields[f].offset, sign);
  }
}

static V construct_at(V s, V at, V fill) {
  fill_words((int)s, at, (int)fill);
  set_headers((int)s, at, 1);
  return UNDEFINED;
}

static V destroy_at(V s, V at) {
  fill_words((int)s, at, 0);
  set_headers((int)s, at, -1);
  return UNDEFINED;
}

static V vanish_at(V s, V at) {
  poke(at, 0);
  fill_words((int)s, at, 0);
  return UNDEFINED;
}

static V is_err(V r) { return r != 0 && r != UNDEFINED && (int32_t)r < 0; }

static V for_each_alive(V s, V (*visit)()) {
  for (int i = 0; i < structs[s].capacity; i++) {
    V at = structs[s].base + (V)i * structs[s].words;
    if (rd(at) == s) visit(ref((int)s, at));
  }
  return UNDEFINED;
}

static V alive_of(V s) {
  V alive = 0;
  for (int i = 0; i < structs[s].capacity; i++)
    if (rd(structs[s].base + (V)i * structs[s].words) == s) alive++;
  return alive;
}

/** Every field of a kind that leads to `target`, in every live object: word, struct. */
static void for_each_field(int kind, V target, int inner, V (*visit)()) {
  for (int s = 1; s <= struct_count; s++) {
    for (int f = structs[s].first_field; f < structs[s].end_field; f++) {
      if (fields[f].kind != kind || fields[f].target != target || s == target) continue;
      for (int i = 0; i < structs[s].capacity; i++) {
        V at = structs[s].base + (V)i * structs[s].words;
        if (rd(at) == s) visit((V)rd(at + fields[f].offset + inner), (V)s);
      }
    }
  }
}

static V for_each_pointer_to(V target, V (*visit)()) {
  for_each_field(K_PTR, target, 0, visit);
  return UNDEFINED;
}

static V for_each_embedded(V target, int f, V (*visit)()) {
  for_each_field(K_EMBED, target, fields[f].offset, visit);
  return UNDEFINED;
}

static V is_alive(V s, V r) { return rd(at_of(r)) == s; }
static V number_in(V s, V r) { return (at_of(r) - structs[s].base) / structs[s].words; }
static V container_of(V r, V s, int f) { return ref((int)s, at_of(r) - fields[f].offset); }
static V address_of(V r, int f) { return r == 0 ? 0 : at_of(r) + fields[f].offset; }

/* Effects: kind, argument and address in one word, as the pending effect of a task. */

enum {
  E_READ, E_WRITE, E_RMW, E_UNTIL, E_UNTIL_NOT, E_LOCK, E_LOCK_SHARED, E_LOCK_EXCLUSIVE,
  E_CHOOSE, E_INJECT
};

static V effect(int kind, V arg, V at) {
  return (int32_t)((uint32_t)kind | (uint32_t)arg << 4 | (uint32_t)at << 10);
}

static int is_enabled(int32_t pending) {
  uint32_t e = (uint32_t)pending;
  V at = e >> 10;
  int arg = (e >> 4) & 63;
  switch (e & 15) {
    case E_UNTIL: return rd(at) == arg;
    case E_UNTIL_NOT: return rd(at) != arg;
    case E_LOCK: return rd(at) == 0;
    case E_LOCK_SHARED: return rd(at) == 0 && rd(at + 2) == 0;
    case E_LOCK_EXCLUSIVE: return rd(at) == 0 && rd(at + 1) == 0;
    default: return 1;
  }
}

/* Frames: function, place, caller's frame, then what is kept. */

enum { SUSPEND, CALL, RETURN };

typedef struct {
  const char *name;
  int words;
  /** Of the result: 0 a number, 1 a truth value, 2 a bigint, 3 anything else. */
  int result;
  void (*enter)(V fp, const B *args);
  int (*step)(V fp, V pc, B incoming);
  /** The same for one that runs to completion. */
  B (*plain)(const B *args);
} Function;

extern const Function functions[];
/** Address of the running task, and its number. */
static V current_at;
static int current_number;
static B result;
static V callee_fp;

static int suspend(V fp, V pc, V announced) {
  poke(fp + 1, pc);
  poke(current_at + fields[Task_pending].offset, announced);
  return SUSPEND;
}

static void push_frame(V f, V fp, V caller, const B *args) {
  if (f == 0 || f == UNDEFINED) fault("null-dereference", OOPS);
  const Field *stack = &fields[Task_stack];
  if (fp + functions[f].words > current_at + stack->offset + stack->words)
    give_up("a task ran out of stack");
  poke(fp, f);
  poke(fp + 1, 0);
  poke(fp + 2, caller);
  functions[f].enter(fp, args);
}

static int call(V fp, int words, V pc, V f, const B *args) {
  if (f == 0 || f == UNDEFINED) fault("null-dereference", OOPS);
  poke(fp + 1, pc);
  callee_fp = fp + words;
  push_frame(f, callee_fp, fp, args);
  return CALL;
}

static int ret(B value) {
  result = value;
  return RETURN;
}

static void save_num(V at, V value) {
  if (value != (int32_t)value) give_up("a local does not fit 32 bits");
  poke(at, value);
}

static void save_wide(V at, V value) {
  poke(at, (int32_t)(value >> 32));
  poke(at + 1, (int32_t)value);
}

static V load_wide(V at) { return (V)rd(at) * (1LL << 32) + (uint32_t)rd(at + 1); }

static void save_big(V at, B value) {
  B high = value >> 64;
  if (high != (int32_t)high) give_up("a local does not fit 96 bits");
  poke(at, (int32_t)high);
  poke(at + 1, (int32_t)(value >> 32));
  poke(at + 2, (int32_t)value);
}

static void save_ptr(V at, V value) {
  poke(at, value == 0 || value == UNDEFINED ? 0 : at_of(value));
}

static B load_big(V at) {
  B high = (B)rd(at) * ((B)1 << 32) + (uint32_t)rd(at + 1);
  return high * ((B)1 << 32) + (uint32_t)rd(at + 2);
}

static V current(void) { return ref(S_Task, current_at); }
