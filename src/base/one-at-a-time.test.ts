import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { oneAtATime } from "./one-at-a-time.ts";

test("oneAtATime runs one after the other, lets some wait, and turns away who comes then", async () => {
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<number>());
  const begun: number[] = [];
  const run = oneAtATime(2, () => new Error("enough wait"));
  const start = async (number: number) =>
    run(async () => {
      begun.push(number);
      return gates[number]?.promise ?? number;
    });
  const [first, second, third] = [start(0), start(1), start(2)];
  await assert.rejects(start(3), /enough wait/);
  await setImmediate();
  assert.deepEqual(begun, [0]);
  gates[0]?.reject(new Error("one that fails"));
  await assert.rejects(first, /one that fails/);
  await setImmediate();
  assert.deepEqual(begun, [0, 1], "a failure holds up nobody");
  const fourth = start(3);
  for (const [number, gate] of gates.entries()) gate.resolve(number);
  assert.deepEqual(await Promise.all([second, third, fourth]), [1, 2, 3]);
  assert.deepEqual(begun, [0, 1, 2, 3]);
});
