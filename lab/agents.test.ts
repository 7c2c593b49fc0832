import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { Acts } from "./acts.ts";
import { Agent, loopAgents } from "./agents.ts";
import { LabHost } from "./host.ts";

test("loopAgents keeps what ended a loop until it is stopped, and ends no process by it", async () => {
  const place = { folder: "/nonexistent", base: "/nonexistent", acts: new Acts() };
  const agent = new Agent(new LabHost("a9", place), "nobody.lab.test");
  const loop = loopAgents([agent]);
  // The loop's run ends as these do. The test's own process would die of an unhandled rejection.
  for (let times = 0; times < 3; times += 1) await assert.rejects(agent.run());
  await setImmediate();
  await assert.rejects(loop.stop(), /a9/);
  assert.deepEqual(loop.runs, []);
});
