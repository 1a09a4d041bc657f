/** Designs by id or by path. */
import type { Design } from '../../designs/design.js'
import { DESIGNS, NAMED_DESIGNS } from '../../designs/index.js'
import { MACHINE_OF, onHost, supports } from '../../hosts/host.js'
import { designIds, designNamed, HOSTS } from '../../hosts/index.js'
import { suggest } from '../../litmus/error.js'
import type { Scenario } from '../../litmus/scenario.js'
import { numberDeclared } from '../../machine/machine.js'
import { UserError } from '../error.js'
import type { LoadedDesign } from '../results.js'
import { cellHash } from '../token.js'
import { CODE } from './package.js'

/** A design and, for one by path, its lowered text, by which a worker can load it too. */
export interface DesignRef {
  readonly id: string
  readonly module: string | undefined
  /** What the design is, wherever it and the project lie. */
  readonly identity: string
}

/** The hash in a token: the code, the scenario's text, the design's text. */
export function tokenHash(scenarioText: string, design: DesignRef): string {
  return cellHash(CODE.code, scenarioText, design.identity)
}

/** Load a design's module: JavaScript text that exports `design`. */
async function loadModule(module: string): Promise<Design> {
  numberDeclared()
  const url = `data:text/javascript;base64,${Buffer.from(module).toString('base64')}`
  const loaded = (await import(url)) as { design?: Design }
  if (loaded.design?.replaces === undefined) {
    throw new UserError('the design file exports no `design` made by defineDesign()')
  }
  return loaded.design
}

/** By text: the same module twice is one, two modules are two, whatever their ids. */
const loaded = new Map<string, Promise<Design>>()

/** The design that a reference names, loaded once in each thread: it declares functions. */
export async function loadDesign({ id, module }: Omit<DesignRef, 'identity'>): Promise<Design> {
  if (module === undefined) return designNamed(id) as Design
  const loading = loaded.get(module) ?? loadModule(module)
  loaded.set(module, loading)
  const design = await loading
  const host = HOSTS.find((h) => id === `${design.id}@${h.id}`)
  return host === undefined ? design : onHost(design, host)
}

/**
 * Designs as they run on a machine, on each host that is one; a design that is on a host already
 * must be there. @throws UserError if none of them can.
 */
export function designsOnMachine(
  designs: readonly LoadedDesign[],
  machine: string,
): readonly LoadedDesign[] {
  const there = designs.filter((d) => (d.design.host?.machine ?? 'sw') === machine)
  const hosts = HOSTS.filter((h) => MACHINE_OF[h.id] === machine)
  const moved = hosts.flatMap((h) =>
    designs
      .filter((d) => d.design.host === undefined && supports(h, d.design))
      .map((d) => {
        const design = onHost(d.design, h)
        return { ...d, id: design.id, identity: `${d.identity}@${h.id}`, design }
      }),
  )
  const placed = [...there, ...moved]
  if (placed.length > 0) return placed
  const names = designs.map((d) => d.id).join(', ')
  throw new UserError(`${names} does not run on the host "${machine}"`)
}

function asLoaded(design: Design): LoadedDesign {
  const { id } = design
  return { id, module: undefined, identity: id, design, path: undefined }
}

export function builtInDesigns(): LoadedDesign[] {
  return DESIGNS.map(asLoaded)
}

/** Those beside the built-in ones that a row of a scenario names: they are in no list of all. */
export function designsNamedIn(scenarios: readonly Scenario[]): LoadedDesign[] {
  const names = new Set(scenarios.flatMap((s) => s.expect.flatMap((e) => e.designs)))
  return NAMED_DESIGNS.filter((d) => names.has(d.id)).map(asLoaded)
}

/** From an id, or the path of a file, to a design. @throws UserError */
export async function resolveDesign(name: string): Promise<LoadedDesign> {
  const builtIn = designNamed(name)
  if (builtIn !== undefined) return asLoaded(builtIn)
  if (!/[/\\]|\.ts$/.test(name)) {
    const hint = suggest(name, designIds())
    throw new UserError(`there is no design "${name}".${hint} A file's name ends in .ts.`)
  }
  // The compiler is loaded only when it is needed.
  const { lowerDesignFile } = await import('../../lower/host.js')
  const { text: module, identity, problems } = lowerDesignFile(name)
  if (problems.length > 0) {
    throw new UserError(
      problems
        .map((p) => `${p.file}${p.line > 0 ? `:${p.line}:${p.column}` : ''}: ${p.message}`)
        .join('\n'),
    )
  }
  const design = await loadDesign({ id: name, module })
  if (designIds().includes(design.id)) {
    throw new UserError(`${name}: the id "${design.id}" belongs to a built-in design`)
  }
  return { id: design.id, module, identity, design, path: name }
}

/** All designs that are named, each once. @throws UserError */
export async function resolveDesigns(names: readonly string[]): Promise<LoadedDesign[]> {
  const designs: LoadedDesign[] = []
  for (const name of names) {
    const next = await resolveDesign(name)
    const same = designs.find((d) => d.id === next.id)
    if (same === undefined) designs.push(next)
    else if (same.identity !== next.identity) {
      throw new UserError(`${same.path} and ${next.path} are two designs called "${next.id}"`)
    }
  }
  return designs
}
