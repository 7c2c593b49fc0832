// The part of HOCON that Puppet's configuration files use: objects, lists, quoted and bare values,
// comments; `a.b: 1` as `a: { b: 1 }`, and of one name twice both objects together. No includes, no
// substitutions: those are refused, not guessed.

import { Fault } from "../base/fault.ts";

export type HoconValue = string | HoconValue[] | HoconObject;
export interface HoconObject {
  [key: string]: HoconValue;
}

/** Deepest nesting that is followed. */
const DEPTH_MAX = 32;

/** `path`: what a bare name means as one, from the outermost object inwards. */
type Token = { kind: "mark" | "text" | "end"; text: string; line: number; path?: string[] };

/** The object that `text` describes; scalars are strings. Throws Fault `ca.conf` with the line. */
export function parseHocon(text: string): HoconObject {
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
      const found = inner.reduceRight<HoconValue>(within, value(depth + inner.length + 1));
      result[first] = together(result[first], found);
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
    if (first.kind !== "text") throw odd(first, "a value is expected");
    let whole = first.text;
    while (peek().kind === "text") whole += ` ${take().text}`;
    return whole;
  };

  skip("\n");
  if (!isMark("{")) return object("", 0);
  at += 1;
  return object("}", 0);
}

function within(value: HoconValue, name: string): HoconObject {
  const object = Object.create(null) as HoconObject;
  object[name] = value;
  return object;
}

/** What a name means that has one value and then another: only objects have room for both. */
function together(before: HoconValue | undefined, after: HoconValue): HoconValue {
  if (!isObject(before) || !isObject(after)) return after;
  for (const [name, value] of Object.entries(after)) before[name] = together(before[name], value);
  return before;
}

function isObject(value: HoconValue | undefined): value is HoconObject {
  return value !== undefined && typeof value !== "string" && !Array.isArray(value);
}

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern =
    /(?<space>[ \t\r]+|(?:#|\/\/)[^\n]*)|(?<mark>[{}[\]:=,\n])|"(?<quoted>(?:[^"\\\n]|\\.)*)"|(?<bare>(?:(?!\/\/)[^\s{}[\]:=,"#$])+)/gy;
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
      const { bare, quoted = "" } = groups;
      if (bare === undefined) tokens.push({ kind: "text", text: unquote(quoted), line });
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
