/*
 * The machine of an exported model: who may step, what a step does, what is judged. Written by
 * hand, beside src/machine/machine.ts and src/cell/execution.ts and not from them: `step`,
 * `judge_rest` and `at_standstill` are the counterparts of what an execution does there.
 */

/* A constant, or a variable: its 32 low bits, or all of it. */
enum { CONSTANT, INT, ALL };
typedef struct { int is_variable; B value; } Argument;

/* 2^53: from here on a number is not exact. */
#define MAX_SAFE ((B)1 << 53)
typedef struct {
  int function, argument_count;
  Argument arguments[MAX_ARGUMENTS];
  /** Variable for the result, or -1. */
  int variable;
  int is_expected, expected;
} Operation;
typedef struct { const Operation *operations; int count, phase, daemon; } Program;
typedef struct { int32_t at, value; } Word;
typedef struct {
  const Program *programs;
  int tasks;
  const Word *words;
  int word_count;
} Case;

/** Runs on the way back to user mode when task work is queued; 0 for none. */
extern const int exit_work;
extern const int case_count;
extern const Case cases[];
static const Case *now_running;

enum { RUNNING, DONE, DEAD };
enum { EXIT_PHASE = 2 };

static V task_of(int n) {
  return ref(S_Task, structs[S_Task].base + n * structs[S_Task].words);
}
static V variables(void) { return ref(S_Variables, structs[S_Variables].base); }
static V word_of(int n, int f) {
  return rd(structs[S_Task].base + n * structs[S_Task].words + fields[f].offset);
}

/** Before the first step: fill memory. One model can hold several programs; the environment says which. */
static void start(void) {
  if (now_running) return;
  const char *which = getenv("MODEL_CASE");
  int number = which ? atoi(which) : 0;
  if (number < 0 || number >= case_count) give_up("there is no such case");
  now_running = &cases[number];
  add_blobs();
  for (int i = 0; i < now_running->word_count; i++)
    initial[now_running->words[i].at] = now_running->words[i].value;
}

static int has_ended(int n) { return word_of(n, Task_state) != RUNNING; }

static int ended_below(int phase) {
  for (int n = 0; n < now_running->tasks; n++) {
    const Program *p = &now_running->programs[n];
    if (p->phase < phase && !p->daemon && word_of(n, Task_state) != DONE) return 0;
  }
  return 1;
}

static int all_ended(void) {
  for (int n = 0; n < now_running->tasks; n++)
    if (!now_running->programs[n].daemon && !has_ended(n)) return 0;
  return 1;
}

static V anybody_died(void) {
  for (int n = 0; n < now_running->tasks; n++) if (word_of(n, Task_state) == DEAD) return 1;
  return 0;
}

static int can_step(int n) {
  start();
  if (n >= now_running->tasks) return 0;
  if (has_ended(n) || !is_enabled((int32_t)word_of(n, Task_pending))) return 0;
  int phase = now_running->programs[n].phase;
  return phase == 0 || word_of(n, Task_started) || ended_below(phase);
}

/** How many ways the next step of a task can go. */
static int ways(int n) {
  uint32_t e = (uint32_t)word_of(n, Task_pending);
  if ((e & 15) == E_CHOOSE) {
    if (((e >> 4) & 63) > MAX_WAYS) give_up("more alternatives than MAX_WAYS");
    return (e >> 4) & 63;
  }
  if ((e & 15) == E_INJECT) return get(variables(), Variables_faultsLeft) > 0 ? 2 : 1;
  return 1;
}

/* A step */

/** Run the current task's frames to its next announcement; true if the outermost has returned. */
static int run_frames(B incoming, int *last) {
  V fp = get(current(), Task_sp);
  for (;;) {
    int f = rd(fp);
    int outcome = functions[f].step(fp, rd(fp + 1), incoming);
    if (outcome == SUSPEND) {
      set(current(), Task_sp, fp);
      return 0;
    }
    if (outcome == CALL) {
      fp = callee_fp;
      incoming = UNDEFINED;
      continue;
    }
    V caller = rd(fp + 2);
    for (int i = 0; i < functions[f].words; i++) poke(fp + i, 0);
    *last = f;
    incoming = result;
    if (caller == 0) {
      set(current(), Task_sp, 0);
      return 1;
    }
    fp = caller;
  }
}

