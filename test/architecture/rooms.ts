/**
 * The rooms of src/, what each is, and which others it may import: the tests hold every import to
 * this table, dynamic ones too, and docs/rooms.md is made from it.
 */
export interface Room {
  /** Folder below src/. A file belongs to the longest name that fits. */
  readonly name: string
  readonly what: string
  /** Other rooms; who may import one may import the rooms inside it, unless they are `inner`. */
  readonly may: readonly string[]
  /** Only who names it may import it: a room inside another one that is not for everybody. */
  readonly inner?: true
  /** May talk to Node: all of it, or one file. */
  readonly node?: true | string
  /** Runs in a browser, whose clock it may ask: all of it, or one file. */
  readonly browser?: true | string
  /** `null` is the kernel's NULL here. */
  readonly usesNull?: true
  /** Its files from below: each imports from its own layer and those before it. */
  readonly layers?: readonly { readonly what: string; readonly files: readonly string[] }[]
  /** Why its files may import each other in a circle. */
  readonly circles?: string
}

const KERNEL = ['machine', 'kernel', 'user']

export const ROOMS: readonly Room[] = [
  {
    name: 'machine',
    what: 'arena, structs, allocator, tasks, effects, locks, RCU, deferred work',
    may: [],
    usesNull: true,
    layers: [
      {
        what: 'words, and objects on them',
        files: [
          ...['arena', 'fault', 'blob', 'accessors', 'access', 'layout', 'order', 'ops'],
          ...['struct', 'census'],
        ],
      },
      {
        what: 'tasks, and the code that they run',
        files: [
          'effects',
          'task',
          'alloc',
          'fn',
          'straight',
          'frames',
          'lowered',
          'inputs',
          'memo',
        ],
      },
      { what: 'what orders tasks', files: ['rcu', 'locks', 'wait', 'work'] },
      { what: 'programs on it', files: ['program', 'machine', 'set-up', 'alone'] },
    ],
  },
  {
    name: 'lower',
    what: 'TypeScript source of kernel code, to the same source with step functions',
    may: [],
    node: 'lower/host.ts',
  },
  {
    name: 'kernel',
    what: 'the kernel under test; mirrors the Linux tree',
    may: ['machine'],
    usesNull: true,
    circles: 'as in Linux, where mm and fs call each other',
  },
  {
    name: 'user',
    what: 'what drives the kernel: the process, its accesses, what a harness may ask',
    may: ['machine', 'kernel'],
    usesNull: true,
  },
  {
    name: 'calls',
    what: 'one table of calls: scenarios, transcripts, model, live kernel and docs derive from it',
    may: KERNEL,
  },
  {
    name: 'designs',
    what: 'one file each: what a patch series replaces',
    may: KERNEL,
    usesNull: true,
  },
  {
    name: 'hosts',
    what: 'confidential-computing hardware and firmware, beside a design',
    may: [...KERNEL, 'designs'],
    usesNull: true,
  },
  {
    name: 'sanitizers',
    what: 'one judge each; they read machine and kernel, and write what they remember',
    may: [...KERNEL, 'hosts'],
    usesNull: true,
  },
  { name: 'trace', what: 'the events of a replay', may: [] },
  {
    name: 'litmus',
    what: 'the scenario language: grammar, operations, conditions',
    may: [...KERNEL, 'calls', 'designs', 'hosts'],
  },
  {
    name: 'cell',
    what: 'a scenario on a design: booted, judged, executed step by step',
    may: [...KERNEL, 'designs', 'sanitizers', 'litmus'],
  },
  {
    name: 'picture',
    what: 'what a state looks like: mappings, frames, page caches, tasks',
    may: [...KERNEL, 'calls', 'designs', 'sanitizers', 'litmus', 'cell', 'trace'],
    usesNull: true,
  },
  { name: 'explore', what: 'rooms, by the way in which executions are chosen', may: [] },
  { name: 'explore/states', what: 'the set of states that were visited', may: ['machine'] },
  {
    name: 'explore/listen',
    what: 'what only looks on: witnesses, final states, undeclared accesses',
    may: ['machine', 'kernel', 'cell'],
  },
  {
    name: 'explore/prove',
    what: 'the stateful search, and the judge of loops',
    may: ['machine', 'cell', 'explore/states', 'explore/listen'],
  },
  {
    name: 'explore/stateless',
    what: 'the second opinion: no states, only executions',
    may: ['machine', 'cell', 'explore/listen'],
  },
  {
    name: 'explore/sample',
    what: 'random executions',
    may: ['machine', 'cell', 'explore/listen'],
  },
  {
    name: 'explore/tell',
    what: 'replay, hindsight, smaller scenarios',
    may: [
      ...['machine', 'kernel', 'designs', 'litmus', 'cell', 'trace', 'picture'],
      ...['explore/states', 'explore/prove', 'explore/stateless'],
    ],
  },
  {
    name: 'app',
    what: 'the library: checks, verdicts, tokens; what the package exports',
    may: ['machine', 'designs', 'hosts', 'sanitizers', 'litmus', 'cell', 'explore', 'trace'],
  },
  {
    name: 'app/host',
    what: 'the library on Node: files, worker threads, cache, checkpoints',
    may: [
      ...['app', 'machine', 'designs', 'hosts', 'sanitizers', 'litmus', 'cell'],
      ...['explore', 'trace'],
      ...['lower', 'promela', 'conform'],
    ],
    inner: true,
    node: true,
  },
  {
    name: 'report',
    what: 'pure renderers',
    may: ['app', 'explore', 'trace', 'kernel', 'litmus', 'sanitizers'],
  },
  {
    name: 'report/host',
    what: 'the formats of reports, found on the disk',
    may: ['report', 'app', 'litmus'],
    inner: true,
    node: true,
  },
  {
    name: 'conform',
    what: 'random programs of system calls, on the model and as recorded',
    may: [...KERNEL, 'calls', 'designs', 'cell'],
  },
  {
    name: 'live',
    what: 'the same programs on the running kernel, and on a second one',
    may: ['calls', 'conform', 'kernel', 'app', 'app/host'],
    node: true,
  },
  {
    name: 'promela',
    what: "a model for SPIN: kernel code in C, and the machine's counterpart",
    may: ['machine', 'lower', 'litmus', 'sanitizers'],
    circles: 'one grammar: expressions hold calls, and calls hold functions',
  },
  {
    name: 'patch',
    what: 'from a mailed patch, or a tree of C, to kernel functions; calibration',
    may: ['machine', 'designs', 'litmus', 'cell', 'explore/prove', 'app'],
    circles: 'one grammar: statements hold calls, and calls hold expressions',
  },
  {
    name: 'patch/host',
    what: 'patches, and trees of C, on Node: files, worker threads, what is kept between runs',
    may: [
      ...['patch', 'app', 'app/host', 'machine', 'designs', 'sanitizers', 'litmus', 'cell'],
      'lower',
    ],
    inner: true,
    node: true,
  },
  {
    name: 'lab',
    what: 'the page: what its workers can be asked',
    may: [
      ...['app', 'calls', 'machine', 'kernel', 'designs', 'hosts', 'sanitizers', 'litmus'],
      ...['cell', 'explore', 'trace', 'report'],
    ],
    browser: 'lab/listen.ts',
  },
  {
    name: 'lab/page',
    what: 'the page itself, in a browser: types of the model, and pure renderers',
    may: ['lab', 'report', 'trace', 'explore/tell'],
    inner: true,
    browser: true,
  },
  {
    name: 'lab/workshop',
    what: 'a worker of the page that makes designs of patches, and compiles those of the user',
    may: ['lab', 'lower', 'machine', 'designs', 'app', 'patch'],
    browser: true,
  },
  {
    name: 'lab/host',
    what: 'the page on Node: served, or written to files',
    may: ['lab', 'app', 'app/host', 'litmus', 'report'],
    inner: true,
    node: true,
  },
  {
    name: 'cli',
    what: 'commands',
    may: [
      ...['app', 'app/host', 'machine', 'kernel', 'user', 'calls', 'designs', 'hosts'],
      'sanitizers',
      ...['litmus', 'cell', 'explore', 'trace', 'report', 'lower', 'conform', 'live', 'promela'],
      ...['patch', 'patch/host', 'report/host', 'lab', 'lab/host'],
    ],
    node: true,
  },
]

/** The room of a file, given by its path below src/ with forward slashes. */
export function roomOf(file: string): Room {
  const rooms = ROOMS.filter((r) => file.startsWith(`${r.name}/`))
  const longest = rooms.reduce<Room | undefined>(
    (a, b) => (a !== undefined && a.name.length > b.name.length ? a : b),
    undefined,
  )
  if (longest === undefined) throw new Error(`src/${file} lies in no room`)
  return longest
}

export function mayImport(from: Room, to: Room): boolean {
  if (to === from || from.may.includes(to.name)) return true
  return to.inner !== true && from.may.some((name) => to.name.startsWith(`${name}/`))
}
