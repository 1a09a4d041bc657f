/**
 * What comes with the page: scenarios, verdicts, sources, pages of the documentation. From the server
 * that the page came from, or, of a page that is one file, from that file.
 */
import type { CellVerdict, ScenarioText } from '../protocol.js'

export interface Shipped {
  readonly version: string
  /** Of the code that verdicts and tokens are bound to. */
  readonly code: string
  readonly scenarios: readonly ScenarioText[]
  /** What the page was started with: a token, or the text of a scenario. */
  readonly open?: { readonly token?: string; readonly text?: string }
}

export interface Verdicts {
  readonly cells: readonly CellVerdict[]
  /** Cells that are still being checked. */
  readonly pending: number
}

export interface Doc {
  readonly name: string
  readonly title: string
  readonly html: string
}

/** Texts of the kernel's, by path. */
export type Sources = Readonly<Record<string, string>>

interface Files {
  'data.json': Shipped
  'verdicts.json': Verdicts
  'sources.json': Sources
  'docs.json': readonly Doc[]
}

function inline(name: string): string | undefined {
  return document.getElementById(name)?.textContent ?? undefined
}

const asked = new Map<string, Promise<unknown>>()

/** A file that comes with the page, read once. */
export function shipped<N extends keyof Files>(name: N): Promise<Files[N]> {
  const known = asked.get(name) ?? read(name)
  asked.set(name, known)
  return known as Promise<Files[N]>
}

async function read(name: string): Promise<unknown> {
  const text = inline(name)
  if (text !== undefined) return JSON.parse(text)
  const response = await fetch(name)
  if (!response.ok) throw new Error(`${name}: ${response.status}`)
  return response.json()
}

/** Verdicts that the server has come to since. */
export function verdictsAgain(): Promise<Verdicts> {
  return read('verdicts.json') as Promise<Verdicts>
}

let ownWorker: string | undefined

/** Where a worker's code is. */
export function workerUrl(): string {
  const text = inline('worker.js')
  if (text === undefined) return 'worker.js'
  ownWorker ??= URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
  return ownWorker
}
