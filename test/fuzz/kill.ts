/** Checks that are killed at any moment, and go on from what they have saved. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Draw } from '../engine/programs.js'
import type { Drawn } from './scenarios.js'
import type { Answer, Plain } from './ways.js'

const VICTIM = join(import.meta.dirname, 'victim.js')

/** Saves that a check makes on its way. */
const SAVES = 60
/** Longest time that a victim is let live, in milliseconds. */
const LIFE = 600

/** Kill a check so many times, then let it end. What it says, and what it has left behind. */
export async function killed(
  { text, design }: Drawn,
  { steps }: Plain,
  kills: number,
  draw: Draw,
): Promise<{ answer: Answer; kills: number; left: readonly string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-fuzz-kill-'))
  const path = join(folder, 'checkpoint')
  const every = String(Math.max(1, Math.floor(steps / SAVES)))
  try {
    for (let done = 0; ; done++) {
      const life = done < kills ? draw(LIFE) : undefined
      const said = await oneLife([text, design, path, every], life)
      if (said === undefined) continue
      const left = readdirSync(folder)
      return { answer: answerOf(said), kills: done, left }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a victim says, or undefined if it was killed before. */
async function oneLife(
  args: readonly string[],
  life: number | undefined,
): Promise<string | undefined> {
  const child = spawn(process.execPath, [VICTIM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  let timer: NodeJS.Timeout | undefined
  child.stdout.on('data', (said) => {
    out += said
    if (timer === undefined && life !== undefined) {
      timer = setTimeout(() => child.kill('SIGKILL'), life)
    }
  })
  child.stderr.on('data', (said) => {
    err += said
  })
  const [code, signal] = await once(child, 'close')
  clearTimeout(timer)
  if (signal === 'SIGKILL' && life !== undefined) return undefined
  if (code !== 0) throw new Error(`a check that goes on ends with ${code ?? signal}: ${err}`)
  return out.split('\n')[1] as string
}

function answerOf(said: string): Answer {
  const { states, executions, findings, outcomes } = JSON.parse(said)
  return {
    by: 'killed',
    ...{ states, executions },
    findings: new Map(findings),
    outcomes: new Set(outcomes),
  }
}
