import assert from "node:assert/strict";
import { test } from "node:test";
import { tryRun } from "./process.ts";

test("tryRun returns when the program has ended, whoever of its children holds its pipes", async () => {
  const began = ["sh", "-c", "sleep 60 & echo $!; echo said >&2"];
  const { code, stdout, stderr, timedOut } = await tryRun(began, { withinMs: 30_000 });
  process.kill(Number(stdout.trim()));
  assert.deepEqual([code, stderr, timedOut], [0, "said\n", false]);
});

test("tryRun's deadline ends a program whose child goes on", async () => {
  const hanging = ["sh", "-c", "sleep 60 & echo $!; wait"];
  const { ok, stdout, timedOut } = await tryRun(hanging, { withinMs: 300 });
  process.kill(Number(stdout.trim()));
  assert.deepEqual([ok, timedOut], [false, true]);
});

test("tryRun starts nothing that lasts when its signal has aborted already", async () => {
  const { timedOut } = await tryRun(["sleep", "60"], { signal: AbortSignal.abort() });
  assert.equal(timedOut, true);
});

test("tryRun keeps all that a program says at its end", async () => {
  const { stdout } = await tryRun(["sh", "-c", "head -c 3000000 /dev/zero"]);
  assert.equal(stdout.length, 3_000_000);
});
