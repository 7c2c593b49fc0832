import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "./log.ts";
import { startLoop } from "./loop.ts";
import { pause, until } from "./retry.ts";

test("startLoop runs again when woken, and logs a failure once per reason", async () => {
  const lines: string[] = [];
  const stop = new AbortController();
  let ticks = 0;
  let broken = true;
  const loop = startLoop({
    name: "demo",
    everyMs: 3_600_000,
    log: createLog((line) => lines.push(line)),
    signal: stop.signal,
    body: async () => {
      ticks += 1;
      if (broken) throw new Error("no luck");
    },
  });
  for (const count of [1, 2, 3]) {
    await until("a tick", () => ticks === count && loop.last() !== undefined, {
      withinMs: 2000,
      everyMs: 1,
    });
    if (count === 2) broken = false;
    loop.wake();
  }
  await until("success", () => loop.last()?.ok, { withinMs: 2000, everyMs: 1 });
  stop.abort();
  await loop.ended;
  assert.equal(lines.filter((line) => line.includes("no luck")).length, 1);
  assert.equal(lines.filter((line) => line.includes("works again")).length, 1);
});

test("a tick's getsOn moves gotOnMs, which is undefined between ticks", async () => {
  const stop = new AbortController();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const loop = startLoop({
    name: "demo",
    everyMs: 3_600_000,
    log: createLog(() => undefined),
    signal: stop.signal,
    body: async () => released,
  });
  const beganMs = loop.runningSinceMs() ?? Infinity;
  assert.equal(loop.gotOnMs(), beganMs);
  await pause(5);
  loop.getsOn();
  assert.equal(loop.runningSinceMs(), beganMs);
  assert.ok((loop.gotOnMs() ?? 0) > beganMs);
  stop.abort();
  release();
  await loop.ended;
  loop.getsOn();
  assert.equal(loop.gotOnMs(), undefined);
});
