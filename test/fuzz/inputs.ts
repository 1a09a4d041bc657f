/**
 * What users hand in, with something wrong in it. Each must be refused with a message, or be
 * judged: nothing else may happen. Most are tried in this process; now and then, by the command.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CellSnapshot, checkScenario } from '../../src/app/check.js'
import { UserError } from '../../src/app/error.js'
import { readCheckpoint, saveCheckpoint } from '../../src/app/host/checkpoint.js'
import { packagedFile } from '../../src/app/host/package.js'
import { builtInScenarios } from '../../src/app/host/scenarios.js'
import { builtInTranscripts } from '../../src/app/host/transcripts.js'
import { knownNames } from '../../src/app/known.js'
import { decodeToken, encodeToken, isNamedBy, type Token, TokenError } from '../../src/app/token.js'
import type { Verdict } from '../../src/app/verdict.js'
import { SetupFailure } from '../../src/cell/boot.js'
import type { Move } from '../../src/cell/schedule.js'
import { compareTranscript } from '../../src/conform/compare.js'
import { Model, profileOf } from '../../src/conform/model.js'
import { parseTranscript, TranscriptError } from '../../src/conform/program.js'
import { DESIGNS } from '../../src/designs/index.js'
import { lookBack } from '../../src/explore/tell/hindsight.js'
import { replayScenario } from '../../src/explore/tell/replay.js'
import { LitmusError } from '../../src/litmus/error.js'
import { readScenario, type Scenario } from '../../src/litmus/scenario.js'
import { LimitError } from '../../src/machine/fault.js'
import { PatchError, patchesOf } from '../../src/patch/mail/patch.js'
import { renderColumns, renderList } from '../../src/report/columns.js'
import { renderSplat } from '../../src/report/splat.js'
import { renderVerdict } from '../../src/report/verdict.js'
import type { Draw } from '../engine/programs.js'
import { misbehaves } from './command.js'
import { mutated } from './mutate.js'

/** A kind of input. */
export interface InputKind {
  readonly name: string
  /** One out of so many is given to the command, too. */
  readonly commandOf: number
  make(draw: Draw): string
  /** What is wrong with how it is dealt with, if anything is. */
  problem(text: string): string | undefined
  byCommand(text: string): Promise<string | undefined>
}

type ErrorClass = new (...args: never[]) => Error

/** Refused as it should be, or else what happened. */
function refusal(error: unknown, ...by: readonly ErrorClass[]): string | undefined {
  const { message, stack } = error as Error
  if (!by.some((c) => error instanceof c)) return `not refused but crashed: ${stack ?? message}`
  if (message.trim() === '') return 'refused without a word'
  return /\[object |\n {4}at .*:\d+:\d+\)?$/m.test(message)
    ? `refused unreadably: ${message}`
    : undefined
}

function pick<T>(draw: Draw, from: readonly T[]): T {
  return from[draw(from.length)] as T
}

function inFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-fuzz-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const done = use(folder)
  if (done instanceof Promise) return done.finally(remove) as T
  remove()
  return done
}

/** The command on a file with this content. */
function onFile(name: string, content: string | Uint8Array, args: (path: string) => string[]) {
  return inFolder((folder) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return misbehaves(args(path))
  })
}

const STEPS = 300
const FEW = { askEvery: STEPS, keepGoing: () => false, now: () => 0 }

function cellOf(text: string, scenario: Scenario, id: string) {
  const design = DESIGNS.find((d) => d.id === id)!
  const file = { path: 'fuzz.litmus', builtIn: false, text, scenario }
  const loaded = { id, module: undefined, identity: id, path: undefined, design }
  return { file, design: loaded, hash: '00000000' }
}

/** A scenario is checked a little on some design, and the verdict is printed. */
function litmusProblem(text: string, id: string): string | undefined {
  let scenario: Scenario
  try {
    scenario = readScenario(text, knownNames())
  } catch (error) {
    if (!(error instanceof LitmusError)) return refusal(error)
    const { line, column } = error
    if (!(line >= 1 && column >= 1 && line <= text.split('\n').length + 1)) {
      return `refused at ${line}:${column}`
    }
    return refusal(error, LitmusError)
  }
  try {
    const cell = cellOf(text, scenario, id)
    const verdict: Verdict = checkScenario(scenario, cell.design.design, FEW)
    renderVerdict({ ...cell, verdict })
    return undefined
  } catch (error) {
    return refusal(error, LimitError, UserError)
  }
}

