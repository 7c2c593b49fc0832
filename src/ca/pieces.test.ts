import assert from "node:assert/strict";
import { test } from "node:test";
import { monotonicMs } from "../host/clock.ts";
import { createTurns, inBackground, inForeground, type Next } from "./pieces.ts";

/** Steps of a millisecond, each told of. */
async function step(next: Next, count: number, told: string[], name: string): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    await next();
    const endMs = monotonicMs() + 1;
    while (monotonicMs() < endMs);
    told.push(name);
  }
}

void test("inForeground lets others have their turn, and goes before what is in the background", async () => {
  const told: string[] = [];
  const timer = setTimeout(() => told.push("timer"), 1);
  await Promise.all([
    inBackground((next) => step(next, 40, told, "background")),
    inForeground((next) => step(next, 40, told, "foreground")),
  ]);
  clearTimeout(timer);
  assert.ok(told.indexOf("timer") < 60, "a timer had its turn");
  assert.equal(told.at(-1), "background");
  const before = told.slice(0, told.lastIndexOf("foreground"));
  assert.ok(before.filter((name) => name === "background").length < 12);
  assert.equal(told.filter((name) => name === "background").length, 40);
});

void test("createTurns lets timers have their turn between two works, which keep their order", async () => {
  const told: string[] = [];
  const turn = createTurns();
  const work = async (name: string) => {
    await turn();
    const endMs = monotonicMs() + 5;
    while (monotonicMs() < endMs);
    told.push(name);
  };
  const timer = new Promise<void>((resolve) => {
    setTimeout(() => {
      told.push("timer");
      resolve();
    }, 1);
  });
  await Promise.all([work("1"), work("2"), work("3"), timer]);
  assert.ok(told.indexOf("timer") < 2, told.join(" "));
  assert.deepEqual(
    told.filter((name) => name !== "timer"),
    ["1", "2", "3"],
  );
});
