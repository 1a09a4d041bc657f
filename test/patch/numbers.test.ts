/** Numbers and names of C that are not those of the model's language. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { compiles, made as madeOf, refused as refusedOf, startTranslating } from './release.js'

before(startTranslating)

const ended = (body: string): string => `${body}\n\treturn 0;`
const refused = (body: string): string => refusedOf(ended(body))

function made(body: string): string {
  compiles(ended(body))
  return madeOf(ended(body))
}

describe('what wraps in C and would be below 0 here is not judged', () => {
  test('a difference of page numbers', () => {
    const text = made(`	pgoff_t start = inode->i_mapping->nrpages, end = 3;
	if (end - start > 2)
		return -EINVAL;`)
    assert.match(text, /noWrap\(end - start\)/)
  })

  test('of several, only what comes of them', () => {
    const text = made(`	pgoff_t a = inode->i_mapping->nrpages, b = 3, c = 7;
	if (a - b + c > 2)
		return -EINVAL;`)
    assert.match(text, /noWrap\(\(a - b\) \+ c\)/)
  })

  test('unsigned long and int, but no int and no short', () => {
    const text = made(`	unsigned long n = inode->i_mapping->nrpages;
	int d = 1;
	unsigned short s = 2;
	if (n - d == 4 || d - 2 == 0 || s - d == 0)
		return -EINVAL;`)
    assert.match(text, /noWrap\(n - d\) === 4 \|\| d - 2 === 0 \|\| s - d === 0/)
  })
})

describe('64 bits without a sign', () => {
  test('next to an int that may be negative, and turned over', () => {
    const text = made(`	u64 size = inode->i_size;
	int error = inode->i_nlink;
	if (size > error || size == ~size || -size < 4)
		return -EINVAL;`)
    assert.match(text, /size > BigInt\.asUintN\(64, BigInt\(\w+\)\)/)
    assert.match(text, /size === BigInt\.asUintN\(64, ~size\)/)
    assert.match(text, /BigInt\.asUintN\(64, -size\) < 4n/)
  })
})

describe('names', () => {
  test('a local that hides another one is refused; one after the other is none', () => {
    assert.match(
      refused(`	int error = 0;
	if (inode->i_nlink) {
		int error = 1;
		error++;
	}
	if (error)
		return error;`),
      /a error that hides another one/,
    )
    assert.match(
      refused(`	if (inode->i_nlink) {
		struct inode *inode = outer->f_inode;
		inode->i_size = 0;
	}`),
      /a inode that hides another one/,
    )
    made(`	if (inode->i_nlink) {
		int error = 1;
		return error;
	} else {
		int error = 2;
		return error;
	}`)
  })

  test('of several arguments that could be meant, the one of the parameter’s name, or none', () => {
    assert.match(refused('	return do_fsync(1, 0);'), /which argument of do_fsync\(\)/)
    assert.match(made('	int fd = 1;\n	return do_fsync(fd, 0);'), /doFsync\(fd\)/)
  })
})
