/** The C grammar of the package that ships it as data. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startParser } from '../c/parse.js'

const WASM = '@repomix/tree-sitter-wasms/out/tree-sitter-c.wasm'

/** Make C readable, once a process. */
export async function startCParser(): Promise<void> {
  await startParser(readFileSync(fileURLToPath(import.meta.resolve(WASM))))
}
