/**
 * What a patch of the kernel needs of the build: in dist/ every declaration of the kernel and the
 * designs is exported, so that any function can be written anew beside the others.
 */
import ts from 'typescript'

const ROOMS = /\/src\/(kernel|designs|user|hosts)\/.*(?<!\.d)\.ts$/

/** The names at the top of a file that it does not export, as an export. */
function unexported(fileName, text) {
  const file = ts.createSourceFile(fileName, text, ts.ScriptTarget.ES2022)
  const values = new Set()
  const types = new Set()
  for (const s of file.statements) {
    const exported = s.modifiers?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword)
    if (exported) continue
    if (ts.isVariableStatement(s)) {
      for (const d of s.declarationList.declarations)
        if (ts.isIdentifier(d.name)) values.add(d.name.text)
    } else if (ts.isFunctionDeclaration(s) && s.name) values.add(s.name.text)
    else if (ts.isInterfaceDeclaration(s) || ts.isTypeAliasDeclaration(s)) types.add(s.name.text)
  }
  const names = [...values, ...[...types].filter((t) => !values.has(t)).map((t) => `type ${t}`)]
  return names.length === 0 ? '' : `\nexport { ${names.join(', ')} }\n`
}

/** The host of an incremental build that sees every declaration of kernel code exported. */
export function hostWithInternals(options) {
  const host = ts.createIncrementalCompilerHost(options)
  const readFile = host.readFile.bind(host)
  host.readFile = (fileName) => {
    const text = readFile(fileName)
    return text === undefined || !ROOMS.test(fileName) ? text : text + unexported(fileName, text)
  }
  return host
}