static int start_call(int f, const B *args, int *last) {
  V base = current_at + fields[Task_stack].offset;
  push_frame(f, base, 0, args);
  set(current(), Task_sp, base);
  return !run_frames(UNDEFINED, last);
}

static const Operation *operation_of(int n) {
  int op = (int)word_of(n, Task_op);
  const Program *p = &now_running->programs[n];
  return op < p->count ? &p->operations[op] : 0;
}

static V as_result(int kind, B value) {
  if (kind == 0) return value > -MAX_SAFE && value < MAX_SAFE ? (V)value : 0;
  if (kind == 2) return (V)value;
  return kind == 1 && value == 1;
}

static V variable(int i) {
  V high = vec_get(get(variables(), Variables_high), i);
  return vec_get(get(variables(), Variables_values), i) + high * ((V)1 << 32);
}

static void set_variable(int i, V value) {
  vec_set(get(variables(), Variables_values), i, (int32_t)value);
  vec_set(get(variables(), Variables_high), i, (int32_t)((value - (int32_t)value) >> 32));
}

static void deliver(int last) {
  const Operation *op = operation_of(current_number);
  if (!op) return;
  V value = as_result(functions[last].result, result);
  if (op->variable >= 0) set_variable(op->variable, value);
  if (op->is_expected && op->expected != value) report("unexpected-result");
}

static int starts_exit_work(int *last) {
  if (get(current(), Task_workCount) == 0 || exit_work == 0) return -1;
  return start_call(exit_work, 0, last);
}

static void leave(void) {
  int left = get(current(), Task_heldCount) > 0 || get(current(), Task_preemptCount) != 0 ||
             get(current(), Task_rcuDepth) != 0;
  if (left) report("lock-held-on-return");
  set(current(), Task_op, get(current(), Task_op) + 1);
}

static void start_next(void) {
  for (;;) {
    const Operation *op = operation_of(current_number);
    if (!op) {
      set(current(), Task_state, DONE);
      set(current(), Task_pending, 0);
      return;
    }
    B args[MAX_ARGUMENTS];
    for (int i = 0; i < op->argument_count; i++) {
      const Argument *a = &op->arguments[i];
      V value = a->is_variable ? variable((int)a->value) : (V)a->value;
      args[i] = a->is_variable == INT ? (int32_t)value : a->is_variable ? value : a->value;
    }
    int last = 0;
    if (start_call(op->function, args, &last)) return;
    deliver(last);
    if (get(current(), Task_workCount) > 0 && exit_work != 0) {
      set(current(), Task_exiting, 1);
      if (start_call(exit_work, 0, &last)) return;
      set(current(), Task_exiting, 0);
    }
    leave();
  }
}

static void finish_operation(int last) {
  for (;;) {
    if (get(current(), Task_exiting) == 0) {
      deliver(last);
      set(current(), Task_exiting, 1);
    }
    int runs = starts_exit_work(&last);
    if (runs < 0) break;
    if (runs) return;
  }
  set(current(), Task_exiting, 0);
  leave();
  start_next();
}

static void advance(int choice) {
  int last = 0;
  if (get(current(), Task_started) == 0) {
    set(current(), Task_started, 1);
    start_next();
  } else if (run_frames(choice, &last)) finish_operation(last);
}

/* Judging */

/** The judges of the scenario; written by the exporter. */
static void judge_state(int watched);
static void judge_at_rest(void);
static void judge_conditions(void);
static void judge_at_end(void);
static void judge_stuck(void);

static int said(const char *id, int first) {
  static const char *known[256];
  static int known_first[256], count;
  for (int i = 0; i < count; i++)
    if (strcmp(known[i], id) == 0 && known_first[i] == first) return 1;
  if (count == 256) give_up("more kinds of findings than there is room for");
  known[count] = id;
  known_first[count++] = first;
  return 0;
}

