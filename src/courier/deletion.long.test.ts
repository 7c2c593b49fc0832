// Couriers and a node that is deleted: it goes from every PuppetDB, now or later, and nothing older
// brings it back.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "../base/retry.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { SOON, TestCouriers, untilHas } from "./testing/couriers.ts";

async function remove(couriers: TestCouriers, by: string, certname: string) {
  const body = JSON.stringify({ command: "delete", version: 1, payload: { certname } });
  return couriers.ask(by, "/pdb/admin/v1/cmd", { body });
}

function commandsOf(couriers: TestCouriers, id: string, certname: string): string[] {
  return couriers
    .toy(id)
    .got.filter(({ query }) => query.get("certname") === certname)
    .map(({ query }) => query.get("command") ?? "");
}

async function untilSeen(couriers: TestCouriers): Promise<void> {
  for (const id of couriers.ids) {
    const sees = async () => {
      const { couriers: others } = (await couriers.status(id)) as {
        couriers: { reachable: boolean }[];
      };
      return others.every(({ reachable }) => reachable);
    };
    await until(`${id} sees the others`, sees, SOON);
  }
}

describe("couriers", { concurrency: true, timeout: 120_000 }, () => {
  test("delete a node from every PuppetDB, after a kill too, and keep what is older from it", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    couriers.toy("s1.test").writable = false;
    couriers.toy("s2.test").writable = false;
    await couriers.start();
    await untilSeen(couriers);
    const old = isoTime(wallMs() - 1000);
    for (const by of ["s1.test", "s2.test"]) {
      assert.equal(await couriers.command(by, "a.test", { at: old }), 200);
    }
    const answer = await remove(couriers, "s1.test", "a.test");
    assert.deepEqual([answer.status, answer.text], [200, '{"deleted":"a.test"}']);
    for (const id of couriers.ids) await couriers.kill(id);
    await couriers.start();
    await untilSeen(couriers);
    couriers.toy("s1.test").writable = true;
    await untilHas(couriers, "s1.test", ["a.test"]);
    assert.equal(await couriers.command("s2.test", "a.test"), 200);
    assert.equal(await couriers.command("s2.test", "b.test"), 200);
    couriers.toy("s2.test").writable = true;
    for (const id of couriers.ids) {
      await untilHas(couriers, id, ["a.test", "b.test"]);
      const both = () => commandsOf(couriers, id, "a.test").length === 2;
      await until("the new report", both, SOON);
      const kinds = commandsOf(couriers, id, "a.test").toSorted();
      assert.deepEqual(kinds, ["delete", "store_report"]);
      const sent = couriers.toy(id).got.map(({ query }) => query.get("producer-timestamp"));
      assert.ok(!sent.includes(old));
    }
  });

  test("leave a node alone that has run since it was deleted", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const toy = couriers.toy("s1.test");
    toy.heard = { "a.test": isoTime(wallMs() + 3_600_000) };
    await couriers.start();
    assert.equal((await remove(couriers, "s1.test", "a.test")).status, 200);
    assert.equal(await couriers.command("s1.test", "b.test"), 200);
    const done = async () => {
      const { puppetdbs } = (await couriers.status("s1.test")) as {
        puppetdbs: { commands: number }[];
      };
      return puppetdbs[0]?.commands === 0;
    };
    await untilHas(couriers, "s1.test", ["b.test"]);
    await until("nothing waits", done, SOON);
    assert.deepEqual(commandsOf(couriers, "s1.test", "a.test"), []);
  });

  test("tell a courier of deletions that it slept through, and refuse other admin commands", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 1 });
    await couriers.start("s1.test");
    assert.equal((await remove(couriers, "s1.test", "a.test")).status, 200);
    await untilHas(couriers, "s1.test", ["a.test"]);
    const old = isoTime(wallMs() - 60_000);
    await couriers.start("s2.test");
    await untilSeen(couriers);
    // It must know before the report comes: what it knows is on its disk.
    const knows = async () => (await couriers.deleted("s2.test")).includes("a.test ");
    await until("s2.test knows", knows, SOON);
    assert.equal(await couriers.command("s2.test", "a.test", { at: old }), 200);
    assert.equal(await couriers.command("s2.test", "b.test"), 200);
    await untilHas(couriers, "s1.test", ["a.test", "b.test"]);
    assert.deepEqual(commandsOf(couriers, "s1.test", "a.test"), ["delete"]);
    const clean = '{"command":"clean","version":1,"payload":["purge_nodes"]}';
    const refused = await couriers.ask("s1.test", "/pdb/admin/v1/cmd", { body: clean });
    assert.equal(refused.status, 501);
    const stranger = { body: clean, as: "stranger.test" };
    assert.equal((await couriers.ask("s1.test", "/pdb/admin/v1/cmd", stranger)).status, 403);
  });
});
