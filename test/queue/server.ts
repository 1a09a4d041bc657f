/** A Redis server of a test's own, on the loopback address, in a folder that goes with it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer, type Server as NetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Why there can be no server here; undefined if there can. */
export const NO_SERVER: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'redis-server is not installed'

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

export class RedisServer {
  readonly port: number
  readonly #folder = mkdtempSync(join(tmpdir(), 'restrictedmem-redis-'))
  readonly #more: readonly string[]
  #child: ChildProcess | undefined
  /** Whoever ends in the middle takes it along. */
  readonly #last = (): void => {
    this.#child?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  private constructor(port: number, more: readonly string[]) {
    this.port = port
    this.#more = more
    process.once('exit', this.#last)
  }

  /** With nothing in it; it keeps nothing on the disk. */
  static async start(...more: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), more)
    await server.begin()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async begin(): Promise<void> {
    const usual = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.#folder]
    const args = ['--port', String(this.port), ...usual, ...this.#more]
    this.#child = spawn('redis-server', args, { stdio: 'ignore' })
    for (;;) {
      const socket = connect(this.port, '127.0.0.1')
      const there = await Promise.race([
        once(socket, 'connect').then(
          () => true,
          () => false,
        ),
      ])
      socket.destroy()
      if (there) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** It ends, and forgets all. */
  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async end(): Promise<void> {
    await this.stop()
    process.off('exit', this.#last)
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** A network that can be cut: what comes to its port goes on to another one. */
export class Network {
  readonly #server: NetServer
  readonly #ends = new Set<Socket>()
  #cut = false

  private constructor(to: number) {
    this.#server = createServer((here) => {
      if (this.#cut) {
        here.destroy()
        return
      }
      const there = connect(to, '127.0.0.1')
      for (const [one, other] of [
        [here, there],
        [there, here],
      ] as const) {
        this.#ends.add(one)
        one.on('error', () => {})
        one.on('close', () => {
          this.#ends.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
  }

  static async to(port: number): Promise<Network> {
    const network = new Network(port)
    network.#server.listen(0, '127.0.0.1')
    await once(network.#server, 'listening')
    return network
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  cut(): void {
    this.#cut = true
    for (const end of this.#ends) end.destroy()
  }

  mend(): void {
    this.#cut = false
  }

  async end(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