/** Tell what was found; whether something had gone wrong before is part of the state. */
static void collect(void) {
  if (pending_count == 0) return;
  V bit = ref(S_VerdictBit, structs[S_VerdictBit].base);
  int first = get(bit, VerdictBit_tainted) == 0;
  if (first) set(bit, VerdictBit_tainted, 1);
  for (int i = 0; i < pending_count; i++)
    if (!said(pending_ids[i], first)) printf("finding: %s %d\n", pending_ids[i], first);
  pending_count = 0;
}

static void judge_rest(void) {
  int exit = now_running->tasks - 1;
  if (now_running->programs[exit].phase == EXIT_PHASE && !word_of(exit, Task_started)) {
    judge_at_rest();
    collect();
    judge_conditions();
  } else if (all_ended()) {
    judge_at_end();
    collect();
  }
}

/** Let a task take a step. What is not defined leads nowhere: the state stays as it was. */
static void step(int n, int choice) {
  static int32_t words_before[WORDS];
  memcpy(words_before, W, sizeof W);
  current_number = n;
  current_at = at_of(task_of(n));
  pending_count = dirty = judging = heap_used = 0;
  fault_id = 0;
  if (setjmp(step_ends) == 0) {
    if ((word_of(n, Task_pending) & 15) == E_INJECT && choice > 0)
      set(variables(), Variables_faultsLeft, get(variables(), Variables_faultsLeft) - 1);
    advance(choice);
  } else {
    report(fault_id);
    set(task_of(n), Task_state, DEAD);
  }
  judging = 1;
  int is_undefined = fault_id && fault_kind == UNDEFINED_BEHAVIOUR;
  if (!is_undefined && dirty) judge_state(dirty);
  collect();
  if (is_undefined) memcpy(W, words_before, sizeof W);
  else if (ended_below(EXIT_PHASE)) judge_rest();
  judging = 0;
}

/* The end of an execution */

/** Nobody can go on; daemons do not count. */
static int nobody_runs(void) {
  start();
  for (int n = 0; n < now_running->tasks; n++)
    if (!now_running->programs[n].daemon && can_step(n)) return 0;
  return 1;
}

static uint32_t mix(uint32_t at, uint32_t value, uint32_t salt) {
  uint32_t h = (at ^ salt) * 0x9e3779b1u + (value ^ (value >> 16)) * 0xc2b2ae35u;
  h = (h ^ (h >> 15)) * 0x2c1b3c6du;
  h = (h ^ (h >> 12)) * 0x297a2d39u;
  return h ^ (h >> 15);
}

static int is_frame(V at) {
  V offset = at - structs[S_Task].base;
  if (offset < 0 || offset >= (V)structs[S_Task].words * structs[S_Task].capacity) return 0;
  offset %= structs[S_Task].words;
  V stack = fields[Task_stack].offset;
  return offset == fields[Task_sp].offset || offset == fields[Task_pending].offset
    || (offset >= stack && offset < stack + fields[Task_stack].words);
}

/** Tell how it ended, by a key that both searches make in the same way. */
static void at_standstill(void) {
  heap_used = 0;
  uint32_t low = 0, high = 0;
  int somebody_waits = 0;
  for (int i = 0; i < words_used; i++) {
    V at = written[i];
    if (W[i] == 0 || is_frame(at)) continue;
    low += mix((uint32_t)at, (uint32_t)rd(at), 0x5bd1e995u);
    high += mix((uint32_t)at, (uint32_t)rd(at), 0x1b873593u);
  }
  printf("final: %u.%u\n", low, high);
  for (int n = 0; n < now_running->tasks; n++) {
    if (now_running->programs[n].daemon || has_ended(n)) continue;
    if (word_of(n, Task_started)) somebody_waits = 1;
  }
  if (!somebody_waits) return;
  V bit = ref(S_VerdictBit, structs[S_VerdictBit].base);
  V tainted = get(bit, VerdictBit_tainted);
  judging = 1;
  judge_stuck();
  report("deadlock");
  collect();
  judging = 0;
  set(bit, VerdictBit_tainted, tainted);
}
