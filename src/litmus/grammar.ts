/** The grammar of litmus files, in Ohm's notation. Lines end statements; indentation is free. */
export const GRAMMAR = String.raw`
Litmus {
  File = nl* Title nl+ Question nl+ Section+ end

  Title = "litmus" scenarioName
  Question = quoted
  Section = Hosts | Setup | Task | Finally | Faults | Reach | Condition | Expect

  Hosts = "host" NonemptyListOf<hostName, ","> nl+
  Setup = "setup" nl+ Lines
  Task = "task" name nl+ Lines
  Finally = "finally" nl+ Lines
  Faults = "faults" number nl+
  Reach = "reach" NonemptyListOf<mark, ","> nl+
  Condition = ("always" | "never" | "sometimes") Expr nl+
  Expect = "expect" nl+ Row+

  Lines = Line+
  Line = ~keyword Operation nl+
  Operation = (name "=" ~"=")? name "(" ListOf<Argument, ","> ")" ("==" Value)?
  Argument = (name "=")? Value
  Value = NonemptyListOf<term, "|">

  Row = ~keyword Designs Outcome RowCondition* nl+
  Designs = NonemptyListOf<designName, ",">
  Outcome = "clean" --clean
    | "finds" NonemptyListOf<findingName, ","> --finds
    | "skip" quoted --skip
  RowCondition = "," "sometimes"? Expr

  Expr = Expr "or" And --or
    | And
  And = And "and" Not --and
    | Not
  Not = "not" Not --not
    | Compare
  Compare = "(" Expr ")" --paren
    | Operand comparison Operand --compare
  Operand = qualified | term

  keyword = ("host" | "setup" | "task" | "finally" | "faults" | "reach" | "always" | "never" | "sometimes"
    | "expect") ~nameRest
  comparison = "==" | "!=" | "<=" | ">=" | "<" | ">"
  scenarioName = (alnum | "-" | "_" | "." | "/")+
  designName = ("*" | (alnum | "-" | "_" | ".")+) ("@" hostName)?
  hostName = letter alnum*
  findingName = ~(("sometimes" | "always") ~nameRest) letter (alnum | "-")+ ~(space* (comparison | ":"))
  mark = letter (alnum | "-")*
  qualified = name ":" name
  name = (letter | "_") nameRest*
  nameRest = alnum | "_"
  term = "-"? (hex | number | name)
  number = digit+ ("P" | "K" | "M" | "G" | "T")? ~alnum
  hex = "0x" hexDigit+
  quoted = "\"" (~"\"" ~"\n" any)* "\""
  nl = (~"\n" space)* comment? "\n"
  comment = "#" (~"\n" any)*
  space := " " | "\t" | "\r"
}
`
