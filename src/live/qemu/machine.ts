/**
 * A second kernel: Debian's, in QEMU without hardware virtualisation, with one static program in
 * its root file system. Memory can be broken there, and nothing of it outlives the run.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { namedAnswer } from '../../conform/interpret.js'
import { exact, type Op, type Result } from '../../conform/program.js'
import { cpio, type Entry } from './cpio.js'
import { callsHeader } from './header.js'

const QEMU = 'qemu-system-x86_64'

/** Programs that are needed, and the Debian packages that have them. */
const TOOLS = [
  [QEMU, 'qemu-system-x86'],
  ['gcc', 'gcc libc6-dev'],
  ['dpkg-deb', 'dpkg'],
  ['setpriv', 'util-linux'],
] as const

const MODULES = ['irqbypass.ko', 'ccp.ko', 'kvm.ko', 'kvm-amd.ko']

/** Milliseconds after which the machine is switched off, whatever it does. */
const LIMIT = 300_000

/**
 * 384 MiB in two nodes, so that pages have somewhere to move to; a CPU that can run guests. That
 * there could be a second one makes QEMU carry out locked instructions as one access: see the
 * guest's code in `init.c`.
 */
const MACHINE = [
  ...['-m', '384', '-smp', '1,maxcpus=2', '-cpu', 'EPYC', '-accel', 'tcg'],
  ...['-object', 'memory-backend-ram,id=m0,size=192M', '-numa', 'node,memdev=m0,cpus=0'],
  ...['-object', 'memory-backend-ram,id=m1,size=192M', '-numa', 'node,memdev=m1,cpus=1'],
  ...['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-nic', 'none'],
]

/**
 * Without NUMA balancing, which takes pages out of the page table for a while, now here, now there.
 */
const KERNEL_LINE =
  'console=ttyS0 panic=-1 quiet loglevel=1 secretmem.enable=1 numa_balancing=disable'

/** The packages that are missing, if any. */
export function missingPackages(): string[] {
  const isThere = (tool: string): boolean =>
    spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0
  return TOOLS.filter(([tool]) => !isThere(tool)).map(([, packages]) => packages)
}

export interface QemuRun {
  /** Version of the kernel, such as `6.1.0`. */
  readonly kernel: string
  readonly results: readonly (readonly Result[])[]
}

/** The second kernel could not be started, or did not get to the end. */
export class QemuError extends Error {}

