// What a synthetic agent's catalogs send to PuppetDB: taken, so that they compile, and kept
// nowhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestCouriers, untilHas } from "./testing/couriers.ts";

test("what is about a synthetic agent is answered as taken, and reaches no PuppetDB", async () => {
  await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
  await couriers.start();
  const facts = { command: "replace_facts", version: 5 };
  assert.equal(await couriers.command("s1.test", "understudy-probe.s1.test", facts), 200);
  assert.equal(await couriers.command("s1.test", "web.test", facts), 200);
  assert.equal(await couriers.command("s2.test", "understudy-probe.s2.test"), 200);
  // One that isn't a synthetic agent's, though its name has the word in it.
  assert.equal(await couriers.command("s2.test", "web.understudy-probe.test"), 200);
  for (const id of ["s1.test", "s2.test"]) {
    await untilHas(couriers, id, ["web.test", "web.understudy-probe.test"]);
  }
});

test("what is about a synthetic agent is still judged as any command", async () => {
  await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
  await couriers.start();
  const body = { certname: "web.test" };
  assert.equal(await couriers.command("s1.test", "understudy-probe.s1.test", { body }), 400);
});
