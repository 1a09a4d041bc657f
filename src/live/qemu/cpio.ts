/** An archive in the format that Linux unpacks as its first root file system (cpio, "newc"). */

export interface Entry {
  /** Path without the leading slash. */
  readonly name: string
  /** File type and permissions, as in st_mode. */
  readonly mode: number
  readonly data?: Uint8Array
  /** Major and minor number of a device. */
  readonly device?: readonly [major: number, minor: number]
}

const MAGIC = '070701'

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  whole.set(bytes)
  return whole
}

function header(e: Entry, inode: number): Uint8Array {
  const [major, minor] = e.device ?? [0, 0]
  const size = e.data?.length ?? 0
  // inode, mode, uid, gid, links, time, size, device of the file (2), device it is (2), name, sum
  const fields = [inode, e.mode, 0, 0, 1, 0, size, 0, 0, major, minor, e.name.length + 1, 0]
  const text = fields.map((n) => n.toString(16).padStart(8, '0')).join('')
  return new TextEncoder().encode(`${MAGIC}${text}${e.name}\0`)
}

export function cpio(entries: readonly Entry[]): Uint8Array {
  const all: readonly Entry[] = [...entries, { name: 'TRAILER!!!', mode: 0 }]
  return Buffer.concat(
    all.flatMap((e, i) => [padded(header(e, i + 1)), padded(e.data ?? new Uint8Array())]),
  )
}
