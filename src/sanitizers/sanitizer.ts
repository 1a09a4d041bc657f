/**
 * What a sanitizer is: a judge of states and events. It reads the machine and the kernel. A state
 * check runs after each step that wrote one of the fields it names, so a violation is seen in the
 * very state where it begins.
 *
 * What a check says of a state depends on the words of the arena that it reads and on nothing else:
 * where it had nothing to say of them before, it is not asked again (`cell/acquitted.ts`), so it
 * writes nothing. What a sanitizer remembers lies in a struct with the role `judge`, and is written
 * by `booted`, `event`, `acquired` and `mightSleep`. An address that it remembers means whatever
 * object lies there later: forget it when that is freed, or keep what has one name for ever, as a
 * pfn.
 */
import type { Facts } from '../machine/fault.js'
import type { Task } from '../machine/task.js'
import type { Ground } from './ground.js'

/**
 * How a finding is judged. `access`: by an access to memory; `assertion`: the kernel itself
 * complains; `call`: by what a task does at one moment; `state`: by what holds in every state;
 * `end`: by what is left when everything was torn down; `progress`: by the graph of all states, in
 * which nobody gets on; `demand`: the scenario says what must be.
 */
export type Judgement = 'access' | 'assertion' | 'call' | 'state' | 'end' | 'progress' | 'demand'

/** A kind of finding, as `list findings` prints it. */
export interface FindingKind {
  readonly id: string
  readonly judgement: Judgement
  /** One sentence: the hazard. */
  readonly sentence: string
  /** Why it is a rule: what one can look up. */
  readonly why: readonly Ground[]
}

/** `facts` says as data of what the message speaks. */
export type Report = (id: string, message: string, facts: Facts) => void

/** What a check can know beyond the state of the kernel. */
export interface Context {
  readonly report: Report
  /** Some task was killed by an oops: what it held stays held, what it owned stays allocated. */
  readonly crashed: boolean
}

export interface Sanitizer {
  readonly name: string
  /** The machine that it judges; on others it is not there. Undefined for all of them. */
  readonly host?: string
  /** What must hold, in one sentence or two. */
  readonly invariant: string
  readonly kinds: readonly FindingKind[]
  /** Fields (`Struct.field`) whose change can make the state check fail. */
  readonly watches?: readonly string[]
  /**
   * The state check reads nothing but what it watches, so it says the same of a state whichever
   * step has led there. A test holds it to that.
   */
  readonly ofStates?: true
  /** The kernel has booted; nothing of the scenario has happened. */
  booted?(): void
  /** Judge a reachable state. */
  state?(context: Context): void
  /** Judge an event of the kernel, at the moment it happens. */
  event?(name: string, args: readonly unknown[], context: Context): void
  /** Judge the acquisition of a lock, before it joins those that the task holds. */
  acquired?(task: Task, lockClass: number, trylock: boolean, context: Context): void
  /** Judge a point at which the task may sleep. */
  mightSleep?(task: Task, where: string, context: Context): void
  /** Judge a state in which every task has ended, before the process exits. */
  atRest?(context: Context): void
  /** Judge a state (`deadlock`) or a part of the state graph (`livelock`) that nobody leaves. */
  stuck?(id: string, context: Context): void
  /** Judge the state after the process has exited and everything was torn down. */
  atEnd?(context: Context): void
}
