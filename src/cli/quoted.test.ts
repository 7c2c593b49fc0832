// What the documents say is typed, against the commands that there are.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Command, CommanderError } from "commander";
import { commandsOf } from "./commands.ts";
import { addCompletion } from "./completion.ts";
import { addTyped } from "./lazy.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const DOCS = read(["README.md", "docs/*.md"]);
const CODE = read(["src/**/*.ts"]).filter(({ path }) => !path.endsWith(".test.ts"));
const PACKAGED = read(["packaging/files/*"]);

/** Pages with tables of messages. */
const SAYING = ["day-two", "puppetdb", "reports", "switchover"].map((name) => `docs/${name}.md`);

function read(patterns: string[]): { path: string; text: string }[] {
  return globSync(patterns, { cwd: ROOT }).map((path) => {
    return { path, text: readFileSync(join(ROOT, path), "utf8") };
  });
}

/** All commands; none does anything. `whole`: what must be given must be there. */
async function program(whole: boolean): Promise<Command> {
  const quiet = { writeOut: () => {}, writeErr: () => {} };
  const tool = new Command("understudy").exitOverride().configureOutput(quiet);
  await addTyped(tool, undefined, commandsOf(undefined));
  addCompletion(tool);
  for (const each of leaves(tool)) {
    each.action(() => {});
    if (whole) continue;
    for (const option of each.options) option.mandatory = false;
    for (const argument of each.registeredArguments) argument.required = false;
  }
  return tool;
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

/** "ca sign", and so on; without what isn't for people. */
function pathsOf(command: Command, before: string[] = []): string[] {
  return command.commands
    .filter((sub) => sub.name() !== "internal")
    .flatMap((sub) => {
      const path = [...before, sub.name()];
      return sub.commands.length === 0 ? [path.join(" ")] : pathsOf(sub, path);
    });
}

interface Quoted {
  line: number;
  /** What stands behind "understudy". */
  text: string;
  /** On a line of its own, to be typed as it is. */
  whole: boolean;
}

/** The commands in a document: lines of its blocks, and what stands between backticks. */
function quotedIn(text: string): Quoted[] {
  let block = false;
  return text.split("\n").flatMap((line, index) => {
    if (line.startsWith("```")) block = !block;
    const found = block
      ? [...line.matchAll(/^(?:# |[\d*]+ .* root )? *understudy (\S.*)$/g)]
      : [...line.matchAll(/`understudy ([^`]+)`/g)];
    return found.map(([, words = ""]) => ({ line: index + 1, text: words, whole: block }));
  });
}

/**
 * The words of a command line, as a shell takes them. It ends at two spaces, a comment, a pipe, a
 * redirection, a semicolon.
 */
function wordsOf(text: string): string[] {
  const [line = ""] = text.split(/ {2,}| [#|>]|;/);
  return [...line.matchAll(/"([^"]*)"|((?:\$\([^)]*\)|\S)+)/g)]
    .map(([, quoted, bare = ""]) => quoted ?? bare.replace(/^\[|\]$/g, ""))
    .filter((word) => word !== "\\" && word !== "…");
}

/** What stands between backticks in the first column of tables that say what a message means. */
function messageCells(text: string): string[] {
  let says = false;
  return text.split("\n").flatMap((line) => {
    const [, first = ""] = line.split(" | ", 1)[0]?.split("| ") ?? [];
    if (!line.startsWith("| ")) says = line.startsWith("|-") && says;
    else if (/\bsays$/.test(first)) says = true;
    else if (says) return [...first.matchAll(/`([^`]+)`/g)].map(([, quoted = ""]) => quoted);
    return [];
  });
}

/** What is wrong with a command line; undefined: it may be typed. */
async function judge(tool: Command, words: string[], whole: boolean): Promise<string | undefined> {
  try {
    await tool.parseAsync(words, { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return !whole && isShortened(error) ? undefined : error.message;
  }
}

/** What a command that begins with these words lacks; undefined: nothing. */
function lacks(tool: Command, words: readonly string[]): string | undefined {
  let at = tool;
  for (const word of words) {
    const below = at.commands.find((sub) => sub.name() === word);
    if (below !== undefined) at = below;
    else if (at.commands.length > 0 && /^[a-z]/.test(word)) return `no ${word}`;
    else if (/^--[a-z]/.test(word) && !known(at).includes(word)) return `no ${word}`;
  }
  return undefined;
}

function known(command: Command): string[] {
  return ["--help", ...command.options.map(({ long }) => long ?? "")];
}

/** A group alone, an option without its value, KIND in place of a word. */
function isShortened({ code, message }: CommanderError): boolean {
  return (
    ["commander.help", "commander.helpDisplayed", "commander.optionMissingArgument"].includes(
      code,
    ) || /unknown command '[A-Z]+'/.test(message)
  );
}

test("every command that the documents quote is there, with these options", async () => {
  const tools = { whole: await program(true), loose: await program(false) };
  const wrong: string[] = [];
  for (const { path, text } of DOCS) {
    for (const one of quotedIn(text)) {
      const tool = one.whole ? tools.whole : tools.loose;
      const because = await judge(tool, wordsOf(one.text), one.whole);
      if (because !== undefined)
        wrong.push(`${path}:${one.line}: understudy ${one.text}: ${because}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("every command that a message, a rule or the package's own page names is there", async () => {
  const tool = await program(false);
  const wrong: string[] = [];
  for (const { path, text } of [...CODE, ...PACKAGED]) {
    // Behind a colon, in quotes, on a line of its own; the program's name stands elsewhere too.
    for (const [, words = ""] of text.matchAll(/(?:: |["(]|\n {2,})understudy ([a-z][\w .-]*)/g)) {
      const because = lacks(tool, words.split(/[ .]+/));
      if (because !== undefined) wrong.push(`${path}: understudy ${words}: ${because}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("every message that the documents say what to do at is one that the code has", () => {
  const code = CODE.map(({ text }) => text).join("\n");
  const wrong = DOCS.flatMap(({ path, text }) => {
    const cells = messageCells(text);
    assert.ok(!SAYING.includes(path) || cells.length > 0, `${path} has such a table`);
    const parts = cells.flatMap((cell) => cell.split(/: |…|\b(?:[A-Z]+|\d+)\b/));
    return parts
      .map((part) => part.trim())
      .filter((part) => part.length > 3 && !code.includes(part))
      .map((part) => `${path}: ${part}`);
  });
  assert.deepEqual(wrong, []);
});

test("every command is in the documents", async () => {
  const quoted = DOCS.flatMap(({ text }) => quotedIn(text)).map(({ text }) => wordsOf(text));
  // A word like KIND stands for each.
  const isOf = (path: string) => (words: string[]) =>
    path
      .split(" ")
      .every((word, index) => word === words[index] || /^[A-Z]+$/.test(words[index] ?? ""));
  const missing = pathsOf(await program(true)).filter((path) => !quoted.some(isOf(path)));
  assert.deepEqual(missing, []);
});

test("every command's --help has an example and says what its exit codes mean", async () => {
  let text = "";
  const tool = new Command("understudy").exitOverride().configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  await addTyped(tool, undefined, commandsOf(undefined));
  addCompletion(tool);
  const wrong: string[] = [];
  for (const path of pathsOf(tool)) {
    text = "";
    await tool.parseAsync([...path.split(" "), "--help"], { from: "user" }).catch(() => undefined);
    const example = new RegExp(`^ *(?:Examples?: )?understudy ${path}(?: |$)`, "m");
    if (!example.test(text)) wrong.push(`${path}: no example`);
    if (!/Exit code: 0 /.test(text)) wrong.push(`${path}: no exit codes`);
  }
  assert.deepEqual(wrong, []);
});
