/* The race of race.ts, step for step: one atomic block is one step. Sizes by -D: VCPUS PUNCHES
 * MIGRATIONS ROUNDS. */
#define FRAMES 6
#define FROZEN -1

#define NEXT round++; if :: round == ROUNDS -> goto endDone :: else -> goto again fi

byte seq, inProgress, cache, spte, mmuLock;
short refs[7];
bool folioLock[7];

#define CHECK assert(!(spte != 0 && refs[spte] <= 0) && refs[1] >= FROZEN && refs[2] >= FROZEN && \
  refs[3] >= FROZEN && refs[4] >= FROZEN && refs[5] >= FROZEN && refs[6] >= FROZEN)

inline put(p) { atomic { refs[p]--; CHECK } }
inline lockMmu() { atomic { mmuLock == 0 -> mmuLock = _pid + 1 } }
inline unlockMmu() { atomic { mmuLock = 0 } }
inline unlockFolio(p) { atomic { folioLock[p] = false } }
inline alloc(n) { d_step { n = 1; do :: n <= FRAMES && refs[n] != 0 -> n++ :: else -> break od;
  assert(n <= FRAMES); refs[n] = 1; CHECK } }
inline invalidateBegin() {
  atomic { inProgress++ };
  lockMmu();
  atomic { spte = 0 };
  unlockMmu()
}
inline invalidateEnd() { atomic { seq++ }; atomic { inProgress-- } }

proctype vcpu() {
  byte s, p, round;
again:
  atomic { s = seq };
look:
  atomic { p = cache; if :: p == 0 -> s = 0; goto hole :: else fi };
  atomic { if :: refs[p] <= 0 -> goto busy :: else -> refs[p]++ fi };
  atomic { if :: cache != p -> goto changed :: else fi };
  lockMmu();
  atomic { if :: inProgress == 0 && seq == s -> s = 0 :: else -> s = 0; goto stale fi };
  atomic { spte = p; CHECK };
  unlockMmu();
  atomic { refs[p]--; CHECK; p = 0; NEXT };
stale:
  unlockMmu();
  atomic { refs[p]--; CHECK; p = 0 };
  atomic { inProgress == 0 -> goto again };
busy:
  atomic { !folioLock[p] -> p = 0; goto look };
changed:
  atomic { refs[p]--; CHECK; p = 0; goto look };
hole:
  alloc(p);
  atomic { if :: cache == 0 -> cache = p; p = 0; goto again :: else fi };
  atomic { refs[p]--; CHECK; p = 0; goto again };
endDone:
  false
}

proctype punch() {
  byte p, round;
again:
  invalidateBegin();
look:
  atomic { p = cache; if :: p == 0 -> goto finish :: else fi };
  atomic { if :: refs[p] <= 0 -> goto busy :: else -> refs[p]++ fi };
  atomic { if :: cache != p -> goto changed :: else fi };
  atomic { !folioLock[p] -> folioLock[p] = true };
  atomic { if :: cache != p -> goto gone :: else fi };
  atomic { cache = 0 };
  put(p);
  unlockFolio(p);
  atomic { refs[p]--; CHECK; p = 0; goto finish };
gone:
  unlockFolio(p);
  atomic { refs[p]--; CHECK; p = 0; goto look };
busy:
  atomic { !folioLock[p] -> p = 0; goto look };
changed:
  atomic { refs[p]--; CHECK; p = 0; goto look };
finish:
  atomic { seq++ };
  atomic { inProgress--; NEXT };
endDone:
  false
}

proctype migrate() {
  byte p, n, round;
again:
  atomic { p = cache; if :: p == 0 -> NEXT :: else fi };
  atomic { if :: refs[p] <= 0 -> p = 0; NEXT :: else -> refs[p]++ fi };
  atomic { if :: folioLock[p] -> goto drop :: else -> folioLock[p] = true fi };
  atomic { if :: cache != p -> goto unlock :: else fi };
  invalidateBegin();
  atomic { if :: refs[p] != 2 -> goto failed :: else -> refs[p] = FROZEN; CHECK fi };
  alloc(n);
  atomic { cache = n; n = 0 };
  unlockFolio(p);
  atomic { refs[p] = 0; CHECK; p = 0; goto finish };
failed:
  unlockFolio(p);
  atomic { refs[p]--; CHECK; p = 0; goto finish };
unlock:
  unlockFolio(p);
drop:
  atomic { refs[p]--; CHECK; p = 0; NEXT };
finish:
  atomic { seq++ };
  atomic { inProgress--; NEXT };
endDone:
  false
}

init {
  byte i;
  atomic {
    for (i : 1 .. VCPUS) { run vcpu() }
    for (i : 1 .. PUNCHES) { run punch() }
    for (i : 1 .. MIGRATIONS) { run migrate() }
  }
}
