import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { collectHelp, commandsIn, escapeRoff, renderManual } from "./manual.ts";

const PROGRAM = `Usage: understudy [options] [command]

Options:
  -h, --help         display help

Commands:
  status [options]   whether every promise holds
  token              join tokens: create,
                     list, revoke
  list|ls            an alias
  help [command]     display help for command

  understudy token list

More: understudy COMMAND --help
`;

test("commandsIn finds the commands of a help text, not options, continuations or help itself", () => {
  assert.deepEqual(commandsIn(PROGRAM), ["status", "token", "list"]);
  assert.deepEqual(commandsIn("Usage: understudy status\n\nOptions:\n  --json  as JSON\n"), []);
});

test("collectHelp asks every command once, below the one that lists it", async () => {
  const asked: string[] = [];
  const found = await collectHelp(async (words) => {
    asked.push(words.join(" "));
    if (words.length === 0) return PROGRAM;
    return words.join(" ") === "token" ? "Commands:\n  create  make one\n" : "Usage";
  });
  const expected = ["", "status", "token", "token create", "list"];
  assert.deepEqual(
    found.map(({ words }) => words.join(" ")),
    expected,
  );
  assert.deepEqual(asked.sort(), expected.sort());
});

test("collectHelp ends also when every command claims to have commands", async () => {
  const found = await collectHelp(async () => "Commands:\n  a  x\n  b  x\n");
  assert.equal(found.length, 1 + 2 + 4 + 8);
});

test("escapeRoff leaves no line that roff would take as a request or an escape", () => {
  fc.assert(
    fc.property(fc.string(), (line) => {
      const roff = escapeRoff(line);
      assert.doesNotMatch(roff, /^[.']/);
      assert.equal(roff.replace(/^\\&/, "").replaceAll("\\-", "-").replaceAll("\\e", "\\"), line);
    }),
  );
});

test("renderManual has the program's help and a section for each command", () => {
  const page = renderManual({
    version: "1.2.3",
    epoch: 1_700_000_000,
    description: "High availability",
    help: [
      { words: [], text: PROGRAM },
      { words: ["token", "create"], text: "Usage: understudy token create\n" },
    ],
  });
  assert.match(page, /^\.TH UNDERSTUDY 8 2023-11-14 "Understudy 1\.2\.3"/);
  assert.match(
    page,
    /\n\.SS understudy token create\n\.nf\nUsage: understudy token create\n\.fi\n/,
  );
});
