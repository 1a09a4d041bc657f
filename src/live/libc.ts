/**
 * The C library's `syscall`, through koffi. The package is optional: without it, off Linux or on
 * another architecture there is no live kernel, and the reason says so.
 */
import { createRequire } from 'node:module'
import { O_CLOEXEC, O_RDWR } from '../kernel/include/uapi.js'
import { AT_FDCWD, NR } from './numbers.js'

/** What is used of koffi; declared here because the package may be absent when this is built. */
interface Koffi {
  load(path: string): { func(prototype: string): Func }
  address(view: ArrayBufferView | ArrayBuffer): bigint
  errno(): number
}

type Func = ((...args: Arg[]) => number | bigint) & {
  async(...args: [...Arg[], (error: Error | null, result: number | bigint) => void]): void
}

export type Arg = number | bigint

/** Why there is no live kernel on this host. */
export class NoLiveKernel extends Error {}

/** System calls with raw arguments. Results are the kernel's own: negative errno, or a value. */
export interface Libc {
  /** A call whose result fits a number, as all do but those that return an address or an offset. */
  call(nr: number, ...args: Arg[]): number
  /** A call that returns an address or an offset. */
  wide(nr: number, ...args: Arg[]): bigint
  /** The same on a thread of its own; the result is -1 for every error. */
  later(nr: number, ...args: Arg[]): Promise<number>
  /** Where the bytes of a buffer are. They stay there as long as the buffer lives. */
  address(view: ArrayBufferView): bigint
}

const PROTOTYPE = 'int64_t syscall(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)'

function requireKoffi(): Koffi {
  const { platform, arch } = process
  if (platform !== 'linux') throw new NoLiveKernel(`this is ${platform}, not Linux`)
  if (arch !== 'x64') throw new NoLiveKernel(`this is ${arch}; system calls are known for x64`)
  try {
    return createRequire(import.meta.url)('koffi') as Koffi
  } catch (error) {
    const [reason = ''] = (error as Error).message.split('\n')
    throw new NoLiveKernel(`the optional package koffi cannot be loaded (${reason})`)
  }
}

/** @throws NoLiveKernel */
export function loadLibc(): Libc {
  const koffi = requireKoffi()
  const syscall = koffi.load('libc.so.6').func(PROTOTYPE)
  const raw = (nr: number, [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0]: Arg[]): number | bigint => {
    const result = syscall(nr, a, b, c, d, e, f)
    return result === -1 ? -koffi.errno() : result
  }
  return {
    call: (nr, ...args) => Number(raw(nr, args)),
    wide: (nr, ...args) => BigInt(raw(nr, args)),
    later: (nr, ...[a = 0, b = 0, c = 0, d = 0, e = 0, f = 0]) =>
      new Promise((resolve, reject) => {
        syscall.async(nr, a, b, c, d, e, f, (error, result) => {
          if (error) reject(error)
          else resolve(Number(result))
        })
      }),
    address: (view) => koffi.address(view),
  }
}

/** Open a file by path, or a negative errno. */
export function open(libc: Libc, path: string, flags = O_RDWR): number {
  const name = Buffer.from(`${path}\0`)
  return libc.call(NR.openat, AT_FDCWD, libc.address(name), flags | O_CLOEXEC)
}
