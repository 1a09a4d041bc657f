/** Reading and writing transcripts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInTranscripts, readTranscript } from '../../src/app/host/transcripts.js'
import {
  formatHeader,
  formatProgram,
  parseTranscript,
  TranscriptError,
} from '../../src/conform/program.js'

const HEADER = '{"schema":2,"kernel":"6.18","arch":"x86_64","family":"memfd"}'

test('what was read is written again as it was', () => {
  for (const path of builtInTranscripts()) {
    const transcript = readTranscript(path)
    const text = [formatHeader(transcript), ...transcript.programs.map(formatProgram)].join('\n')
    assert.deepEqual(parseTranscript(text, path), transcript)
  }
})

test('an integer beyond 2^53 is a string in the file and exact in the program', () => {
  const line = '{"seed":1,"ops":[["ftruncate",0,"9223372036854775807"]],"res":[{"r":"-EFBIG"}]}'
  const { programs } = parseTranscript(`${HEADER}\n${line}\n`, 'x')
  assert.deepEqual(programs[0]?.ops, [['ftruncate', 0, 9223372036854775807n]])
  assert.equal(programs.map(formatProgram).join(), line)
})

const MALFORMED: readonly (readonly [line: string, what: RegExp])[] = [
  ['{"seed":1', /x:2: not JSON/],
  ['[]', /x:2: the line must be an object/],
  ['{"seed":1,"res":[]}', /x:2: ops must be an array/],
  ['{"seed":1,"ops":[["fly",1]],"res":[{"r":0}]}', /x:2: ops\[0\]: "fly" is no call; known are/],
  [
    '{"seed":1,"ops":[["ftruncate",1]],"res":[{"r":0}]}',
    /"ftruncate" takes \(file, length\), not 1 arg/,
  ],
  ['{"seed":1,"ops":[["ftruncate",0,1.5]],"res":[{"r":0}]}', /length must be an integer/],
  ['{"seed":1,"ops":[["ftruncate",0,1]],"res":[]}', /1 calls, but 0 results/],
  ['{"seed":1,"ops":[["ftruncate",0,1]],"res":[{"s":[0,0]}]}', /res\[0\]\.r must be an integer/],
  ['{"seed":1,"ops":[["ftruncate",0,1]],"res":[{"r":0,"s":[0]}]}', /res\[0\]\.s: blocks must/],
]

for (const [line, what] of MALFORMED) {
  test(`malformed: ${line}`, () => {
    assert.throws(() => parseTranscript(`${HEADER}\n${line}`, 'x'), what)
  })
}

test('a read of more than a program can hold is a mistake of the file', () => {
  const line = '{"seed":1,"ops":[["read",0,5000000]],"res":[{"r":0}]}'
  assert.throws(() => parseTranscript(`${HEADER}\n${line}`, 'x'), /x:2: .*length is 0 to 1048576/)
})

test('schema 1 is read under the names of today', () => {
  const former = HEADER.replace('"schema":2', '"schema":1')
  const ops =
    '[["vm"],["create",2],["trunc",1,4096],["mmap",1,3,1,4096,0],["slot",0],["write",1,5],["move",0,0,1]]'
  const res = JSON.stringify(Array.from({ length: 7 }, () => ({ r: 0 })))
  const { programs } = parseTranscript(`${former}\n{"seed":1,"ops":${ops},"res":${res}}`, 'x')
  assert.deepEqual(programs[0]?.ops, [
    ['kvm_create_vm', 0],
    ['memfd_create', 2],
    ['ftruncate', 1, 4096],
    ['mmap', 1, 3, 1, 4096, 0],
    ['kvm_set_user_memory_region', 0, 0, 0x10000, 4096, 0, 0],
    ['write', 1, 5, 1],
    ['move_pages', 0, 0, 1],
  ])
})

test('a file without a header, or with another schema, is refused', () => {
  assert.throws(() => parseTranscript('', 'x'), TranscriptError)
  assert.throws(() => parseTranscript('{"schema":3}', 'x'), /x:1: schema 3, not 1 or 2/)
})
