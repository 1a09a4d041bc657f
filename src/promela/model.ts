/**
 * A Promela model of what the machine is about to search, generated from the lowered kernel code:
 * one process for each task, whose only step is the machine's. SPIN decides who steps, keeps the
 * states and matches them; what a step does is C.
 *
 * The hand-written part (`memory.c`, `machine.c`) is the machine's counterpart, and shares nothing
 * with it. Kernel code and sanitizers are written by the second back end of the lowering.
 */
import { plainText } from './function.js'
import { type JudgesAt, judgesText } from './judges.js'
import { kernelText } from './step.js'
import {
  blobsText,
  casesText,
  conditionsText,
  functionsInSlots,
  type InitialState,
  mostArguments,
  namesText,
  opsText,
  structsText,
} from './tables.js'
import { type Gap, type KernelFunction, NotExpressible, type Sources, World } from './world.js'

/** The hand-written part. */
export interface Runtime {
  readonly memory: string
  readonly blob: string
  readonly machine: string
}

export interface ModelRequest {
  /** How the model is called; one word. */
  readonly name: string
  /** What it is, for its reader. */
  readonly title: string
  readonly sources: Sources
  readonly runtime: Runtime
  readonly judges: JudgesAt
  /** Most outcomes of a choice. */
  readonly ways: number
  /** Initial states; which one, the environment says. */
  readonly states: readonly InitialState[]
}

export interface Model {
  readonly promela: string
  readonly c: string
  /** What could not be written. A search that gets there stops with the reason. */
  readonly gaps: readonly Gap[]
  /** Kernel functions, and ordinary ones, in the model. */
  readonly functions: readonly [kernel: number, plain: number]
}

interface Written {
  readonly heads: readonly string[]
  readonly body: string
}

/** Generate the model. */
export function modelOf(request: ModelRequest): Model {
  const { runtime, states, judges } = request
  const reserved = new Set(
    `${runtime.memory} ${runtime.blob} ${runtime.machine}`.match(/[A-Za-z_]\w*/g),
  )
  const world = new World(request.sources, reserved)
  const cases = casesText(states, world)
  const file = request.sources.program.getSourceFile(`${request.sources.root}/${judges.file}`)
  if (file === undefined) throw new Error(`${judges.file} is not among the sources`)
  const judged = judgesText(judges, file, world)
  const { written, rows, gaps } = writeAll(world)
  const names = world.kernel.map((f, i) => `${f.name} = ${i + 1}`)
  const c = [
    sizesText(states, request.ways),
    namesText(),
    runtime.memory,
    runtime.blob,
    blobsText(),
    `enum { ${names.join(', ')} };`,
    ...judged.heads.map((h) => `${h};`),
    'static V task_of(int n);\nstatic V anybody_died(void);',
    'static B run_plain(V f, const B *args);',
    opsText(world),
    ...written.flatMap((w) => w.heads.map((h) => `${h};`)),
    ...written.map((w) => w.body),
    judged.text,
    structsText(judges.list),
    `const Function functions[] = { {0},\n${rows.join(',\n')} };`,
    RUN_PLAIN,
    runtime.machine,
    conditionsText(states),
    cases,
  ].join('\n\n')
  return {
    promela: promelaText(request),
    c: `${c}\n`,
    gaps: [...judged.gaps, ...gaps],
    functions: [world.kernel.length, world.plain.length],
  }
}

const RUN_PLAIN = `/** A function that runs to completion, by its number. */
static B run_plain(V f, const B *args) {
  if (f == 0 || f == UNDEFINED) fault("null-dereference", OOPS);
  return functions[f].plain(args);
}`

function sizesText(states: readonly InitialState[], ways: number): string {
  return [
    '/** Words that can change. Raise these if the search says that there are more. */',
    '#ifndef WORDS',
    '#define WORDS 1024',
    '#endif',
    `enum { MAX_ARGUMENTS = ${mostArguments(states)}, MAX_WAYS = ${ways} };`,
  ].join('\n')
}

