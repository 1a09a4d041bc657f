/** What the command line can say, as it arrives from it. */
import type { Shard } from '../app/host/shard.js'

export interface CheckFlags {
  readonly design: string[]
  readonly host?: string
  readonly format: string
  readonly bound?: number
  readonly find?: boolean
  readonly exact?: boolean
  readonly time?: number
  readonly memory?: number
  readonly checkpoint?: string
  readonly cache: boolean
  readonly workers?: number
  readonly cross?: number | true
  readonly promela?: string
  readonly undeclared?: boolean
  readonly sample?: number
  readonly seed?: number
  readonly shard?: Shard
  /** Where a shard goes. */
  readonly result?: string
  /** URL of the server by way of which workers answer, and seconds that it may be gone for. */
  readonly queue?: string
  readonly patience: number
}

export interface ReplayFlags {
  readonly on?: string
  readonly view: 'columns' | 'splat' | 'list' | 'memory' | 'litmus'
  readonly json?: boolean
  readonly direct?: boolean
  /** Where a scenario of the user's own, or a design by path, is found. */
  readonly file?: string
  readonly design?: string
}

export interface ConformFlags {
  readonly transcript: readonly string[]
  readonly live?: boolean
  readonly family: readonly string[]
  readonly seed: number
  readonly count: number
  readonly record?: string
  readonly ktap?: boolean
  readonly probe?: boolean
  readonly guest?: boolean
  readonly qemu?: string
  readonly queue?: string
  readonly patience: number
  readonly all?: boolean
}

export interface LabFlags {
  readonly port: number
  readonly open: boolean
  readonly out?: string
  readonly single?: string
  readonly queue?: string
}
