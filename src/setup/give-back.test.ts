import assert from "node:assert/strict";
import { test } from "node:test";
import { tellStopped } from "./give-back.ts";

test("tellStopped lets agents in, and says what a join that failed keeps stopped", async () => {
  let lets = 0;
  const letIn = async () => void (lets += 1);
  const how = (stopped: boolean) => ({ isStopped: async () => stopped, letIn });
  assert.deepEqual(await tellStopped("puppetserver.service", how(false)), []);
  const [line = ""] = await tellStopped("puppetserver.service", how(true));
  assert.match(line, /^puppetserver\.service stays stopped until the same command/);
  assert.equal(lets, 2);
});
