// The completion script, as bash runs it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { run } from "../host/process.ts";
import { renderBashCompletion } from "./completion.ts";

function program(): Command {
  const tool = new Command("understudy");
  tool.command("internal", { hidden: true }).command("secret");
  const ca = tool.command("ca");
  ca.command("sign").option("--all", "all").option("--json", "JSON");
  ca.command("revoke");
  return tool;
}

/** What bash offers for a command line that ends with the last of `words`. */
async function offered(...words: string[]): Promise<string[]> {
  const line = words.map((word) => `'${word}'`).join(" ");
  const script = `${renderBashCompletion(program())}
COMP_WORDS=(understudy ${line}); COMP_CWORD=${words.length}; _understudy
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = await run(["bash", "-c", script]);
  return text.split("\n").filter((word) => word !== "");
}

test("the completion script offers commands and options where they belong, and nothing hidden", async () => {
  assert.deepEqual(await offered(""), ["ca", "--help"]);
  assert.deepEqual(await offered("ca", ""), ["sign", "revoke", "--help"]);
  assert.deepEqual(await offered("ca", "r"), ["revoke"]);
  assert.deepEqual(await offered("ca", "sign", "--"), ["--all", "--json", "--help"]);
  assert.deepEqual(await offered("ca", "sign", "--json", "--a"), ["--all"]);
  assert.deepEqual(await offered("internal", "s"), []);
});
