/**
 * Why a rule is a rule: things that one can look up. A function of a Linux version, a commit that
 * mends what the rule forbids, a row of a recording in `transcripts/kernel-runs`, or a checker that
 * the kernel has for the same thing.
 */

/** A recording of a real kernel: `transcripts/kernel-runs/linux-<release>-*.jsonl`. */
export type Release = '6.2.1' | '6.18.2'

export type Ground =
  | { readonly kind: 'source'; readonly version: string; readonly at: string }
  | { readonly kind: 'commit'; readonly id: string; readonly mends: string }
  | { readonly kind: 'recorded'; readonly release: Release; readonly row: string }
  | { readonly kind: 'tool'; readonly name: string }
  | { readonly kind: 'architecture'; readonly at: string }
  | { readonly kind: 'scenario' }

/** A function, as `mm/page_alloc.c free_page_is_bad`. */
export function source(version: string, at: string): Ground {
  return { kind: 'source', version, at }
}

/** A commit of Linux, and what went wrong before it. */
export function commit(id: string, mends: string): Ground {
  return { kind: 'commit', id, mends }
}

/** A row of a recording: its experiment or its step, by name. */
export function recorded(release: Release, row: string): Ground {
  return { kind: 'recorded', release, row }
}

/** What in a kernel reports the same. */
export function asTool(name: string): Ground {
  return { kind: 'tool', name }
}

/** What hardware or firmware demands, and where that can be read. */
export function architecture(at: string): Ground {
  return { kind: 'architecture', at }
}

/** The scenario itself says so. */
export function demanded(): Ground {
  return { kind: 'scenario' }
}

export function groundText(g: Ground): string {
  switch (g.kind) {
    case 'source':
      return `${g.version} ${g.at}`
    case 'commit':
      return `commit ${g.id}: ${g.mends}`
    case 'recorded':
      return `recorded on ${g.release}: ${g.row}`
    case 'architecture':
      return g.at
    case 'tool':
      return `as ${g.name}`
    case 'scenario':
      return 'the scenario'
  }
}
