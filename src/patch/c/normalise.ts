/**
 * Kernel C made regular, so that a grammar of plain C reads it: comments, attributes and
 * preprocessor lines go, the branches of the configuration stay, macros that look like statements
 * become statements. Every line keeps its number.
 *
 *   for_each_thing(a, b)          for (__each(for_each_thing, a, b);;)
 *   scoped_guard(mutex, &m)       for (__scoped_guard(mutex, &m);;)
 *   guard(mutex)(&m)              __guard(mutex, &m)
 *   CLASS(fd, f)(n)               __class(fd, f, n)
 *   struct x *p __free(f) = e;    __cleanup(f, p); struct x *p = e;
 *   SYSCALL_DEFINE1(x, int, a)    long x(int a)
 *   container_of(p, struct s, m)  container_of(p, s, m)
 */
import { conditionOf } from './config.js'

/** The text of a C file, or of functions of one, as the parser wants it. */
export function normalise(text: string): string {
  const plain = withoutComments(text.replaceAll('\r\n', '\n'))
  return statements(resolveDirectives(plain).replace(ATTRIBUTES, blank))
}

/** Attributes that say nothing about what the code does; the second kind takes arguments. */
const WORDS =
  '__user __rcu __iomem __percpu __weak __init __exit __initdata __ro_after_init __read_mostly ' +
  '__must_check __maybe_unused __always_unused __always_inline __cold __hot __force __bitwise ' +
  '__randomize_layout noinline_for_stack noinline asmlinkage __cpuidle notrace __kprobes ' +
  '__meminit __meminitdata __ref __visible __pure __no_sanitize_memory __no_kcsan ' +
  '__no_kmsan_checks __sched __noreturn __used __unused __packed __net_init __net_exit noinstr ' +
  '__flatten __init_memblock __malloc __deprecated'
const CALLS =
  '__counted_by __printf __releases __acquires __must_hold __aligned __section ' +
  '__no_sanitize __alloc_size __realloc_size __cond_acquires __assume_aligned'

const ATTRIBUTES = new RegExp(
  `\\b(?:${WORDS.replaceAll(' ', '|')}|_{2,4}cacheline_\\w+` +
    `|(?:${CALLS.replaceAll(' ', '|')})\\s*\\([^()]*\\)` +
    '|__attribute__\\s*\\(\\([^()]*(?:\\([^()]*\\))?[^()]*\\)\\))(?!\\w)',
  'g',
)

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ')
}

/** Strings stay as they are; a quote in a comment is no string. */
function withoutComments(text: string): string {
  return text.replace(
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (found) => (found.startsWith('/') ? blank(found) : found),
  )
}

/** What the preprocessor is told at the top of a file, in the branches that are compiled. */
export interface Directives {
  readonly macros: readonly Told[]
  readonly includes: readonly Told[]
  /** Definitions by macro, as written. */
  readonly calls: readonly { readonly text: string; readonly line: number }[]
  /** What the configuration does not compile. */
  readonly left: string
}

interface Told {
  readonly name: string
  readonly text: string
  readonly line: number
}

export function directivesOf(text: string): Directives {
  const plain = withoutComments(text.replaceAll('\r\n', '\n'))
  const macros: Told[] = []
  const includes: Told[] = []
  const left: string[] = []
  const rest = resolveDirectives(plain, (line, at, on) => {
    const words = line.replace(/\s+/g, ' ').trim()
    const [, word = '', tail = ''] = /^# ?(\w+)(.*)$/.exec(words) ?? []
    if (/^(?:el)?if|^e(?:lse|ndif)/.test(word)) return
    if (!on) left.push(words)
    else if (/^(?:define|undef)$/.test(word)) {
      macros.push({ name: /\w+/.exec(tail)?.[0] ?? '', text: words, line: at })
    } else if (word === 'include') includes.push({ name: words, text: words, line: at })
  })
  const attributed = rest.replace(ATTRIBUTES, blank)
  const calls = [EXPORTS, FILE_SCOPE].flatMap((macro) =>
    [...attributed.matchAll(macro)].map((m) => ({
      text: m[0].replace(/\s+/g, ' ').trim(),
      line: attributed.slice(0, m.index).split('\n').length,
    })),
  )
  return { macros, includes, calls, left: left.join('\n') }
}

interface Branch {
  /** The branch that is being read is compiled. */
  on: boolean
  /** One of the branches was. */
  done: boolean
}

/** Without preprocessor lines, and without what the configuration does not compile. */
function resolveDirectives(
  text: string,
  see: (line: string, at: number, on: boolean) => void = () => {},
): string {
  const out: string[] = []
  const stack: Branch[] = []
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    let line = lines[i] as string
    if (!/^\s*#/.test(line)) {
      const on = stack.every((b) => b.on)
      if (!on) see(line, i + 1, false)
      out.push(on ? line.replace(/\\$/, ' ') : '')
      continue
    }
    out.push('')
    const at = i + 1
    while (line.endsWith('\\') && i + 1 < lines.length) {
      line = line.slice(0, -1) + (lines[++i] as string)
      out.push('')
    }
    see(
      line,
      at,
      stack.every((b) => b.on),
    )
    directive(line, stack)
  }
  return out.join('\n')
}

