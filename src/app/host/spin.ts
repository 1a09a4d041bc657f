/** SPIN on a generated model, where spin and a C compiler are installed. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Model, Runtime } from '../../promela/model.js'
import { packagedFile } from './package.js'

/** The hand-written part of models, which lies among the sources. */
export function modelRuntime(): Runtime {
  const read = (name: string): string => readFileSync(packagedFile(`src/promela/${name}`), 'utf8')
  return { memory: read('memory.c'), blob: read('blob.c'), machine: read('machine.c') }
}

/** What SPIN said of a model. */
export interface SpinResult {
  readonly states: number
  readonly transitions: number
  readonly seconds: number
  /** By id: does it come first on some execution? */
  readonly findings: ReadonlyMap<string, boolean>
  readonly finals: ReadonlySet<string>
}

export interface SpinLimits {
  /** Depth of the search, in steps. */
  readonly depth: number
  readonly megabytes: number
  readonly seconds: number
  /** Words of the state vector. */
  readonly words: number
}

export const SPIN_LIMITS: SpinLimits = {
  depth: 100_000,
  megabytes: 4000,
  seconds: 600,
  words: 1024,
}

/** Why there is no verdict. */
export class NoVerdict extends Error {}

/** Which of the programs that are needed is not there; undefined if all are. */
export function missingTool(): string | undefined {
  return ['spin', 'gcc'].find((tool) => !isThere(tool, tool === 'spin' ? '-V' : '--version'))
}

function isThere(tool: string, arg: string): boolean {
  return spawnSync(tool, [arg], { stdio: 'ignore' }).error === undefined
}

/** The verifier as a command that dies with this process, however that dies, where Linux allows. */
function verifier(): [string, ...string[]] {
  if (!isThere('setpriv', '--version')) return ['./pan']
  return ['setpriv', '--pdeathsig', 'KILL', './pan']
}

/** A verifier made from a model, in a folder of its own. */
export class Verifier {
  readonly #folder: string
  readonly #limits: SpinLimits

  constructor(name: string, model: Model, limits = SPIN_LIMITS) {
    this.#limits = limits
    this.#folder = mkdtempSync(join(tmpdir(), 'restrictedmem-spin-'))
    writeFileSync(join(this.#folder, `${name}.pml`), model.promela)
    writeFileSync(join(this.#folder, `${name}.c`), model.c)
    try {
      this.#tool('spin', '-a', `${name}.pml`)
      const sizes = [`-DWORDS=${limits.words}`, `-DVECTORSZ=${limits.words * 4 + 2048}`]
      const kind = ['-DSAFETY', '-DNOREDUCE', `-DMEMLIM=${limits.megabytes}`]
      this.#tool('gcc', '-O1', '-w', ...kind, ...sizes, '-o', 'pan', 'pan.c')
    } catch (error) {
      this.close()
      throw error
    }
  }

  #tool(program: string, ...args: string[]): void {
    const { status, error, stdout, stderr } = spawnSync(program, args, {
      cwd: this.#folder,
      encoding: 'utf8',
    })
    if (error !== undefined) throw error
    if (status !== 0) throw new Error(`${program} does not take the model: ${stdout}${stderr}`)
  }

  /** Search from one of the model's initial states. @throws NoVerdict */
  run(state = 0): SpinResult {
    const start = performance.now()
    const [program, ...before] = verifier()
    const args = [...before, `-m${this.#limits.depth}`, '-w20']
    const { stdout, error } = spawnSync(program, args, {
      cwd: this.#folder,
      encoding: 'utf8',
      env: { ...process.env, MODEL_CASE: String(state) },
      timeout: this.#limits.seconds * 1000,
      maxBuffer: 1 << 30,
    })
    const seconds = (performance.now() - start) / 1000
    const trouble = /^error: (.*)$/m.exec(stdout)?.[1]
    if (trouble !== undefined) throw new NoVerdict(trouble)
    if (error !== undefined) throw new NoVerdict(`no end within ${this.#limits.seconds} s`)
    if (/max search depth too small/.test(stdout)) throw new NoVerdict('the search is too deep')
    if (/out of memory|memory limit/i.test(stdout)) throw new NoVerdict('memory ran out')
    const states = Number(/^\s*([\d.e+]+) states, stored/m.exec(stdout)?.[1])
    const transitions = Number(/^\s*([\d.e+]+) transitions/m.exec(stdout)?.[1])
    if (Number.isNaN(states)) throw new Error(`pan said nothing that can be read: ${stdout}`)
    return { states, transitions, seconds, ...told(stdout) }
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function told(stdout: string): Pick<SpinResult, 'findings' | 'finals'> {
  const findings = new Map<string, boolean>()
  for (const [, id = '', first] of stdout.matchAll(/^finding: (\S+) ([01])$/gm)) {
    findings.set(id, first === '1' || findings.get(id) === true)
  }
  const finals = new Set([...stdout.matchAll(/^final: (\S+)$/gm)].map((m) => m[1] as string))
  return { findings, finals }
}
