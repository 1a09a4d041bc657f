/** Smaller and smaller texts that still go wrong. */

/** Texts that are tried at most. */
const MOST = 400

/** A text of which no line, and no piece of a line, can be taken away. */
export async function shrunk(
  text: string,
  fails: (text: string) => boolean | Promise<boolean>,
): Promise<string> {
  let tries = 0
  const byParts = async (from: string, glue: string): Promise<string> => {
    let parts = from.split(glue)
    for (let size = parts.length >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < parts.length && tries < MOST; ) {
        const less = [...parts.slice(0, at), ...parts.slice(at + size)]
        tries++
        if (less.length > 0 && (await fails(less.join(glue)))) parts = less
        else at += size
      }
    }
    return parts.join(glue)
  }
  const lines = await byParts(text, '\n')
  return byParts(await byParts(lines, ' '), '')
}
