/**
 * Where the page is: the hash of its address, and nothing else. `#matrix`, `#edit&l=…`,
 * `#design&d=…`, `#learn`, `#tour`, `#docs/litmus`, `#glossary/gfn`, `#campaign`, or a story:
 * `#token&on=…&l=…&d=…&s=…`, the step last, so that no mail program that cuts a dash or an
 * underscore off a link damages it.
 */
import { signal } from '@preact/signals'

export type Screen =
  | 'matrix'
  | 'story'
  | 'edit'
  | 'design'
  | 'learn'
  | 'tour'
  | 'docs'
  | 'glossary'
  | 'campaign'

export interface Route {
  readonly screen: Screen
  /** Of a story: the token as it came. */
  readonly token: string
  /** Another design, for the same schedule. */
  readonly on: string | undefined
  readonly step: number | undefined
  /** The text of a scenario, deflated. */
  readonly own: string | undefined
  /** The text of a design, deflated. */
  readonly design: string | undefined
  /** Of a page of the documentation, a scenario to edit or a word of the glossary: its name. */
  readonly name: string
}

const SCREENS: readonly Screen[] = [
  ...(['matrix', 'edit', 'design', 'learn', 'tour', 'docs', 'glossary', 'campaign'] as const),
]

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Read a hash; anything that names no screen is taken for a token. */
export function parseHash(hash: string): Route {
  const text = decoded(hash.replace(/^#/, ''))
  const [head = '', ...rest] = text.split('&')
  const value = (name: string): string | undefined =>
    rest.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1)
  const [word = '', ...more] = head.trim().split('/')
  const screen = word === '' ? 'matrix' : (SCREENS.find((s) => s === word) ?? 'story')
  const step = Number(value('s') ?? Number.NaN)
  return {
    screen,
    token: screen === 'story' ? head : '',
    on: value('on') || undefined,
    step: Number.isSafeInteger(step) && step >= 0 ? step : undefined,
    own: value('l') || undefined,
    design: value('d') || undefined,
    name: more.join('/'),
  }
}

/** Parts of a place; what is left out or undefined is not in its hash. */
export type Where = { readonly [K in keyof Route]?: Route[K] | undefined }

export function hashOf(route: Where): string {
  const { screen = 'story', token = '', on, own, design, step, name = '' } = route
  const head = screen === 'story' ? token : name === '' ? screen : `${screen}/${name}`
  const parts = [
    head,
    ...(on === undefined ? [] : [`on=${on}`]),
    ...(own === undefined ? [] : [`l=${own}`]),
    ...(design === undefined ? [] : [`d=${design}`]),
    ...(step === undefined ? [] : [`s=${step}`]),
  ]
  return `#${parts.join('&')}`
}

export const route = signal<Route>(parseHash(location.hash))

addEventListener('hashchange', () => {
  route.value = parseHash(location.hash)
})

/** The same place, a little different: no new entry in the browser's history. */
export function adjust(change: Partial<Route>): void {
  const next = { ...route.value, ...change }
  history.replaceState(null, '', hashOf(next))
  route.value = next
}

/** Bytes through a stream that packs or unpacks them; undefined if more than `most` come out. */
async function through(
  bytes: Uint8Array,
  stream: GenericTransformStream,
  most = Number.POSITIVE_INFINITY,
): Promise<Uint8Array | undefined> {
  const body = new Blob([bytes as BlobPart]).stream().pipeThrough(stream as never) as ReadableStream
  const parts: Uint8Array[] = []
  let length = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer())
    parts.push(value)
    length += value.length
    if (length <= most) continue
    await reader.cancel()
    return undefined
  }
}

/** A text as base64 without signs that an address or a mail would change. */
export async function deflate(text: string): Promise<string> {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream('deflate-raw'))
  const base = btoa(String.fromCharCode(...(bytes as Uint8Array)))
  return `${base.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.`
}

/** Texts of more bytes than this come in no link: a short one may unpack to very much. */
const LONGEST = 200_000

/** @throws Error if it is damaged, or too long. */
export async function inflate(packed: string): Promise<string> {
  const base = packed
    .replace(/[^\w-]/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/')
  let bytes: Uint8Array | undefined
  try {
    const packedBytes = Uint8Array.from(atob(base), (c) => c.charCodeAt(0))
    bytes = await through(packedBytes, new DecompressionStream('deflate-raw'), LONGEST)
  } catch {
    throw new Error('the text in this link is damaged: part of the link is missing')
  }
  if (bytes === undefined) throw new Error('the text in this link is too long')
  return new TextDecoder().decode(bytes)
}
