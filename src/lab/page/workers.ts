/**
 * The page's workers: one that answers at once, and one that searches. The first ones that are made
 * know no hosts and have no compiler; what speaks of a host, or brings a design, is asked of others,
 * which are made when they are needed.
 */
import type { Answers, Request, Shipped } from '../protocol.js'
import { Client } from './client.js'
import { isOneFile, shipped, type WorkerFile } from './shipped.js'

export type Role = 'quick' | 'search'

const NO_WORKSHOP =
  'a page that is one file has no compiler: “restrictedmem lab” serves one that has'

const clients = new Map<string, Client>()

function clientFor(role: Role, file: WorkerFile): Client {
  const key = `${role} ${file}`
  const client = clients.get(key) ?? new Client(file, shipped('data.json'))
  clients.set(key, client)
  return client
}

/** Does a text speak of hosts: of one, of a design on one, or of a design that only hosts have? */
function speaksOfHosts(text: string, data: Shipped | undefined): boolean {
  if (/@|^\s*hosts?\b/m.test(text)) return true
  const plain = data?.matrices[0]?.designs.map((d) => d.id) ?? data?.designs ?? []
  const onHosts = data?.designs.filter((id) => !plain.includes(id)) ?? []
  return onHosts.some((id) => text.includes(id))
}

function fileFor(request: Request, data: Shipped): WorkerFile {
  if (request.kind === 'patch') return 'workshop.js'
  if ('code' in request && request.code !== undefined) return 'workshop.js'
  const texts = Object.values(request).filter((v): v is string => typeof v === 'string')
  return texts.some((t) => speaksOfHosts(t, data)) ? 'worker-hosts.js' : 'worker.js'
}

/** The worker that a token will be asked of can begin before anything else is there. */
export function warm(role: Role, token: string): void {
  clientFor(role, speaksOfHosts(token, undefined) ? 'worker-hosts.js' : 'worker.js').warm()
}

export async function ask<K extends Request['kind']>(
  role: Role,
  request: Extract<Request, { kind: K }>,
  onProgress?: (states: number, depth: number) => void,
): Promise<Answers[K]> {
  const file = fileFor(request, await shipped('data.json'))
  if (file === 'workshop.js' && isOneFile()) throw new Error(NO_WORKSHOP)
  return clientFor(role, file).ask<K>(request, onProgress)
}

/** End the searches under way; they answer with what they have, where the browser allows that. */
export function stopSearching(): void {
  for (const [key, client] of clients) if (key.startsWith('search ')) client.stop()
}
