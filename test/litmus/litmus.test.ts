import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LitmusError } from '../../src/litmus/error.js'
import { readScenario, type Scenario } from '../../src/litmus/scenario.js'

const known = {
  designs: ['v10', 'upm', 'upm-pin', 'upm-aops'],
  findings: ['stale-secondary-mapping', 'deadlock'],
}

const EXAMPLE = `litmus migration/guest-touch-vs-compaction
"Can compaction move a page while a guest maps it?"

setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 2P)                      # memfd_restricted + ftruncate
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=2P, PRIVATE)

task vcpu0
  guest_write(vm, gpa=0, 0x5a)
  r0 = guest_read(vm, gpa=0)

task kcompactd
  r1 = migrate(fd, page=0)

reach spte-installed
always vcpu0:r0 == 0x5a

expect
  v10, upm  finds stale-secondary-mapping
  upm-pin   clean
  upm-aops  clean, kcompactd:r1 == -EBUSY
`

const read = (text: string): Scenario => readScenario(text, known)

describe('a scenario', () => {
  test('is read as the example of the language says', () => {
    const s = read(EXAMPLE)
    assert.equal(s.name, 'migration/guest-touch-vs-compaction')
    assert.equal(s.question, 'Can compaction move a page while a guest maps it?')
    assert.equal(s.setup.tasks[0]?.operations.length, 4)
    assert.deepEqual(
      s.main.tasks.map((t) => t.name),
      ['vcpu0', 'kcompactd'],
    )
    assert.deepEqual(
      s.variables.map((v) => v.name),
      ['vm', 'fd', 'vcpu0:r0', 'kcompactd:r1'],
    )
    assert.deepEqual(s.reach, ['spte-installed'])
    assert.deepEqual(
      s.expect.map((e) => [e.designs, e.outcome, e.findings]),
      [
        [['v10', 'upm'], 'finds', ['stale-secondary-mapping']],
        [['upm-pin'], 'clean', []],
        [['upm-aops'], 'clean', []],
      ],
    )
  })

  test('knows sizes, flags joined by |, defaults and checks in place', () => {
    const s = read(
      'litmus a/b\n"q"\nsetup\n  fd = memfd_restricted()\ntask t\n' +
        '  fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=2M, size=3P) == -EINVAL\n',
    )
    const [operation] = s.main.tasks[0]!.operations
    assert.deepEqual(operation?.args, [
      { variable: 0, as: 'int' },
      { value: 3 },
      { value: 2n << 20n },
      { value: 12288n },
    ])
    assert.equal(operation?.expected, -22)
    assert.equal(
      operation?.text,
      'fallocate(fd, PUNCH_HOLE|KEEP_SIZE, offset=2M, size=3P) == -EINVAL',
    )
  })

  test('has conditions with and, or, not and comparisons', () => {
    const s = read(
      `${EXAMPLE.replace('always vcpu0:r0 == 0x5a', 'never not (vcpu0:r0 >= 1 and kcompactd:r1 < 0) or vm != 7')}`,
    )
    const [condition] = s.conditions
    const values = [7, 1, 5, -16]
    assert.equal(condition?.kind, 'never')
    assert.equal(
      condition?.holds((i) => values[i] as number),
      false,
    )
    assert.equal(
      condition?.holds((i) => (i === 2 ? 0 : (values[i] as number))),
      true,
    )
  })

  test('may give a row for all other designs, and skip some', () => {
    const s = read(EXAMPLE.replace('upm-pin   clean', '*  skip "not now"'))
    assert.deepEqual(s.expect[1], {
      designs: ['*'],
      outcome: 'skip',
      findings: [],
      why: 'not now',
      conditions: [],
    })
  })
})

/** A scenario of one task, after a set-up that has a file and a map. */
const oneTask = (line: string): string =>
  `litmus a/b\n"q"\nsetup\n  fd = memfd_create()\n  at = mmap(fd, PROT_READ, MAP_SHARED, 4P)\n` +
  `task t\n  ${line}\n`

const argumentsOf = (line: string): readonly unknown[] =>
  read(oneTask(line)).main.tasks[0]?.operations[0]?.args.map((a) =>
    'value' in a ? a.value : [a.variable, a.as],
  ) ?? []

describe('an argument', () => {
  test('of memory may say how far into the map it goes', () => {
    const wanted = [[1, 'wide'], 4096n, 4, 8192n]
    assert.deepEqual(argumentsOf('madvise(at, 1P, MADV_DONTNEED, offset=2P)'), wanted)
    assert.deepEqual(argumentsOf('mlock(at, 1P, 1P)'), [[1, 'wide'], 4096n, 4096n])
    assert.deepEqual(argumentsOf('store(at, 0, 7)'), [[1, 'wide'], 0n, 7])
  })

  test('takes a variable, whatever its kind', () => {
    assert.deepEqual(argumentsOf('munmap(at, fd)'), [[1, 'wide'], [0, 'bytes'], 0n])
    assert.deepEqual(argumentsOf('fallocate(fd, 0, offset=at, size=1P)')[2], [1, 'bytes'])
  })

  test('has 32 or 64 bits, and more is a mistake', () => {
    assert.deepEqual(argumentsOf('fallocate(fd, 0x80000000, 0, 1P)')[1], -(2 ** 31))
    assert.deepEqual(argumentsOf('ftruncate(fd, 0xffffffffffffffff)')[1], -1n)
    assert.deepEqual(argumentsOf('ftruncate(fd, 9007199254740993)')[1], 9007199254740993n)
    assert.deepEqual(argumentsOf('ftruncate(fd, 0x100000000|1)')[1], 0x100000001n)
    assert.throws(() => argumentsOf('fallocate(fd, 0x100000000, 0, 1P)'), /mode has 32 bits/)
    assert.throws(() => argumentsOf('ftruncate(fd, 0x10000000000000000)'), /length has 64 bits/)
    assert.throws(() => argumentsOf(`ftruncate(fd, ${'9'.repeat(310)})`), /length has 64 bits/)
  })

  test("has the kernel's names", () => {
    assert.equal(argumentsOf('mmap(fd, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_NORESERVE)')[2], 0x4011)
    assert.equal(argumentsOf('madvise(at, 1P, MADV_COLLAPSE)')[2], 25)
    assert.equal(argumentsOf('memfd_create(MFD_HUGETLB)')[0], 4)
    assert.throws(() => argumentsOf('close(constructor)'), /"constructor" is no number/)
  })
})

