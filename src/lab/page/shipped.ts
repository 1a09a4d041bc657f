/**
 * What comes with the page: scenarios, verdicts, sources, pages of the documentation. From the server
 * that the page came from, or, of a page that is one file, from that file.
 */
import type { CampaignSeen, CellVerdict, Shipped } from '../protocol.js'

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
  'sources.json': Sources
  /** Of the calls in which a task can stand: a worker has their numbers. */
  'texts.json': readonly string[]
  'docs.json': readonly Doc[]
  /** What a workshop's compiler reads; the page only hands it on. */
  'workshop.json': unknown
  /** What a patch is read with; likewise. */
  'patch.json': unknown
}

function inline(name: string): string | undefined {
  return document.getElementById(name)?.textContent ?? undefined
}

/** Is the page one file, with all in it that it will ever have? */
export function isOneFile(): boolean {
  return inline('data.json') !== undefined
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

/** Verdicts on a matrix that the server has come to until now. */
export function verdictsOf(matrix: string): Promise<Verdicts> {
  return read(`verdicts-${matrix}.json`) as Promise<Verdicts>
}

/** What the server knows of the campaign that it was started with. */
export function campaignNow(): Promise<CampaignSeen> {
  return read('campaign.json') as Promise<CampaignSeen>
}

/** What the page begins with, as it is now. */
export function dataAgain(): Promise<Shipped> {
  return read('data.json') as Promise<Shipped>
}

/** Call `heard` whenever the server says that the file behind the page was written again. */
export function onChange(heard: () => void): void {
  new EventSource('changes').onmessage = heard
}

/** Workers by what they are made of. */
export type WorkerFile = 'worker.js' | 'workshop.js'

const ownWorkers = new Map<WorkerFile, string>()

/** Where a worker's code is. */
export function workerUrl(file: WorkerFile): string {
  const text = inline(file)
  if (text === undefined) return file
  const url =
    ownWorkers.get(file) ?? URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
  ownWorkers.set(file, url)
  return url
}
