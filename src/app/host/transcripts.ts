/** Recordings of real kernels as files. */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { parseTranscript, type Transcript, TranscriptError } from '../../conform/program.js'
import { UserError } from '../error.js'
import { packagedFile } from './package.js'

/** Paths of the recordings that come with the project. */
export function builtInTranscripts(): string[] {
  const folder = packagedFile('transcripts')
  return readdirSync(folder)
    .filter((name) => extname(name) === '.jsonl')
    .sort()
    .map((name) => join(folder, name))
}

/** @throws UserError if there is no such file, or it is no recording. */
export function readTranscript(path: string): Transcript {
  try {
    return parseTranscript(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof TranscriptError) throw new UserError(error.message)
    throw new UserError(`${path}: ${(error as Error).message}`)
  }
}