export function litmusFiles(): InputKind {
  const files = builtInScenarios().map((f) => f.text)
  // By the text, so that a smaller one is judged on the same design.
  const designOf = (text: string): string => pick((n) => text.length % n, DESIGNS).id
  return {
    name: 'litmus files',
    commandOf: 200,
    make: (draw) => mutated(pick(draw, files), draw, files),
    problem: (text) => litmusProblem(text, designOf(text)),
    byCommand: (text) =>
      onFile('own.litmus', text, (path) => ['check', '-d', designOf(text), '--time', '2', path]),
  }
}

/** Tokens of findings and outcomes of some built-in cells. */
function realTokens(): Token[] {
  const files = builtInScenarios()
  const names = ['migration/guest-touch-vs-compaction', 'reclaim/drop-caches-vs-guest-data']
  return names.flatMap((name) => {
    const { scenario } = files.find((f) => f.scenario.name === name)!
    return ['v10', 'upm-pin'].flatMap((id) => {
      const design = DESIGNS.find((d) => d.id === id)!
      const effort = { asMet: true, keepGoing: () => true, now: () => 0 }
      const { findings, outcomes } = checkScenario(scenario, design, effort)
      const shown = [...findings, ...outcomes.slice(0, 3)]
      return shown.map(({ schedule }) => ({
        ...{ scenario: name, design: id, hash: '00000000', schedule },
      }))
    })
  })
}

/** Another schedule, as if it had been recorded. */
function otherMoves(schedule: readonly Move[], draw: Draw): Move[] {
  const moves = [...schedule]
  for (let i = draw(4); i >= 0; i--) {
    const at = draw(moves.length + 1)
    const move = { task: draw(8), choice: draw(3), alternatives: 1 + draw(3) }
    if (draw(3) === 0) moves.splice(at, 1 + draw(5))
    else if (draw(2) === 0) moves.splice(at, 0, move)
    else moves.splice(at, 1, ...moves.splice(draw(moves.length + 1), 1 + draw(9)))
  }
  return moves
}

function tokenProblem(text: string): string | undefined {
  let token: Token
  try {
    token = decodeToken(text)
  } catch (error) {
    return refusal(error, TokenError)
  }
  const file = builtInScenarios().find((f) => isNamedBy(token, f.scenario.name))
  const design = DESIGNS.find((d) => d.id === token.design)
  if (file === undefined || design === undefined) return undefined
  try {
    for (const mode of ['lowered', 'direct'] as const) {
      const { trace } = replayScenario(file.scenario, design, token.schedule, mode)
      for (const render of [renderColumns, renderList]) render(trace)
      renderSplat(trace)
      JSON.stringify(trace)
      const id = trace.steps.at(-1)?.findings[0]?.id
      if (id === undefined || mode === 'direct') continue
      const limits = { states: 2000, keepGoing: () => true }
      lookBack(file.scenario, design, token.schedule, id, limits)
    }
    return undefined
  } catch (error) {
    return refusal(error, LimitError, SetupFailure)
  }
}

export function tokens(): InputKind {
  const real = realTokens()
  const texts = real.map(encodeToken)
  const other = (draw: Draw): string => {
    const token = pick(draw, real)
    return encodeToken({ ...token, schedule: otherMoves(token.schedule, draw) })
  }
  return {
    name: 'tokens',
    commandOf: 100,
    make: (draw) => (draw(2) === 0 ? other(draw) : mutated(pick(draw, texts), draw, texts)),
    problem: tokenProblem,
    byCommand: (text) => misbehaves(['replay', '-'], text),
  }
}

function transcriptProblem(text: string): string | undefined {
  try {
    const transcript = parseTranscript(text, 'fuzz.jsonl')
    compareTranscript(transcript, new Model(profileOf(transcript.kernel).profile))
    return undefined
  } catch (error) {
    return refusal(error, TranscriptError, UserError, LimitError)
  }
}

