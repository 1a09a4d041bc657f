/** What the page's workshop works with: compiler and C parser as they are installed, declarations. */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, sep } from 'node:path'
import { packagedFile } from '../../app/host/package.js'

/** Rooms whose modules a design may import. */
const ROOMS = ['kernel', 'designs', 'hosts', 'user', 'machine']

/** Declarations of the language, up to the version that the project is written in. */
const LANGUAGE = /^lib\.(es5|es20(1\d|2[0-3])|decorators)[\w.]*\.d\.ts$/

const { resolve } = createRequire(import.meta.url)

function compilerFile(): string {
  return resolve('typescript')
}

/** The compiler, for a worker's `importScripts`. */
export function compilerText(): Buffer {
  return readFileSync(compilerFile())
}

/** Everything that the compiler reads besides a design. */
export function declarationsText(): string {
  const files: Record<string, string> = {}
  const built = packagedFile('dist/src')
  for (const room of ROOMS) {
    const names = readdirSync(join(built, room), { recursive: true, encoding: 'utf8' })
    for (const name of names.filter((n) => n.endsWith('.d.ts'))) {
      const path = join(room, name)
      files[`/src/${path.split(sep).join('/')}`] = readFileSync(join(built, path), 'utf8')
    }
  }
  const library = dirname(compilerFile())
  for (const name of readdirSync(library).filter((n) => LANGUAGE.test(n))) {
    files[`/lib/${name}`] = readFileSync(join(library, name), 'utf8')
  }
  return JSON.stringify({ tsconfig: readFileSync(packagedFile('tsconfig.json'), 'utf8'), files })
}

/** What a patch is read with: names of the model, and the C parser. */
export function patchText(): string {
  const bytes = (file: string): string => readFileSync(resolve(file)).toString('base64')
  return JSON.stringify({
    dictionary: readFileSync(packagedFile('dist/dictionary.json'), 'utf8'),
    core: bytes('web-tree-sitter/web-tree-sitter.wasm'),
    grammar: bytes('@repomix/tree-sitter-wasms/out/tree-sitter-c.wasm'),
  })
}

/** Files that the page's workshop needs besides those of the build. */
export const WORKSHOP_FILES: Readonly<Record<string, () => string | Buffer>> = {
  'typescript.js': compilerText,
  'workshop.json': declarationsText,
  'patch.json': patchText,
}
