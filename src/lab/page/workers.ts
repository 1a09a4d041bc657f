/**
 * The page's workers: one that answers at once, and one that searches. They have no compiler: what
 * brings a design is asked of others, which are made when they are needed.
 */
import type { Answers, Request } from '../protocol.js'
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

function fileFor(request: Request): WorkerFile {
  const isOfDesign = request.kind === 'patch' || ('code' in request && request.code !== undefined)
  return isOfDesign ? 'workshop.js' : 'worker.js'
}

/** The worker that will be asked can begin before anything else is there. */
export function warm(role: Role): void {
  clientFor(role, 'worker.js').warm()
}

export async function ask<K extends Request['kind']>(
  role: Role,
  request: Extract<Request, { kind: K }>,
  onProgress?: (states: number, depth: number) => void,
): Promise<Answers[K]> {
  const file = fileFor(request)
  if (file === 'workshop.js' && isOneFile()) throw new Error(NO_WORKSHOP)
  return clientFor(role, file).ask<K>(request, onProgress)
}

/** End the searches under way; they answer with what they have, where the browser allows that. */
export function stopSearching(): void {
  for (const [key, client] of clients) if (key.startsWith('search ')) client.stop()
}