export function transcripts(): InputKind {
  const files = builtInTranscripts().map((p) => readFileSync(p, 'utf8').trim().split('\n'))
  const some = (draw: Draw): string => {
    const [head = '', ...programs] = pick(draw, files)
    return [head, pick(draw, programs), pick(draw, programs)].join('\n')
  }
  return {
    name: 'transcripts',
    commandOf: 150,
    make: (draw) => mutated(some(draw), draw, [some(draw)]),
    problem: transcriptProblem,
    byCommand: (text) => onFile('own.jsonl', text, (p) => ['conform', '--transcript', p]),
  }
}

/** Designs are tried by the command alone: their code is the user's, and may do anything. */
export function designs(): InputKind {
  const files = ['kirill.ts', 'sean.ts'].map((f) =>
    readFileSync(packagedFile(`examples/${f}`), 'utf8'),
  )
  const cell = 'migration/guest-touch-vs-compaction'
  return {
    name: 'designs',
    commandOf: 1,
    make: (draw) => mutated(pick(draw, files), draw, files),
    problem: () => undefined,
    byCommand: (text) =>
      onFile('own.ts', text, (path) => ['check', '-d', path, '--time', '5', '--no-cache', cell]),
  }
}

function someSnapshot(): CellSnapshot {
  const { scenario } = builtInScenarios().find(
    (f) => f.scenario.name === 'punch/punch-vs-guest-fault',
  )!
  let snapshot: CellSnapshot | undefined
  checkScenario(scenario, DESIGNS.find((d) => d.id === 'upm')!, {
    askEvery: STEPS,
    now: () => 0,
    keepGoing: (_states, _depth, probe) => {
      snapshot = structuredClone(probe.snapshot?.())
      return false
    },
  })
  return snapshot as CellSnapshot
}

/** As bytes, each a character. Whatever is not refused must be what was saved. */
export function checkpoints(): InputKind {
  const whole = inFolder((folder) => {
    saveCheckpoint(join(folder, 'saved'), 'fuzz', someSnapshot())
    return readFileSync(join(folder, 'saved'), 'latin1')
  })
  return {
    name: 'checkpoints',
    commandOf: 10,
    make: (draw) => mutated(whole, draw, [whole]),
    problem: (text) =>
      inFolder((folder) => {
        const path = join(folder, 'saved')
        writeFileSync(path, Buffer.from(text, 'latin1'))
        try {
          readCheckpoint(path, 'fuzz')
          const same = Buffer.from(text, 'latin1').equals(Buffer.from(whole, 'latin1'))
          return same ? undefined : 'another file is taken for a checkpoint'
        } catch (error) {
          return refusal(error, UserError)
        }
      }),
    byCommand: (text) =>
      onFile('own.checkpoint', Buffer.from(text, 'latin1'), (path) => {
        return ['check', '-d', 'upm', '--checkpoint', path, 'punch/punch-vs-guest-fault']
      }),
  }
}

const MAIL = `From: A Developer <developer@example.org>
Subject: [PATCH v2 1/2] mm: keep a page that is not ours
Date: Mon, 2 Jan 2023 10:00:00 +0000
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

A page that is shared is=20
not moved.

---
 mm/restrictedmem.c | 5 +++--
 1 file changed, 3 insertions(+), 2 deletions(-)

diff --git a/mm/restrictedmem.c b/mm/restrictedmem.c
--- a/mm/restrictedmem.c
+++ b/mm/restrictedmem.c
@@ -10,6 +10,7 @@ static int restrictedmem_release(struct inode *inode, struct file *file)
 	struct address_space *mapping =3D inode->i_mapping;
=20
 	if (!mapping)
-		return 0;
+		return -EINVAL;
+
 	fput(file);
 	return 0;
 }
--=20
2.39.0
`

export function mails(): InputKind {
  return {
    name: 'mails',
    commandOf: Number.POSITIVE_INFINITY,
    make: (draw) => mutated(MAIL, draw, [MAIL]),
    problem: (text) => {
      try {
        patchesOf(text)
        return undefined
      } catch (error) {
        return refusal(error, PatchError)
      }
    },
    byCommand: async () => undefined,
  }
}