test('a statement may go on in the next line, and is told in one', () => {
  const { question, main, conditions } = read(`litmus a/b
"One question, "
"in two pieces"
task t
  r = pwrite(fd=3,
    offset=0, length=1,   # a remark
    byte=1)
always t:r == 1 or
  t:r == 2
`)
  assert.equal(question, 'One question, in two pieces')
  assert.equal(main.tasks[0]?.operations[0]?.text, 'pwrite(fd=3, offset=0, length=1, byte=1)')
  assert.equal(conditions[0]?.text, 't:r == 1 or t:r == 2')
})

test('deep nesting and long files are read, or told', () => {
  const nested = (n: number): string => `${'('.repeat(n)}t:r == 1${')'.repeat(n)}`
  const text = oneTask('r = close(fd)')
  assert.equal(read(`${text}always ${nested(150)}\n`).conditions.length, 1)
  assert.throws(() => read(`${text}always ${nested(20_000)}\n`), /nests at most/)
  const long = `${text}${'  close(fd)  # again\n'.repeat(50_000)}`
  assert.equal(read(long).main.tasks[0]?.operations.length, 50_001)
})

describe('a mistake is told with its place, a caret and the nearest match', () => {
  const cases: [name: string, text: string, at: [number, number], says: RegExp][] = [
    ['broken syntax', 'litmus a/b\n"q"\ntask t\n  close(\n', [4, 9], /expected/],
    [
      'an unknown operation',
      EXAMPLE.replace('= migrate(', '= migrat('),
      [15, 8],
      /no operation "migrat"\. Did you mean "migrate"/,
    ],
    [
      'an unknown argument',
      EXAMPLE.replace('page=0', 'pag=0'),
      [15, 20],
      /pag is not an argument of migrate\. Did you mean "page"/,
    ],
    [
      'an argument given twice',
      EXAMPLE.replace('page=0', 'page=0, page=1'),
      [15, 28],
      /page is given twice/,
    ],
    ['a missing argument', EXAMPLE.replace(', page=0', ''), [15, 8], /migrate needs page/],
    [
      'one argument too many',
      EXAMPLE.replace('page=0', 'page=0, 3'),
      [15, 28],
      /migrate takes 2 arguments/,
    ],
    [
      'an unknown constant',
      EXAMPLE.replace('SW_PROTECTED', 'SW_PROTECTD'),
      [5, 22],
      /"SW_PROTECTD" is no number.*Did you mean "SW_PROTECTED"/,
    ],
    [
      'a variable in a condition',
      EXAMPLE.replace('always vcpu0:r0', 'always vcpu0:r1'),
      [18, 8],
      /no variable.*"vcpu0:r1"\. Did you mean "vcpu0:r0"/,
    ],
    [
      'an unknown design',
      EXAMPLE.replace('upm-pin ', 'upm-pn '),
      [22, 3],
      /no design "upm-pn"\. Did you mean "upm-pin"/,
    ],
    ['two tasks of one name', EXAMPLE.replace('kcompactd', 'vcpu0'), [14, 6], /two tasks "vcpu0"/],
    [
      'more tasks than the machine has room for',
      `litmus a/b\n"q"\n${[...'abcdefgh'].map((t) => `task ${t}\n  compact()\n`).join('')}`,
      [17, 6],
      /more than 7 tasks/,
    ],
    ['a task called like a section', EXAMPLE.replace('kcompactd', 'finally'), [14, 6], /"finally"/],
    ['faults in pages', EXAMPLE.replace('reach', 'faults 1P\nreach'), [17, 8], /number of faults/],
    [
      'more faults than can strike',
      EXAMPLE.replace('reach', 'faults 99999999999\nreach'),
      [17, 8],
      /at most 1000 faults/,
    ],
    [
      'a value that no variable has',
      EXAMPLE.replace('0x5a\n\nexpect', '0xfffffffffffffff\n\nexpect'),
      [18, 20],
      /beyond 2\^53/,
    ],
    [
      'a word that says nothing of a design',
      EXAMPLE.replace(' clean', ' cleen'),
      [22, 13],
      /expected clean, finds or skip\. Did you mean "clean"/,
    ],
    [
      'an unknown finding',
      EXAMPLE.replace('stale-secondary', 'stale-secondry'),
      [21, 19],
      /no finding.*Did you mean "stale-secondary-mapping"/,
    ],
  ]
  for (const [name, text, [line, column], says] of cases) {
    test(name, () => {
      assert.throws(
        () => read(text),
        (error: unknown) => {
          assert.ok(error instanceof LitmusError)
          assert.match(error.message, says)
          assert.deepEqual([error.line, error.column], [line, column])
          const lines = error.message.split('\n')
          assert.equal(lines.at(-1), `  ${' '.repeat(column - 1)}^`)
          return true
        },
      )
    })
  }
})
