/** What the fidelity page says of a kernel function: which function of which Linux it models. */
import { readFileSync } from 'node:fs'
import { packagedFile } from '../app/host/package.js'

/** `shmem_fallocate` → `shmemFallocate`, `__fput` → `__fput`. */
function camelCase(cName: string): string {
  return cName.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, c: string) => c.toUpperCase())
}

let page: readonly (readonly [name: string, models: string])[] | undefined

function rows(): readonly (readonly [string, string])[] {
  page ??= readFileSync(packagedFile('docs/fidelity.md'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, name, models] = /^\| `(\w+)` \| (.*?)(?<!\\) \|/.exec(line) ?? []
      return name === undefined || models === undefined ? [] : [[name, models] as const]
    })
  return page
}

/** `6.18 mm/shmem.c shmem_fallocate`, preferring the entry of this version of Linux. */
export function modelsOf(cName: string, version: string): string | undefined {
  const camel = camelCase(cName)
  const word = new RegExp(`\\b${cName}\\b`)
  const named = rows().filter(([name]) => name === camel)
  const found = named.length > 0 ? named : rows().filter(([, models]) => word.test(models))
  const best = found.find(([, models]) => models.startsWith(`${version} `)) ?? found[0]
  return best?.[1].split(/[.,;](?: |$)/)[0]
}
