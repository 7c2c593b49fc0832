// Where things stand in a HOCON file, so that an edit changes a few characters and leaves comments,
// order and everything else as the administrator wrote it. Reads the part of HOCON that
// puppetserver's files use. Danger: what it doesn't understand is refused, never guessed: a wrong
// splice in auth.conf opens or shuts a server.

import { Fault } from "../base/fault.ts";

/** One `key: value` of a block; offsets count UTF-16 units from the start of the file. */
export interface HoconEntry {
  key: string;
  /** Line of the key, from 1. */
  line: number;
  start: number;
  value: HoconValue;
}

export type HoconValue =
  /** Number, word or string, without its quotes. */
  | { kind: "scalar"; text: string; start: number; end: number }
  /** A list; its elements are not looked at. */
  | { kind: "list"; start: number; end: number }
  /** A block; `open` is the offset behind its brace, `close` that of the closing one. */
  | {
      kind: "block";
      entries: HoconEntry[];
      start: number;
      end: number;
      open: number;
      close: number;
    };

const DEPTH_MAX = 32;

/** Fault `puppetserver.config-unknown` for `line` of `file`. */
export function unknownConfig(file: string, line: number, what: string, hint?: string): Fault {
  return new Fault("puppetserver.config-unknown", `${file}:${line}: ${what}`, {
    hints: [
      ...(hint === undefined ? [] : [hint]),
      "Nothing was changed. Put this file into a form that is understood, or back to its stock one.",
    ],
  });
}

/** Top-level entries of `text`. Throws Fault `puppetserver.config-unknown` with file and line. */
export function parseHoconPlaces(text: string, file: string): HoconEntry[] {
  const reader = new Reader(text, file);
  const entries = reader.block(undefined, 0);
  return entries;
}

/** Line of `offset` in `text`, from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line += 1;
  }
  return line;
}

/** `text` as a HOCON value: bare where that is safe, else quoted. */
export function renderScalar(text: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(text) && !text.includes("//") ? text : JSON.stringify(text);
}

class Reader {
  readonly #text: string;
  readonly #file: string;
  #at = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  /** Entries up to `close`, or to the end of the file. Leaves `close` unread. */
  block(close: "}" | undefined, depth: number): HoconEntry[] {
    if (depth > DEPTH_MAX) throw this.#odd("nested too deeply");
    const entries: HoconEntry[] = [];
    for (;;) {
      this.#skipBlank(true);
      const next = this.#text[this.#at];
      if (next === close) return entries;
      if (next === undefined) throw this.#odd('the file ends where "}" was expected');
      const entry = this.#entry(depth);
      if (entries.some((other) => other.key === entry.key)) {
        throw this.#odd(`"${entry.key}" stands here a second time`, entry.start);
      }
      entries.push(entry);
      this.#endOfEntry(close);
    }
  }

  #entry(depth: number): HoconEntry {
    const start = this.#at;
    const key = this.#key();
    this.#skipBlank(false);
    const mark = this.#text[this.#at];
    if (mark === ":" || mark === "=") this.#at += 1;
    else if (mark !== "{") throw this.#odd(`":", "=" or "{" was expected after "${key}"`);
    this.#skipBlank(false);
    return { key, line: lineAt(this.#text, start), start, value: this.#value(depth) };
  }

  #key(): string {
    if (this.#text[this.#at] === '"') return this.#quoted();
    const match = /^[A-Za-z0-9_/-]+/.exec(this.#text.slice(this.#at, this.#at + 512));
    if (match === null) throw this.#odd(`a name was expected, found ${this.#here()}`);
    this.#at += match[0].length;
    const next = this.#text[this.#at];
    if (next === "." || next === "+") {
      throw this.#odd(`"${match[0]}${next}": dotted names and += are not understood`);
    }
    if (match[0] === "include" && /^[ \t]/.test(this.#text.slice(this.#at))) {
      throw this.#odd("an include is not understood");
    }
    return match[0];
  }

  #value(depth: number): HoconValue {
    const start = this.#at;
    const first = this.#text[start];
    if (first === "{") {
      this.#at += 1;
      const open = this.#at;
      const entries = this.block("}", depth + 1);
      const close = this.#at;
      this.#at += 1;
      return { kind: "block", entries, start, end: this.#at, open, close };
    }
    if (first === "[") {
      this.#skipList(depth);
      return { kind: "list", start, end: this.#at };
    }
    if (this.#text.startsWith('"""', start)) throw this.#odd('""" is not understood');
    if (first === '"') {
      const text = this.#quoted();
      return { kind: "scalar", text, start, end: this.#at };
    }
    return this.#bare(start);
  }

  #bare(start: number): HoconValue {
    const rest = this.#text.slice(start);
    // A substitution such as ${jruby-puppet.gem-home} is one word here.
    const match = /^(?:\$\{[^}\n]*\}|\/(?!\/)|[^\s,#{}[\]"/]|[ \t]+(?=[^\s,#{}[\]"/]))+/.exec(rest);
    if (match === null) throw this.#odd(`a value was expected, found ${this.#here()}`);
    const text = match[0].trimEnd();
    this.#at += text.length;
    return { kind: "scalar", text, start, end: this.#at };
  }

  #quoted(): string {
    const match = /^"(?:[^"\\\n]|\\.)*"/.exec(this.#text.slice(this.#at));
    if (match === null) throw this.#odd("a quoted text without its end");
    this.#at += match[0].length;
    try {
      return JSON.parse(match[0]) as string;
    } catch {
      throw this.#odd(`${match[0]} is no text that is understood`);
    }
  }

  #skipList(depth: number): void {
    if (depth > DEPTH_MAX) throw this.#odd("nested too deeply");
    this.#at += 1;
    for (;;) {
      this.#skipBlank(true);
      const next = this.#text[this.#at];
      if (next === undefined) throw this.#odd('the file ends where "]" was expected');
      if (next === "]") break;
      this.#value(depth + 1);
    }
    this.#at += 1;
  }

  /** After an entry: a comma, the end of the line, or the end of the block. */
  #endOfEntry(close: "}" | undefined): void {
    this.#skipBlank(false);
    const next = this.#text[this.#at];
    if (next === undefined || next === "\n" || next === "," || next === close) return;
    throw this.#odd(`the end of the line was expected, found ${this.#here()}`);
  }

  /** Skips spaces and comments; with `lines` also line ends and commas. */
  #skipBlank(lines: boolean): void {
    const pattern = lines ? /^(?:[\s,]|#[^\n]*|\/\/[^\n]*)+/ : /^(?:[ \t\r]|#[^\n]*|\/\/[^\n]*)+/;
    const match = pattern.exec(this.#text.slice(this.#at));
    if (match !== null) this.#at += match[0].length;
  }

  #here(): string {
    const line = this.#text.slice(this.#at, this.#at + 40).split("\n")[0] ?? "";
    return line === "" ? "the end of the line" : JSON.stringify(line);
  }

  #odd(what: string, at = this.#at): Fault {
    return unknownConfig(this.#file, lineAt(this.#text, at), what);
  }
}
