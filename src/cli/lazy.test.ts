import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { addTyped, type Adder } from "./lazy.ts";

const add =
  (...names: string[]): Adder =>
  async (to) => {
    for (const name of names) to.command(name);
  };

void test("addTyped adds what is typed, and all in their order where nothing known is", async () => {
  const both = add("list", "show");
  const all = { init: add("init"), list: both, show: both };
  for (const [word, expected] of [
    ["init", ["init"]],
    ["show", ["list", "show"]],
    ["lits", ["init", "list", "show"]],
    ["--help", ["init", "list", "show"]],
    ["toString", ["init", "list", "show"]],
    [undefined, ["init", "list", "show"]],
  ] as const) {
    const program = new Command();
    await addTyped(program, word, all);
    assert.deepEqual(
      program.commands.map((command) => command.name()),
      expected,
    );
  }
});
