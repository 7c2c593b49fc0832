// What other files of conf.d may hold that only one file may: trapperkeeper merges all of them.
// Danger: behind the edge, puppetserver believes whoever reaches it; a plain HTTP listener in a
// file that nobody looks at would let anybody be any agent. So a word in doubt counts.

import { lineAt } from "./hocon-places.ts";

export interface Stray {
  what: "webserver" | "authorization" | "include";
  /** From 1. */
  line: number;
}

/** What each format takes for a comment; strings come first, since a mark in one begins none. */
const COMMENTS: Record<string, RegExp> = {
  conf: /"(?:[^"\\\n]|\\.)*"|(?:#|\/\/)[^\n]*/g,
  edn: /"(?:[^"\\]|\\.)*"|;[^\n]*/g,
  ini: /^[ \t]*[#;][^\n]*/gm,
  properties: /^[ \t]*[#!][^\n]*/gm,
  yaml: /^[ \t]*#[^\n]*/gm,
  yml: /^[ \t]*#[^\n]*/gm,
};

/** HOCON's include, which may bring in anything. */
const INCLUDE = /(?<![\w".-])include\s*(?:"|(?:required|file|url|classpath)\s*\()/;

const BLOCK = /(?<![\w-])(?:webserver|authorization)(?![\w-])/;

/** The first thing of these kinds in the file `name` outside its comments. */
export function findStray(name: string, text: string): Stray | undefined {
  const plain = blankComments(name, text);
  const word = BLOCK.exec(plain);
  if (word !== null) {
    return { what: word[0] as "webserver" | "authorization", line: lineAt(text, word.index) };
  }
  const include = name.endsWith(".conf") ? INCLUDE.exec(plain) : null;
  return include === null ? undefined : { what: "include", line: lineAt(text, include.index) };
}

/** `text` without its comments, every character where it was. */
function blankComments(name: string, text: string): string {
  // In """ a quote is no end, so where comments begin isn't clear.
  const pattern = text.includes('"""') ? undefined : COMMENTS[name.split(".").at(-1) ?? ""];
  if (pattern === undefined) return text;
  return text.replaceAll(pattern, (found) =>
    found.startsWith('"') ? found : " ".repeat(found.length),
  );
}