function directive(line: string, stack: Branch[]): void {
  const [, word = '', rest = ''] = /^\s*#\s*(\w+)(.*)/.exec(line) ?? []
  const top = stack.at(-1)
  if (/^if(n?def)?$/.test(word)) {
    const on = conditionOf(word, rest)
    stack.push({ on, done: on })
  } else if (top === undefined) return
  else if (word === 'elif') {
    top.on = !top.done && conditionOf(word, rest)
    top.done ||= top.on
  } else if (word === 'else') {
    top.on = !top.done
    top.done = true
  } else if (word === 'endif') stack.pop()
}

/** Where the parenthesis that opens at `from` closes; -1 if it does not. */
export function closing(text: string, from: number): number {
  let depth = 0
  for (let i = from; i < text.length; i++) {
    if (text[i] === '(') depth++
    else if (text[i] === ')' && --depth === 0) return i
  }
  return -1
}

/** Macros at the place of a statement, a definition or a type. */
function statements(text: string): string {
  return loops(
    syscalls(text)
      .replace(/\bguard\s*\(\s*(\w+)\s*\)\s*\(\s*\)/g, '__guard($1)')
      .replace(/\bguard\s*\(\s*(\w+)\s*\)\s*\(/g, '__guard($1, ')
      .replace(FREED, '$1__cleanup($4, $3); $2$3')
      .replace(/\bCLASS\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)\s*\(/g, '__class($1, $2, ')
      .replace(EXPORTS, blank)
      .replace(FILE_SCOPE, blank)
      .replace(/\bDECLARE_BITMAP\s*\(\s*(\w+)[^()]*\)/g, 'unsigned long $1[1]')
      .replace(TYPE_LATER, (_all, head: string, name: string) => `${head}${name}`)
      .replace(TYPE_FIRST, (_all, head: string, type: string) => head + type.replace(/\s+/g, '_')),
  )
}

/** A declaration whose value is freed at the end of its block. */
const FREED = /^(\s*)([^;{}\n()=]*?)\b(\w+)\s+__free\s*\(\s*(\w+)\s*\)/gm

const EXPORTS = /\b(?:EXPORT_SYMBOL\w*|EXPORT_TRACEPOINT\w*)\s*\([^()]*\)\s*;?/g

/** Definitions by macro: at the start of a line, or static ones in a function. */
const FILE_SCOPE =
  /(?:^(?:static\s+)?|\bstatic\s+)(?:DEFINE_\w+|DECLARE_\w+|MODULE_\w+|module_\w+|\w*_initcall|early_param|__setup\w*|ALLOW_ERROR_INJECTION|LIST_HEAD|core_param|late_param|BTF_\w+|TRACE_EVENT|KVM_X86_OP\w*|SYSCALL_ALIAS|COMPAT_SYSCALL_DEFINE\d|HLIST_HEAD|EXPORT_\w+|INTERVAL_TREE_DEFINE)\s*\([^;{}]*?\)\s*;?$/gm

/** `container_of(p, struct x, m)`: the keyword in front of the type's name goes. */
const TYPE_LATER =
  /\b((?:container_of(?:_const)?|\w*_entry\w*|rb_entry\w*)\s*\([^;{}]*?,\s*)(?:struct|union)\s+(\w+(?=\s*,))/g

/** `min_t(unsigned long, a, b)`, `offsetof(struct x, m)`: the type becomes one word. */
const TYPE_FIRST =
  /\b((?:min_t|max_t|clamp_t|clamp_val_t|offsetof|sizeof_field|alloc_percpu\w*|kzalloc_obj|kmalloc_obj|struct_size_t|per_cpu_ptr_t|BUILD_BUG_ON_ZERO|va_arg|array_size_t)\s*\(\s*)((?:(?:struct|enum|unsigned|signed|long|int|char|short|void|u?int\d*_t|size_t)\b\s*)+\w*)(?=\s*[,)])/g

function syscalls(text: string): string {
  return text.replace(
    /\bSYSCALL_DEFINE\d\s*\(\s*(\w+)((?:\s*,[^,()]+)*)\s*\)/g,
    (all, name: string, list: string) => {
      const words = list
        .split(',')
        .slice(1)
        .map((w) => w.trim())
      const params: string[] = []
      for (let i = 0; i + 1 < words.length; i += 2) params.push(`${words[i]} ${words[i + 1]}`)
      const head = `long ${name}(${params.join(', ') || 'void'})`
      return head + '\n'.repeat(all.split('\n').length - 1)
    },
  )
}

/** Loops by macro, and scoped_guard(), become a `for` with a call in its first place. */
function loops(text: string): string {
  const macro = /(^|[;{})\n:])(\s*(?:else\s+)?)(scoped_guard|\w*for_?each\w*)\s*\(/g
  let out = ''
  let at = 0
  for (let m = macro.exec(text); m; m = macro.exec(text)) {
    const open = m.index + m[0].length - 1
    const close = closing(text, open)
    const next = close < 0 ? undefined : /^\s*(.)/.exec(text.slice(close + 1, close + 400))?.[1]
    if (next === undefined || /[;),=]/.test(next)) continue
    const name = m[3] as string
    const head = name === 'scoped_guard' ? '__scoped_guard(' : `__each(${name}, `
    out += `${text.slice(at, m.index)}${m[1]}${m[2]}for (${head}${text.slice(open + 1, close)});;)`
    at = close + 1
    macro.lastIndex = at
  }
  return out + text.slice(at)
}
