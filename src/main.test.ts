import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";

test("main goes on where nobody reads its standard error any more, as when a terminal is lost", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), "no-command"]);
  child.stderr.destroy();
  const [code] = (await once(child, "exit")) as [number | null];
  // What is wrong with the words is said there, and is not what a program that broke off ends with.
  assert.equal(code, 2);
});
