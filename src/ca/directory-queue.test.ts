import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { createQueue } from "./directory-queue.ts";

void test("createQueue tries again once for all that was added while the disk was in trouble", async (t) => {
  const stop = new AbortController();
  t.after(() => stop.abort());
  let rounds = 0;
  let broken = true;
  const done: number[] = [];
  const queue = createQueue<number>(async (jobs) => {
    rounds += 1;
    if (broken) throw new Error("ENOSPC");
    done.push(...jobs);
  }, stop.signal);
  const JOBS = 30;
  for (let job = 0; job < JOBS; job += 1) {
    assert.equal(await queue.add([job]), false);
    await queue.idle();
  }
  // Each pause before another try would end with the signal.
  assert.equal(getEventListeners(stop.signal, "abort").length, 1);
  const tried = rounds;
  await until("it tries again", () => rounds > tried, { withinMs: 20_000 });
  broken = false;
  await until("all is done", () => queue.state().behind === 0, { withinMs: 20_000 });
  assert.deepEqual(done, [...Array.from({ length: JOBS }).keys()]);
});
