/**
 * The program of the second kernel, on this one: what it makes of each call must be what the
 * interpreter of all other kernels makes of it. Only its reader of programs runs; what is first and
 * last on a kernel of its own, the modules and the reboot, does not.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { type Family, generate } from '../../src/conform/generate.js'
import { callsHeader } from '../../src/live/qemu/header.js'
import { linesOf, resultsOf } from '../../src/live/qemu/machine.js'
import { withOracle } from './host.js'

const INIT = resolve(import.meta.dirname, '../../../src/live/qemu/init.c')

/** Its main is another; this one reads the programs from a file and leaves. */
const READER = `
#define main main_of_the_second_kernel
#include "${INIT}"
#undef main
int main(int argc, char **argv)
{
	static char line[256];
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigaction(SIGBUS, &action, 0);
	sigaction(SIGSEGV, &action, 0);
	FILE *programs = argc == 2 ? fopen(argv[1], "r") : 0;
	while (programs && fgets(line, sizeof line, programs))
		one(line);
	return 0;
}
`

const PROGRAMS: readonly (readonly [Family, number])[] = [
  ['memfd', 300],
  ['secretmem', 100],
]

for (const [family, count] of PROGRAMS) {
  test(`${family}: the second kernel's program means the same calls`, (t) =>
    withOracle(t, family, async (oracle) => {
      if (spawnSync('gcc', ['--version']).status !== 0) return t.skip('there is no gcc')
      const folder = mkdtempSync(join(tmpdir(), 'restrictedmem-reader-'))
      try {
        const [source, reader, file] = ['reader.c', 'reader', 'programs'].map((n) =>
          join(folder, n),
        )
        writeFileSync(join(folder, 'calls.h'), callsHeader())
        writeFileSync(source as string, READER)
        const built = spawnSync('gcc', ['-O1', '-I', folder, '-o', reader, source] as string[], {
          encoding: 'utf8',
        })
        assert.equal(built.status, 0, built.stderr)
        const programs = Array.from({ length: count }, (_, i) => generate(family, 70_000_000 + i))
        writeFileSync(file as string, linesOf(programs))
        const { stdout } = spawnSync(reader as string, [file as string], { encoding: 'latin1' })
        assert.deepEqual(resultsOf(stdout, programs), await oracle.run(programs))
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }))
}
