/**
 * Runs, in the folder of a build, what commands run most, and has kept what V8 has compiled by then
 * (`src/app/host/compiled.ts`). `late` is for commands that have V8 optimise late: what is kept is
 * good for the flags that it was made with.
 *
 * Usage: node tools/compiled.mjs <folder> soon|late
 */
import { pathToFileURL } from 'node:url'

const CELLS = [
  ['migration/guest-touch-vs-compaction', 'upm'],
  ['memory-failure/mapped-restricted-page', 'upm-aops'],
]

const [folder, when] = process.argv.slice(2)
const built = (module) => import(pathToFileURL(`${folder}/src/${module}.js`).href)

if (when === 'late') (await built('cli/optimise')).optimiseLate()
const { keepCompiled } = await built('app/host/compiled')
const commands = { ...(await built('cli/check')), ...(await built('cli/replay')) }
const { check, loadDesigns, loadScenarios, tokenOf } = await built('app/host/index')

for (const [scenario, design] of CELLS) {
  const flags = { design: [design], format: 'text', cache: false, patience: 60 }
  await commands.check([scenario], flags)
  const [scenarios, designs] = [loadScenarios([scenario]), await loadDesigns([design])]
  const { cells } = await check({ scenarios, designs, cache: false })
  for (const { schedule } of cells[0].verdict.findings.slice(0, 1)) {
    await commands.replay(tokenOf(cells[0], schedule), { view: 'columns' })
  }
}
keepCompiled()
process.exitCode = 0
