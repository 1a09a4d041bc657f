/**
 * From a control flow graph to the text of a step function. Locals are JavaScript variables while
 * a step runs; at a yield or a call those that are still needed go into the frame and every other
 * word of it becomes zero, so that dead locals do not tell states apart.
 */
import type { Block, Local, Terminator } from './cfg.js'
import type { Problem } from './flow.js'
import { HEADER, planOf, type Suspension } from './plan.js'
import { type Keep, wordsOf } from './types.js'

export interface Generated {
  readonly text: string
  readonly problems: readonly Problem[]
}

/** The `Lowered` expression for a function. `rt` is the name of the run-time import. */
export function generate(
  blocks: readonly Block[],
  params: readonly Local[],
  locals: readonly Local[],
  rt: string,
): Generated {
  const plan = planOf(blocks, params)
  const { suspensions, slots, words, entryLive } = plan
  const problems = forbidden(suspensions, params, entryLive)
  const lines = [
    '(() => {',
    ...structConstants(locals, slots, rt),
    `  return { words: ${words},`,
    `  sites: { ${sitesOf(suspensions)} },`,
    `  enter(fp, args) { ${enter(params, slots, rt, entryLive)} },`,
    '  step(fp, $pc, $v) {',
    ...(locals.length > 0 ? [`    let ${locals.map((l) => l.name).join(', ')};`] : []),
    '    for (;;) switch ($pc) {',
    ...plan.blocks.flatMap((b) =>
      blockText(b, blocks[0] as Block, suspensions, slots, params, entryLive, words, rt),
    ),
    "      default: throw new Error('no such place in this function');",
    '    }',
    '  } };',
    '})()',
  ]
  return { text: lines.join('\n'), problems }
}

function forbidden(
  suspensions: readonly Suspension[],
  params: readonly Local[],
  entryLive: ReadonlySet<Local>,
): Problem[] {
  const problems = new Map<Local, Problem>()
  const check = (l: Local): void => {
    if (l.keep.kind !== 'forbidden' && l.keep.kind !== 'none') return
    const type = l.keep.kind === 'forbidden' ? l.keep.type : 'undefined'
    const accepted = 'only numbers, booleans, bigints, ops tables and struct handles can'
    const reason = `${l.source} is a ${type} and would live across a yield: ${accepted}`
    problems.set(l, { pos: l.pos, reason })
  }
  for (const s of suspensions) for (const l of s.kept) check(l)
  for (const p of params) if (entryLive.has(p)) check(p)
  return [...problems.values()]
}

function structConstants(
  locals: readonly Local[],
  slots: ReadonlyMap<Local, number>,
  rt: string,
): string[] {
  const names = new Set<string>()
  for (const l of locals) {
    if (slots.has(l) && l.keep.kind === 'ptr' && l.keep.struct !== 'Obj') names.add(l.keep.struct)
  }
  return [...names].map((n) => `  const $S_${n} = ${rt}.structAt('${n}');`)
}

function sitesOf(suspensions: readonly Suspension[]): string {
  return suspensions
    .map(({ end }) => `${end.next.id}: { line: ${end.line}, text: ${JSON.stringify(end.note)} }`)
    .join(', ')
}

function save(l: Local, at: number, value: string, rt: string): string {
  const to = `fp + ${at}`
  switch (l.keep.kind) {
    case 'num':
      return `${rt}.saveNum(${to}, ${value});`
    case 'flag':
      return `${rt}.saveFlag(${to}, ${value});`
    case 'wide':
      return `${rt}.saveWide(${to}, ${value});`
    case 'big':
      return `${rt}.saveBig(${to}, ${value});`
    case 'ptr':
      return `${rt}.savePtr(${to}, ${value});`
    case 'ops':
      return `${rt}.saveOps(${to}, ${value});`
    default:
      return ''
  }
}

