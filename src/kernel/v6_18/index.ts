/**
 * Linux 6.18, as a diff of the 6.2 that the other folders have. The folders here mirror the Linux
 * tree again and hold the functions that differ where it can be seen; this file says which
 * function of 6.2 becomes which.
 */
import type { Replacement } from '../../machine/fn.js'

export const LINUX_6_18: readonly Replacement[] = []
