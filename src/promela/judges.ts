/** The sanitizers in C: found where they are declared, written like other functions. */
import ts from 'typescript'
import type { Sanitizer } from '../sanitizers/sanitizer.js'
import { plainText } from './function.js'
import { type Gap, NotExpressible, type World } from './world.js'

/** Sanitizers, and where a list that has them all is declared. */
export interface JudgesAt {
  /** Seen from the project's root. */
  readonly file: string
  readonly name: string
  readonly list: readonly Sanitizer[]
}

const HOOKS = ['state', 'event', 'acquired', 'mightSleep', 'atRest', 'atEnd', 'stuck'] as const

type Hook = (typeof HOOKS)[number]

/** How a hook's function is called, and when. */
const CALLS: Readonly<Record<Hook, (f: string, bit: number) => string>> = {
  state: (f, bit) => `if (watched & ${bit}) ${f}(0);`,
  event: (f) => `${f}(name, args, 0);`,
  acquired: (f) => `${f}(task, lock_class, trylock, 0);`,
  mightSleep: (f) => `${f}(task, where, 0);`,
  atRest: (f) => `${f}(0);`,
  atEnd: (f) => `${f}(0);`,
  stuck: (f, _bit) => `${f}(${'DEADLOCK'}, 0);`,
}

const HEADS: Readonly<Record<Hook, string>> = {
  state: 'static void judge_state(int watched)',
  event: 'static V judge_event(V name, const V *args)',
  acquired: 'static V judge_acquired(V task, V lock_class, V address, V trylock)',
  mightSleep: 'static V judge_might_sleep(V task, V where)',
  atRest: 'static void judge_at_rest(void)',
  atEnd: 'static void judge_at_end(void)',
  stuck: 'static void judge_stuck(void)',
}

/** Hooks that stand where kernel code calls a function, which has a value in C. */
const ANSWER: ReadonlySet<Hook> = new Set(['event', 'acquired', 'mightSleep'])

export interface JudgesText {
  readonly heads: readonly string[]
  readonly text: string
  /** Hooks that could not be written; their findings are not judged. */
  readonly gaps: readonly Gap[]
}

/** The text of all hooks. Functions that they call are left for the world to write. */
export function judgesText(judges: JudgesAt, file: ts.SourceFile, world: World): JudgesText {
  const gaps: Gap[] = []
  const functions: string[] = []
  const calls = new Map<Hook, string[]>(HOOKS.map((h) => [h, []]))
  for (const [i, object] of sanitizersIn(judges, file, world).entries()) {
    for (const hook of HOOKS) {
      const source = hookOf(object, hook, world)
      if (source === undefined) continue
      const name = `J${i + 1}_${hook}`
      try {
        const { head, body } = plainText({ name, source }, world)
        functions.push(`${head} ${body}`)
        calls.get(hook)?.push(CALLS[hook](name, 1 << i))
      } catch (error) {
        if (!(error instanceof NotExpressible)) throw error
        gaps.push(world.gapOf(`the judge ${judges.list[i]?.name} (${hook})`, error))
      }
    }
  }
  const dispatchers = HOOKS.map((hook) => {
    const value = ANSWER.has(hook) ? 'return UNDEFINED;' : ''
    const body = (calls.get(hook) ?? []).join('\n').replace('DEADLOCK', world.text('deadlock'))
    return `${HEADS[hook]} {\n${body}\n${value} }`
  })
  return { heads: Object.values(HEADS), text: [...functions, ...dispatchers].join('\n'), gaps }
}

/** The literals of the sanitizers, in their order. */
function sanitizersIn(
  { list, name }: JudgesAt,
  file: ts.SourceFile,
  world: World,
): ts.ObjectLiteralExpression[] {
  const declared = new Map<string, ts.ObjectLiteralExpression>()
  for (const e of elementsOf(name, file)) {
    const of = world.declarationOf(e)
    const object = of && ts.isVariableDeclaration(of) ? of.initializer : undefined
    if (object === undefined || !ts.isObjectLiteralExpression(object)) continue
    const called = object.properties.find((p) => p.name?.getText() === 'name')
    if (called === undefined || !ts.isPropertyAssignment(called)) continue
    if (ts.isStringLiteral(called.initializer)) declared.set(called.initializer.text, object)
  }
  return list.map((s) => {
    const object = declared.get(s.name)
    if (object === undefined) throw new Error(`the judge ${s.name} is not declared in ${name}`)
    return object
  })
}

function elementsOf(name: string, file: ts.SourceFile): readonly ts.Expression[] {
  for (const s of file.statements) {
    if (!ts.isVariableStatement(s)) continue
    const declared = s.declarationList.declarations.find((d) => d.name.getText() === name)
    const value = declared?.initializer
    if (value !== undefined && ts.isArrayLiteralExpression(value)) return value.elements
  }
  return []
}

/** `state({ report }) {…}`, `state: judge`, or `state`. */
function hookOf(
  object: ts.ObjectLiteralExpression,
  hook: Hook,
  world: World,
): ts.MethodDeclaration | ts.FunctionDeclaration | undefined {
  const property = object.properties.find((p) => p.name?.getText() === hook)
  if (property === undefined) return undefined
  if (ts.isMethodDeclaration(property)) return property
  let declaration: ts.Declaration | undefined
  if (ts.isPropertyAssignment(property)) declaration = world.declarationOf(property.initializer)
  else if (ts.isShorthandPropertyAssignment(property)) {
    declaration = world.checker.getShorthandAssignmentValueSymbol(property)?.valueDeclaration
  }
  return declaration !== undefined && ts.isFunctionDeclaration(declaration)
    ? declaration
    : undefined
}