function load(keep: Keep, at: number, rt: string): string {
  const from = `fp + ${at}`
  switch (keep.kind) {
    case 'num':
      return `${rt}.mem[${from}]`
    case 'flag':
      return `${rt}.mem[${from}] !== 0`
    case 'wide':
      return `${rt}.loadWide(${from})`
    case 'big':
      return `${rt}.loadBig(${from})`
    case 'ptr':
      return keep.struct === 'Obj'
        ? `${rt}.loadAny(${from})`
        : `$S_${keep.struct}(${rt}.mem[${from}])`
    case 'ops':
      return `${rt}.loadOps(${from})`
    default:
      return 'undefined'
  }
}

function enter(
  params: readonly Local[],
  slots: ReadonlyMap<Local, number>,
  rt: string,
  live: ReadonlySet<Local>,
): string {
  return params
    .map((p, i) => (live.has(p) ? save(p, slots.get(p) as number, `args[${i}]`, rt) : ''))
    .join(' ')
}

function blockText(
  block: Block,
  entry: Block,
  suspensions: readonly Suspension[],
  slots: ReadonlyMap<Local, number>,
  params: readonly Local[],
  entryLive: ReadonlySet<Local>,
  words: number,
  rt: string,
): string[] {
  const lines = [`      case ${block.id}:`]
  const add = (text: string): void => {
    if (text !== '') lines.push(`        ${text}`)
  }
  const resumed = suspensions.find((s) => s.end.next === block)
  if (block === entry) {
    for (const p of params) {
      if (entryLive.has(p)) add(`${p.name} = ${load(p.keep, slots.get(p) as number, rt)};`)
    }
  }
  if (resumed !== undefined) {
    for (const l of resumed.kept) add(`${l.name} = ${load(l.keep, slots.get(l) as number, rt)};`)
    if (resumed.end.into !== undefined) add(`${resumed.end.into.name} = $v;`)
  }
  for (const item of block.items)
    add(item.text.endsWith(';') || item.text.endsWith('}') ? item.text : `${item.text};`)
  const own = suspensions.find((s) => s.block === block)
  for (const text of endText(block.end as Terminator, own, slots, words, rt)) add(text)
  return lines
}

function endText(
  end: Terminator,
  own: Suspension | undefined,
  slots: ReadonlyMap<Local, number>,
  words: number,
  rt: string,
): string[] {
  switch (end.kind) {
    case 'jump':
      return [`$pc = ${end.to.id}; continue;`]
    case 'branch':
      return [`$pc = (${end.cond.text}) ? ${end.yes.id} : ${end.no.id}; continue;`]
    case 'return':
      return [`return ${rt}.ret(${end.value.text || 'undefined'});`]
    case 'throw':
      return [`throw ${end.value.text};`]
    default:
      return suspendText(end, own as Suspension, slots, words, rt)
  }
}

function suspendText(
  end: Suspension['end'],
  own: Suspension,
  slots: ReadonlyMap<Local, number>,
  words: number,
  rt: string,
): string[] {
  const used = new Set<number>()
  const lines: string[] = []
  // Evaluated before the frame changes: it may need a local that is not kept.
  const pc = end.next.id
  if (end.kind === 'call')
    lines.push(
      `{ const $f = ${end.callee.text}; const $a = [${end.args.map((a) => a.text).join(', ')}];`,
    )
  else if (!end.plain) lines.push(`{ const $e = ${end.effect.text};`)
  else lines.push(`{ const $e = ${rt}.announced.all ? ${end.effect.text} : 0;`)
  for (const l of own.kept) {
    const at = slots.get(l) as number
    lines.push(save(l, at, l.name, rt))
    for (let i = 0; i < wordsOf(l.keep); i++) used.add(at + i)
  }
  for (let at = HEADER; at < words; at++)
    if (!used.has(at)) lines.push(`${rt}.pokeFrame(fp + ${at}, 0);`)
  if (end.kind === 'call') lines.push(`return ${rt}.call(fp, ${words}, ${pc}, $f, $a); }`)
  else lines.push(`return ${rt}.suspend(fp, ${pc}, $e); }`)
  return lines
}
