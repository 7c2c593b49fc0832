import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { isFault } from "../src/base/fault.ts";
import { Acts } from "./acts.ts";

test("Acts.end tells acts to give up, waits for them, and lets none begin", async () => {
  const acts = new Acts();
  const order: string[] = [];
  const act = acts.do(async (signal) => {
    await once(signal, "abort");
    order.push("told");
    await new Promise((resolve) => void setImmediate(resolve));
    order.push("gave up");
    throw new Error("gave up");
  });
  const given = assert.rejects(act, /gave up/);
  await acts.end();
  order.push("ended");
  await given;
  assert.deepEqual(order, ["told", "gave up", "ended"]);
  await assert.rejects(
    acts.do(async () => order.push("begun")),
    (error) => isFault(error, "lab.ending"),
  );
  assert.equal(order.includes("begun"), false);
});

test("Acts.do hands on what an act returns, and forgets it", async () => {
  const acts = new Acts();
  assert.equal(await acts.do(async () => 7), 7);
  await acts.end();
});
