/** The programs recorded on real kernels, on the model. */
import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { test } from 'node:test'
import { builtInTranscripts, readTranscript } from '../../src/app/host/transcripts.js'
import { compareTranscript } from '../../src/conform/compare.js'
import { countByCall } from '../../src/conform/describe.js'
import { FAMILIES, generate } from '../../src/conform/generate.js'
import { Model, profileOf } from '../../src/conform/model.js'
import type { Op } from '../../src/conform/program.js'
import { MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../src/kernel/include/uapi.js'

for (const path of builtInTranscripts()) {
  test(`the model answers as recorded in ${basename(path)}`, () => {
    const transcript = readTranscript(path)
    const model = new Model(profileOf(transcript.kernel).profile)
    const differences = compareTranscript(transcript, model)
    assert.equal(differences.length, 0, countByCall(differences))
  })
}

test('what the second kernel is asked in vain for elsewhere is in its recording', () => {
  const recorded = builtInTranscripts().filter((path) => path.endsWith('memory-failure.jsonl'))
  const ops = recorded.flatMap((path) => readTranscript(path).programs.flatMap((p) => p.ops))
  const names = new Set(ops.map(([name]) => name))
  const asked = ['kvm_set_user_memory_region', 'move_pages', 'compact', 'run'] as const
  for (const name of asked) assert.ok(names.has(name), name)
})

test('a guest sees what the process does to its memory: a page moved, dropped, gone', () => {
  const answers = new Model('6.2').run([
    ['memfd_create', 0],
    ['ftruncate', 0, 4096],
    ['mmap', 0, 3, 1, 4096, 0],
    ['store', 0, 0, 6],
    ['kvm_set_user_memory_region', 0, 0, 0x10000, 4096, 0, 0],
    ['run', 0x10000],
    ['move_pages', 0, 0, 1],
    ['compact'],
    ['run', 0x10000],
    ['fallocate', 0, 3, 0, 4096],
    ['run', 0x10000],
    ['munmap', 0],
    ['run', 0x10000],
    ['kvm_set_user_memory_region', 0, 0, 0x10000, 4096, 0, 0],
    ['move_pages', 0, 0, 1],
  ])
  const wanted = [0, 7, 1, 0, 8, 0, 1, 0, '-EFAULT', 'nomap', 'nomap']
  assert.deepEqual(
    answers.slice(4).map((a) => a.r),
    wanted,
  )
})

test('code that runs straight through answers as code in frames does', () => {
  const straight = new Model('6.18')
  const programs = FAMILIES.flatMap((f) => Array.from({ length: 100 }, (_, i) => generate(f, i)))
  const answers = programs.map((ops) => straight.run(ops))
  const frames = new Model('6.18', true)
  programs.forEach((ops, i) => {
    assert.deepEqual(frames.run(ops), answers[i])
  })
})

test('locked private memory that becomes writable is copied at once', () => {
  const ops: Op[] = [
    ['memfd_create', 0],
    ['ftruncate', 0, 4096],
    ['mmap', 0, PROT_READ, MAP_PRIVATE, 4096, 0],
    ['mlock', 0, 0, 4096],
    ['mprotect', 0, 0, 4096, PROT_READ | PROT_WRITE],
    ['pwrite', 0, 0, 1, 9],
    ['load', 0, 0],
  ]
  // As Linux 6.18.44 answers; the copy was made before the file was written to.
  assert.equal(new Model('6.18').run(ops).at(-1)?.r, 0)
  const unlocked = ops.filter(([name]) => name !== 'mlock')
  assert.equal(new Model('6.18').run(unlocked).at(-1)?.r, 9)
})

test('a file is released with the last of its descriptors', () => {
  const answers = new Model('6.18').run([
    ['kvm_create_guest_memfd', 4096, 3],
    ['kvm_set_user_memory_region2', 0, 4, 0x10000, 4096, 0, 0],
    ['dup', 0],
    ['close', 0],
    ['run', 0x10000],
    ['close', 1],
    ['run', 0x10000],
  ])
  assert.deepEqual(
    answers.slice(-4).map((a) => a.r),
    [0, 1, 0, '-EFAULT'],
  )
})

test('each of two VMs has slots and files of its own, and dies when nobody holds it', () => {
  const answers = new Model('6.18').run([
    ['kvm_create_vm', 0],
    ['kvm_create_guest_memfd', 8192, 3],
    ['kvm_set_user_memory_region2', 0, 4, 0x10000, 4096, 1, 0],
    ['kvm_create_vm', 0],
    ['kvm_create_guest_memfd', 4096, 3],
    ['kvm_set_user_memory_region2', 0, 4, 0x10000, 4096, 1, 4096],
    ['kvm_set_user_memory_region2', 0, 4, 0x10000, 4096, 3, 0],
    ['use', 0],
    ['run', 0x10000],
    ['close', 0],
    ['run', 0x10000],
    ['mmap', 1, 3, 1, 4096, 0],
    ['load', 0, 0],
    ['use', 2],
    ['unbind', 0],
    ['close', 1],
    ['munmap', 0],
  ])
  assert.deepEqual(answers.map((a) => a.r).slice(5), [
    '-EINVAL',
    0,
    0,
    1,
    0,
    '-EBADF',
    'map',
    1,
    0,
    0,
    0,
    0,
  ])
})

test('a program leaves nothing behind for the next', () => {
  const model = new Model('6.18')
  const ops = [
    ['memfd_create', 2],
    ['pwrite', 0, 100, 5000, 7],
    ['pread', 0, 0, 8192],
    ['fallocate', 0, 3, 0, 4096],
    ['fcntl_add_seals', 0, 2],
  ] as const
  const first = model.run(ops)
  for (let i = 0; i < 100; i++) assert.deepEqual(model.run(ops), first)
  assert.deepEqual(first[0], { r: 'fd', s: [0, 0] })
  assert.deepEqual(first[1], { r: 5000, s: [5100, 16] })
})
