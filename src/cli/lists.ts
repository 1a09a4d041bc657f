/** What can be listed; how, is in `list.ts`. */
export const LISTS = [
  'scenarios',
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

export type ListName = (typeof LISTS)[number]
