/** What can be listed; what is in the lists but the scenarios, the build writes down. */

const BUILT_LISTS = [
  'designs',
  'hosts',
  'host-words',
  'sanitizers',
  'findings',
  'operations',
  'constants',
  'marks',
  'formats',
] as const

export type BuiltList = (typeof BUILT_LISTS)[number]

export const LISTS = ['scenarios', ...BUILT_LISTS] as const

export type ListName = (typeof LISTS)[number]

/** Name, one sentence, and where it comes from. */
export interface Entry {
  readonly name: string
  readonly text: string
  readonly source?: string
}