/** Write functions until those that are written call no others. */
function writeAll(world: World): { written: Written[]; rows: string[]; gaps: Gap[] } {
  const written: Written[] = []
  const rows: string[] = []
  const gaps: Gap[] = []
  let plain = 0
  for (;;) {
    const kernel = world.kernel[rows.length]
    const ordinary = world.plain[plain]
    if (kernel !== undefined) {
      const { text, row } = writeKernel(kernel, world, gaps)
      written.push(text)
      rows.push(row)
    } else if (ordinary !== undefined) {
      plain++
      try {
        const { head, body } = plainText(ordinary, world)
        written.push({ heads: [head], body: `${head} ${body}` })
      } catch (error) {
        const head = `static V ${ordinary.name}()`
        written.push({
          heads: [head],
          body: `${head} { ${stop(ordinary.name, error, world, gaps)} }`,
        })
      }
    } else {
      const before = world.kernel.length
      functionsInSlots(world)
      if (world.kernel.length === before) return { written, rows, gaps }
    }
  }
}

/** What stands for a function that C cannot say. */
function stop(name: string, error: unknown, world: World, gaps: Gap[]): string {
  if (!(error instanceof NotExpressible)) throw error
  const gap = world.gapOf(name.replace(/^[FP]\d+_/, ''), error)
  gaps.push(gap)
  const why = `${gap.name} cannot be expressed: ${gap.reason} (${gap.place})`
  return `give_up(${JSON.stringify(why)});`
}

function writeKernel(f: KernelFunction, world: World, gaps: Gap[]): { text: Written; row: string } {
  const quoted = JSON.stringify(f.body.cName)
  const steps = f.source.asteriskToken !== undefined
  try {
    const { heads, body, words, result } = kernelText(f, world)
    const pointers = steps ? `${f.name}_enter, ${f.name}_step, 0` : `0, 0, ${f.name}_plain`
    return { text: { heads, body }, row: `{ ${quoted}, ${words}, ${result}, ${pointers} }` }
  } catch (error) {
    const run = `static V ${f.name}_run()`
    const plain = `static B ${f.name}_plain(const B *args)`
    const enter = `static void ${f.name}_enter(V fp, const B *args)`
    const why = stop(f.name, error, world, gaps)
    const heads = [run, plain, enter]
    return {
      text: { heads, body: heads.map((h) => `${h} { ${why} }`).join('\n') },
      row: `{ ${quoted}, 3, 0, ${f.name}_enter, 0, ${f.name}_plain }`,
    }
  }
}

function promelaText({ name, title, states, ways }: ModelRequest): string {
  const tasks = Math.max(...states.map((s) => s.program.tasks.length))
  const only = states.length === 1 ? states[0]?.program.tasks : undefined
  const processes = Array.from({ length: tasks }, (_, n) => {
    const steps = Array.from({ length: ways }, (_, way) => {
      // SPIN takes `f(` in a guard for a side effect, but not `f (`.
      const guard = way === 0 ? `can_step (${n})` : `can_step (${n}) && ways (${n}) > ${way}`
      return `  :: d_step { c_expr { ${guard} } -> c_code { step(${n}, ${way}); } }`
    })
    const called = (only?.[n]?.name ?? '').replace(/\W/g, '_')
    return `active proctype task${n}_${called}() {\nend: do\n${steps.join('\n')}\n  od\n}`
  })
  return `/*
 * ${title}
 *
 * Generated by restrictedmem. Each step of a task is one transition: what the kernel does from one
 * access that others can see to the next. What a step does is in ${name}.c.
 *
 *   spin -a ${name}.pml
 *   gcc -O2 -DSAFETY -DNOREDUCE -DVECTORSZ=16384 -o pan pan.c
 *   ./pan -m1000000
 *
 * It prints each kind of finding (1: nothing had gone wrong before it), a key of each final state,
 * and the number of states. The steps of different tasks depend on each other in ways that SPIN
 * does not see: -DNOREDUCE is needed.
 */
c_decl {
\\#include "${name}.c"
}

c_track "W" "sizeof(W)" "Matched"

${processes.join('\n\n')}

/* Nobody can go on: the end of an execution, good or bad. The state stays as it is. */
active proctype standstill() {
end: do
  :: d_step { c_expr { nobody_runs () } -> c_code { at_standstill(); } }
  od
}
`
}
