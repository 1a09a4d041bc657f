/**
 * The configuration of the kernel that the model is. The branches of `#if` that it does not compile
 * are not read, and IS_ENABLED() is known.
 *
 * An option that is not named here is on: the model is Linux with what private guest memory needs.
 */

/** Options that are off, each for what the model leaves out. */
const OFF: ReadonlySet<string> = new Set([
  // One node, one memory cgroup, mapped pages of one size. Of hugetlbfs the model has files, not
  // pages: so HUGETLBFS is on and HUGETLB_PAGE, which Kconfig makes of it, is not.
  'CONFIG_NUMA',
  'CONFIG_NUMA_BALANCING',
  'CONFIG_MEMCG',
  'CONFIG_MEMCG_V1',
  'CONFIG_CGROUP_WRITEBACK',
  'CONFIG_TRANSPARENT_HUGEPAGE',
  'CONFIG_READ_ONLY_THP_FOR_FS',
  'CONFIG_HUGETLB_PAGE',
  'CONFIG_ARCH_WANT_HUGE_PMD_SHARE',
  // No block devices, no quotas, no labels.
  'CONFIG_BLOCK',
  'CONFIG_BUFFER_HEAD',
  'CONFIG_QUOTA',
  'CONFIG_TMPFS_QUOTA',
  'CONFIG_TMPFS_XATTR',
  'CONFIG_TMPFS_POSIX_ACL',
  'CONFIG_SECURITY',
  'CONFIG_ZSWAP',
  'CONFIG_FRONTSWAP',
  'CONFIG_USERFAULTFD',
  'CONFIG_LRU_GEN',
  'CONFIG_IDLE_PAGE_TRACKING',
  'CONFIG_PAGE_IDLE_FLAG',
  'CONFIG_DEVICE_PRIVATE',
  'CONFIG_ZONE_DEVICE',
  'CONFIG_DEV_DAX',
  'CONFIG_FS_DAX',
  'CONFIG_KSM',
  // A kernel without its own debugging, on 64 bits, that is not PREEMPT_RT.
  'CONFIG_DEBUG_PAGEALLOC',
  'CONFIG_DEBUG_LOCK_ALLOC',
  'CONFIG_LOCKDEP',
  'CONFIG_PROVE_LOCKING',
  'CONFIG_PAGE_TABLE_CHECK',
  'CONFIG_PAGE_OWNER',
  'CONFIG_32BIT',
  'CONFIG_X86_32',
  'CONFIG_HIGHMEM',
  'CONFIG_COMPAT',
  'CONFIG_PREEMPT_RT',
  'CONFIG_NOMMU',
  // Guest memory of VMs without a vendor's page states needs no preparation.
  'CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE',
  'CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE',
  'CONFIG_HAVE_KVM_GMEM_PREPARE',
  'CONFIG_HAVE_KVM_GMEM_INVALIDATE',
])

/** Macros that are defined although they are no options. */
const DEFINED: ReadonlySet<string> = new Set([
  '__KERNEL__',
  '__x86_64__',
  'CONFIG_64BIT',
  'KVM_ARCH_WANT_MMU_NOTIFIER',
  '__KVM_HAVE_READONLY_MEM',
])

/** Is this option, or macro, set? */
export function isSet(name: string): boolean {
  return name.startsWith('CONFIG_') ? !OFF.has(name) : DEFINED.has(name)
}

/** The value of the condition behind `#if`, `#ifdef`, `#ifndef` or `#elif`. */
export function conditionOf(directive: string, text: string): boolean {
  const first = text.trim().split(/\s/)[0] ?? ''
  if (directive === 'ifdef') return isSet(first)
  if (directive === 'ifndef') return !isSet(first)
  return new Condition(text).value() !== 0
}

/** Integer expressions of the preprocessor: what kernel sources use of them. */
class Condition {
  readonly #tokens: readonly string[]
  #at = 0

  constructor(text: string) {
    this.#tokens =
      text.match(/[A-Za-z_]\w*|0[xX][\da-fA-F]+|\d+|&&|\|\||[=!<>]=|[<>!()+\-*/%,]/g) ?? []
  }

  value(): number {
    return this.#binary(0)
  }

  #binary(level: number): number {
    const operators = LEVELS[level]
    if (operators === undefined) return this.#unary()
    let left = this.#binary(level + 1)
    for (;;) {
      const op = this.#tokens[this.#at]
      if (op === undefined || !operators.includes(op)) return left
      this.#at++
      left = apply(left, op, this.#binary(level + 1))
    }
  }

  #unary(): number {
    const token = this.#tokens[this.#at++]
    if (token === '!') return this.#unary() === 0 ? 1 : 0
    if (token === '-') return -this.#unary()
    if (token === '(') {
      const inner = this.#binary(0)
      this.#at++
      return inner
    }
    if (token === undefined) return 0
    if (/^\d/.test(token)) return Number(token)
    if (/^(defined|IS_ENABLED|IS_BUILTIN|IS_REACHABLE|IS_MODULE)$/.test(token)) {
      const open = this.#tokens[this.#at] === '('
      const name = this.#tokens[this.#at + (open ? 1 : 0)] ?? ''
      this.#at += open ? 3 : 1
      return isSet(name) ? 1 : 0
    }
    this.#skipArguments()
    return isSet(token) ? 1 : 0
  }

  /** A macro with arguments has no value here: as one that is not defined. */
  #skipArguments(): void {
    if (this.#tokens[this.#at] !== '(') return
    let depth = 0
    do {
      const token = this.#tokens[this.#at++]
      if (token === '(') depth++
      if (token === ')') depth--
    } while (depth > 0 && this.#at < this.#tokens.length)
  }
}

const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['+', '-'],
  ['*', '/', '%'],
]

function apply(a: number, op: string, b: number): number {
  switch (op) {
    case '||':
      return a !== 0 || b !== 0 ? 1 : 0
    case '&&':
      return a !== 0 && b !== 0 ? 1 : 0
    case '==':
      return a === b ? 1 : 0
    case '!=':
      return a !== b ? 1 : 0
    case '<':
      return a < b ? 1 : 0
    case '>':
      return a > b ? 1 : 0
    case '<=':
      return a <= b ? 1 : 0
    case '>=':
      return a >= b ? 1 : 0
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    default:
      return b === 0 ? 0 : Math.trunc(op === '/' ? a / b : a % b)
  }
}
