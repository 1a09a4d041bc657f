/** The race in Promela under SPIN, as a rival; where spin and gcc are installed. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { missingTool } from '../src/app/host/spin.js'
import type { Measured } from './measured.js'
import type { RaceSize } from './race.js'

/** SPIN's figures for a size of the race, its own set-up left out, or why there are none. */
export function spinRace(size: RaceSize): Measured | string {
  const missing = missingTool()
  if (missing !== undefined) return `${missing} is not installed`
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-spin-'))
  try {
    copyFileSync(resolve(import.meta.dirname, '../../bench/race.pml'), join(folder, 'race.pml'))
    const run = (program: string, ...args: string[]): string | undefined => {
      const { status, stdout } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' })
      return status === 0 ? stdout : undefined
    }
    const sizes = [
      `-DVCPUS=${size.vcpus}`,
      `-DPUNCHES=${size.punches}`,
      `-DMIGRATIONS=${size.migrations}`,
      `-DROUNDS=${size.rounds}`,
    ]
    run('spin', ...sizes, '-a', 'race.pml')
    run('gcc', '-O2', '-DSAFETY', '-DMEMLIM=12000', '-o', 'pan', 'pan.c')
    const out = run('./pan', '-m100000', '-w24') ?? ''
    const states = Number(/([\d.e+]+) states, stored/.exec(out)?.[1])
    const seconds = Number(/elapsed time ([\d.e+]+) seconds/.exec(out)?.[1])
    if (Number.isNaN(states + seconds)) return 'pan said nothing that can be read'
    return { states, seconds }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
