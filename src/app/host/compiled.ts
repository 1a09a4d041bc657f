/**
 * Code that V8 has compiled before. The build makes one script of most modules, some megabytes, runs
 * it, and keeps what V8 made of it by then (`tools/bundle.mjs`, `tools/compiled.mjs`): a thread that
 * is given that has neither to read the text nor to compile what it calls.
 *
 * It is good for one text, and for one V8 and its flags: both are in the name of the file. Where
 * there is none V8 compiles, as it does without us.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cachedDataVersionTag } from 'node:v8'
import { Script } from 'node:vm'
import { writeWhole } from './whole-file.js'

type Exports = Readonly<Record<string, unknown>>

/** What is around the text of a script: it puts what it exports into `given`. */
type Body = (
  require: (path: string) => Exports | undefined,
  importLater: (path: string) => Promise<Exports>,
  home: string,
  given: { exports: Exports },
) => void

interface Place {
  /** The script, as seen from the module that runs it. */
  readonly place: string
  /** Of its text. */
  readonly hash: string
  /** The URL of that module. */
  readonly home: string
}

const running: { readonly script: Script; readonly kept: URL }[] = []

function contents(file: URL): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

/** Run a script with the modules that it needs, and a way to import others; what it exports. */
export function runScript(
  { place, hash, home }: Place,
  modules: Readonly<Record<string, Exports>>,
  importLater: (path: string) => Promise<Exports>,
): Exports {
  const kept = new URL(`../compiled/${hash}-${cachedDataVersionTag()}`, home)
  const cachedData = contents(kept)
  const file = new URL(place, home)
  const script = new Script(readFileSync(file, 'latin1'), {
    filename: fileURLToPath(file),
    ...(cachedData && { cachedData }),
  })
  running.push({ script, kept })
  const given = { exports: {} }
  const body = script.runInThisContext() as Body
  body((path) => modules[path], importLater, home, given)
  return given.exports
}

/** Keep what V8 has compiled until now, for those who run the same scripts later. */
export function keepCompiled(): void {
  for (const { script, kept } of running) {
    mkdirSync(new URL('.', kept), { recursive: true })
    const compiled = script.createCachedData()
    writeWhole(fileURLToPath(kept), (file) => writeFileSync(file, compiled))
  }
}
