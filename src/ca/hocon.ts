// The part of HOCON that Puppet's configuration files use: objects, lists, quoted and bare values,
// comments; `a.b: 1` as `a: { b: 1 }`, both objects of a name that comes twice, and `${a.b}` where
// the whole value is a text that the file has. Includes and other substitutions are refused, not
// guessed.

import { Fault } from "../base/fault.ts";

export type HoconValue = string | HoconValue[] | HoconObject;
export interface HoconObject {
  [key: string]: HoconValue;
}

/** Deepest nesting that is followed. */
const DEPTH_MAX = 32;

/** `path`: what a bare name means as one, from the outermost object inwards. */
interface Token {
  kind: "mark" | "text" | "reference" | "end";
  text: string;
  line: number;
  path?: string[];
}

/** The object that `text` describes; scalars are strings. Throws Fault `ca.conf` with the line. */
export function parseHocon(text: string): HoconObject {
  const root = parseFile(text);
  resolve(root, root);
  return root;
}

/** As it is written; texts that are named elsewhere in it are References. */
function parseFile(text: string): HoconObject {
  const tokens = scan(text);
  let at = 0;
  const peek = () => tokens[at] ?? { kind: "end" as const, text: "", line: 0 };
  const take = () => {
    const token = peek();
    at += 1;
    return token;
  };
  const skip = (...marks: string[]) => {
    while (peek().kind === "mark" && marks.includes(peek().text)) at += 1;
  };
  const isMark = (mark: string) => peek().kind === "mark" && peek().text === mark;

  const object = (until: "}" | "", depth: number): HoconObject => {
    if (depth > DEPTH_MAX) throw odd(peek(), "nested too deeply");
    const result: HoconObject = Object.create(null) as HoconObject;
    for (;;) {
      skip(",", "\n");
      if (until === "" ? peek().kind === "end" : isMark("}")) {
        at += 1;
        return result;
      }
      const key = take();
      if (key.kind !== "text") throw odd(key, "a name is expected");
      skip("\n");
      if (isMark(":") || isMark("=")) at += 1;
      else if (!isMark("{")) throw odd(peek(), "':', '=' or '{' is expected");
      const [first = "", ...inner] = key.path ?? [key.text];
      if (depth + inner.length > DEPTH_MAX) throw odd(key, "nested too deeply");
      let holder = result;
      for (const name of inner.length === 0 ? [] : [first, ...inner.slice(0, -1)]) {
        holder = objectAt(holder, name);
      }
      const name = inner.at(-1) ?? first;
      holder[name] = together(holder[name], value(depth + inner.length + 1));
    }
  };
  const list = (depth: number): HoconValue[] => {
    const result: HoconValue[] = [];
    for (;;) {
      skip(",", "\n");
      if (isMark("]")) {
        at += 1;
        return result;
      }
      result.push(value(depth + 1));
    }
  };
  const value = (depth: number): HoconValue => {
    if (depth > DEPTH_MAX) throw odd(peek(), "nested too deeply");
    skip("\n");
    const first = take();
    if (first.kind === "mark" && first.text === "{") return object("}", depth);
    if (first.kind === "mark" && first.text === "[") return list(depth);
    if (first.kind !== "text" && first.kind !== "reference") {
      throw odd(first, "a value is expected");
    }
    let whole = first.text;
    while (first.kind === "text" && peek().kind === "text") whole += ` ${take().text}`;
    if (["text", "reference"].includes(peek().kind))
      throw odd(peek(), "the value's end is expected");
    return first.kind === "text" ? whole : (new Reference(first) as unknown as HoconValue);
  };

  skip("\n");
  if (!isMark("{")) return object("", 0);
  at += 1;
  return object("}", 0);
}

/** Stands where the file names a text that is elsewhere in it. */
class Reference {
  readonly token: Token;

  constructor(token: Token) {
    this.token = token;
  }
}

/** Puts in place what the references in `value` mean. */
function resolve(value: HoconObject | HoconValue[], root: HoconObject): void {
  for (const [name, each] of Object.entries(value)) {
    if (each instanceof Reference) (value as HoconObject)[name] = textAt(root, each.token);
    else if (typeof each !== "string") resolve(each, root);
  }
}

function textAt(root: HoconObject, token: Token): string {
  const found = (token.path ?? []).reduce<HoconValue | undefined>(
    (value, name) => (isObject(value) ? value[name] : undefined),
    root,
  );
  if (typeof found === "string") return found;
  throw odd(token, "the name of a text in this file is expected");
}

/** The object below `name`, made where there is none. */
function objectAt(holder: HoconObject, name: string): HoconObject {
  const there = holder[name];
  if (isObject(there)) return there;
  const made = Object.create(null) as HoconObject;
  holder[name] = made;
  return made;
}

/** What a name means that has one value and then another: only objects have room for both. */
function together(before: HoconValue | undefined, after: HoconValue): HoconValue {
  if (!isObject(before) || !isObject(after)) return after;
  for (const [name, value] of Object.entries(after)) before[name] = together(before[name], value);
  return before;
}

function isObject(value: HoconValue | undefined): value is HoconObject {
  const isOther = value === undefined || typeof value === "string" || Array.isArray(value);
  return !isOther && !(value instanceof Reference);
}

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern =
    /(?<space>[ \t\r]+|(?:#|\/\/)[^\n]*)|(?<mark>[{}[\]:=,\n])|\$\{(?<reference>[\w.-]+)\}|"(?<quoted>(?:[^"\\\n]|\\.)*)"|(?<bare>(?:(?!\/\/)[^\s{}[\]:=,"#$])+)/gy;
  let line = 1;
  while (pattern.lastIndex < text.length) {
    const from = pattern.lastIndex;
    const groups = pattern.exec(text)?.groups;
    if (groups === undefined) {
      const found = text.slice(from, from + 20).split("\n")[0] ?? "";
      throw odd({ kind: "text", text: found, line }, "not understood");
    }
    if (groups["mark"] !== undefined) tokens.push({ kind: "mark", text: groups["mark"], line });
    else if (groups["space"] === undefined) {
      const { bare, reference, quoted = "" } = groups;
      if (reference !== undefined) {
        tokens.push({ kind: "reference", text: reference, line, path: reference.split(".") });
      } else if (bare === undefined) tokens.push({ kind: "text", text: unquote(quoted), line });
      else tokens.push({ kind: "text", text: bare, line, path: bare.split(".") });
    }
    if (groups["mark"] === "\n") line += 1;
  }
  tokens.push({ kind: "end", text: "", line });
  return tokens;
}

function unquote(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => ({ n: "\n", t: "\t" })[char] ?? char);
}

function odd(token: Token, because: string): Fault {
  const what = token.kind === "end" ? "the end" : JSON.stringify(token.text);
  return new Fault("ca.conf", `line ${token.line}: ${because}, but there is ${what}`);
}
