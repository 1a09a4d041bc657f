/** Where the one user process has what: the memory that it gives its guests. */

/** First byte of the anonymous memory of a VMM's guests: guest address 0. */
export const USER_BASE = 0x7f0000000000n

/** Its size in bytes. */
export const USER_SIZE = 1n << 39n
