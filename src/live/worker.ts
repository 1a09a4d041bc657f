/**
 * The oracle worker: a process of its own that makes the calls, because a call may kill the process
 * that makes it, or never return. It dies with its parent.
 */
import { Affinity } from './affinity.js'
import { Kvm } from './kvm.js'
import { type Libc, loadLibc, NoLiveKernel } from './libc.js'
import { Memory } from './memory.js'
import type { Reply, Request } from './messages.js'
import { NR, PR_SET_PDEATHSIG, RLIMIT_CORE, SIGKILL } from './numbers.js'
import { PageReader } from './page-facts.js'
import { probe } from './probe.js'
import { racePunches } from './race.js'
import { runLive } from './run.js'
import { Live } from './syscalls.js'

function send(reply: Reply): void {
  process.send?.(reply)
}

/** Die when the parent dies, however it dies, and leave no core file. */
function bindToParent(libc: Libc): void {
  libc.call(NR.prctl, PR_SET_PDEATHSIG, SIGKILL)
  if (libc.call(NR.getppid) !== process.ppid) process.exit()
  const none = new BigUint64Array([0n, 0n])
  libc.call(NR.prlimit64, 0, RLIMIT_CORE, libc.address(none), 0)
}

async function answer(live: Live, affinity: Affinity, request: Request): Promise<Reply> {
  switch (request.kind) {
    case 'probe':
      return { kind: 'probed', capabilities: probe(live) }
    case 'race':
      affinity.roam()
      return { kind: 'raced', race: await racePunches(live, request.ms) }
    case 'run':
      affinity.stay()
      return { kind: 'ran', results: request.programs.map((ops) => runLive(live, ops)) }
  }
}

function start(): void {
  const libc = loadLibc()
  bindToParent(libc)
  const live = new Live(libc, new Memory(libc), new Kvm(libc), new PageReader(libc))
  const affinity = new Affinity(libc)
  process.on('message', (request: Request) => {
    answer(live, affinity, request).then(send, (error: Error) => {
      send({ kind: 'bug', text: error.stack ?? error.message })
    })
  })
  send({ kind: 'ready' })
}

// The parent decides when to stop; a key pressed at the terminal is for it.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
try {
  start()
} catch (error) {
  if (!(error instanceof NoLiveKernel)) throw error
  send({ kind: 'none', reason: error.message })
}