/** Run programs on the kernel of a linux-image package. @throws QemuError */
export async function runInQemu(
  packageFile: string,
  initSource: string,
  programs: readonly (readonly Op[])[],
): Promise<QemuRun> {
  const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-qemu-'))
  try {
    unpack(packageFile, folder)
    const found = readdirSync(folder, { recursive: true }) as string[]
    const kernel = found.find((f) => /(^|\/)vmlinuz-[\d.]/.test(f))
    if (kernel === undefined) throw new QemuError(`${packageFile}: no kernel in this package`)
    const initrd = join(folder, 'initrd')
    writeFileSync(initrd, rootFiles(folder, found, compile(initSource, folder), programs))
    const output = await boot(join(folder, kernel), initrd)
    return { kernel: versionOf(packageFile), results: resultsOf(output, programs) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Debian's version of the kernel: 6.1.176 of linux-image-6.1.0-50-amd64_6.1.176-1_amd64.deb. */
function versionOf(packageFile: string): string {
  const { stdout } = spawnSync('dpkg-deb', ['-f', packageFile, 'Version'], { encoding: 'utf8' })
  return /^[\d.]+/.exec(stdout)?.[0] ?? 'unknown'
}

/** The kernel and the modules of KVM; the rest of the package stays where it is. */
function unpack(packageFile: string, folder: string): void {
  const wanted = ['vmlinuz-*', ...MODULES].map((name) => `'*/${name}'`).join(' ')
  const command = `dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --wildcards ${wanted}`
  const { stderr } = spawnSync('sh', ['-c', command, packageFile, folder], { encoding: 'utf8' })
  // A kernel that has KVM built in has none of the modules.
  if (/not a Debian|cannot|No such/i.test(stderr) && readdirSync(folder).length === 0) {
    throw new QemuError(`${packageFile}: ${stderr.trim().split('\n')[0]}`)
  }
}

function compile(source: string, folder: string): Uint8Array {
  const out = join(folder, 'init')
  writeFileSync(join(folder, 'calls.h'), callsHeader())
  const { status, stderr } = spawnSync('gcc', ['-static', '-O1', '-I', folder, '-o', out, source], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new QemuError(`gcc: ${stderr.trim()}`)
  return readFileSync(out)
}

/** Programs as `init.c` reads them. */
export function linesOf(programs: readonly (readonly Op[])[]): string {
  return programs
    .map((ops) => `${['program', ...ops.map((op) => op.join(' '))].join('\n')}\n`)
    .join('')
}

function rootFiles(
  folder: string,
  found: readonly string[],
  init: Uint8Array,
  programs: readonly (readonly Op[])[],
): Uint8Array {
  const modules = MODULES.flatMap((name): Entry[] => {
    const path = found.find((f) => f.endsWith(`/${name}`))
    return path === undefined
      ? []
      : [{ name, mode: 0o100600, data: readFileSync(join(folder, path)) }]
  })
  return cpio([
    { name: 'dev', mode: 0o040755 },
    { name: 'proc', mode: 0o040755 },
    { name: 'dev/console', mode: 0o020600, device: [5, 1] },
    { name: 'init', mode: 0o100700, data: init },
    { name: 'programs', mode: 0o100600, data: new TextEncoder().encode(linesOf(programs)) },
    ...modules,
  ])
}

/** What the machine says on its serial line until it stops. It dies with this process. */
function boot(kernel: string, initrd: string): Promise<string> {
  const args = [...MACHINE, '-kernel', kernel, '-initrd', initrd, '-append', KERNEL_LINE]
  const qemu = spawn('setpriv', ['--pdeathsig', 'KILL', QEMU, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let complaint = ''
  qemu.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('latin1')
  })
  qemu.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  const timer = setTimeout(() => qemu.kill('SIGKILL'), LIMIT)
  return new Promise((resolve, reject) => {
    qemu.on('error', reject)
    qemu.on('close', () => {
      clearTimeout(timer)
      if (output.includes('@end')) resolve(output)
      else reject(new QemuError(`the second kernel stopped early\n${lastLines(output, complaint)}`))
    })
  })
}

/** What may say why: the kernel's last words, or QEMU's. */
function lastLines(output: string, complaint: string): string {
  const words = output.split('\n').filter((l) => !l.startsWith('@') && l.trim() !== '')
  return (words.length > 0 ? words : complaint.split('\n')).slice(-12).join('\n')
}

/** What `init.c` wrote of these programs. @throws QemuError */
export function resultsOf(output: string, programs: readonly (readonly Op[])[]): Result[][] {
  const lines = output.split('\n').filter((l) => /^@[^|]+\|[^|]+\|[^|]+\|/.test(l))
  const results = lines.map(parseResult)
  const wanted = programs.reduce((sum, ops) => sum + ops.length, 0)
  if (results.length !== wanted) {
    throw new QemuError(`${results.length} results of ${wanted} calls`)
  }
  let at = 0
  return programs.map((ops) => results.slice(at, (at += ops.length)))
}

function parseResult(line: string): Result {
  const [answer = '', hash = '-', size = '-', blocks = '-'] = line.slice(1).trim().split('|')
  const r = /^-?\d+$/.test(answer) ? namedAnswer(exact(BigInt(answer))) : answer
  const h = hash === '-' ? {} : { h: Number(hash) }
  return size === '-' ? { r, ...h } : { r, ...h, s: [exact(BigInt(size)), exact(BigInt(blocks))] }
}
