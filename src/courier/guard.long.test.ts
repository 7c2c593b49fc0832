// Couriers whose PuppetDB has lost what it had: wiped while it was down or while it ran, with the
// couriers' own memory lost too; and nodes that are gone.

import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { until } from "../base/retry.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { SOON, TestCouriers, untilFit, untilHas } from "./testing/couriers.ts";

const DAY_MS = 86_400_000;
const EMPTY = { active: 0, deactivated: 0, exported: 0, catalogs: 0 };

async function reasonOf(couriers: TestCouriers, by: string, id: string): Promise<string> {
  const { puppetdbs } = (await couriers.status(by)) as {
    puppetdbs: { id: string; because: string }[];
  };
  return puppetdbs.find((each) => each.id === id)?.because ?? "?";
}

async function untilSays(couriers: TestCouriers, by: string, id: string, what: RegExp) {
  const says = async () => what.test(await reasonOf(couriers, by, id));
  await until(`${by} says ${what} of ${id}`, says, SOON);
}

/** Waits until both couriers keep on disk what they know of both PuppetDBs. */
async function untilKept(couriers: TestCouriers): Promise<void> {
  for (const by of ["s1.test", "s2.test"]) {
    for (const id of ["s1.test", "s2.test"]) await untilSays(couriers, by, id, /^$/);
  }
  // What is known is written at an orderly end.
  for (const id of ["s1.test", "s2.test"]) await couriers.kill(id, "SIGTERM");
  await couriers.start();
  for (const id of ["s1.test", "s2.test"]) await untilFit(couriers, id);
}

describe("couriers", { concurrency: true, timeout: 120_000 }, () => {
  test("send no query to a PuppetDB that was wiped while it was down, until that is accepted", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    await couriers.start();
    await untilKept(couriers);
    const toy = couriers.toy("s1.test");
    await toy.stop();
    toy.has = EMPTY;
    await toy.start();
    const lost = /^it has 0 of the 100 nodes that it had$/;
    for (const by of ["s1.test", "s2.test"]) {
      await untilSays(couriers, by, "s1.test", lost);
      assert.match((await couriers.ask(by, "/pdb/query/v4/nodes")).text, /"by":"s2.test"/);
    }
    // Nearly all of it is not all of it.
    toy.has = { active: 99, deactivated: 0, exported: 297, catalogs: 99 };
    await untilSays(couriers, "s2.test", "s1.test", /^it has 99 of the 100/);
    await couriers.toy("s2.test").stop();
    const none = async () => (await couriers.ask("s1.test", "/pdb/query/v4/nodes")).status === 503;
    await until("none is fit", none, SOON);
    couriers.more = { accepted: { "s1.test": "first" } };
    for (const id of ["s1.test", "s2.test"]) await couriers.kill(id);
    await couriers.start();
    for (const id of ["s1.test", "s2.test"]) await untilFit(couriers, id);
  });

  test("notice a PuppetDB that is wiped while it runs, and answer 503 where it was the only one", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    await couriers.start();
    await untilFit(couriers, "s1.test");
    couriers.toy("s1.test").has = EMPTY;
    const none = async () => (await couriers.ask("s1.test", "/pdb/query/v4/nodes")).status === 503;
    await until("it answers no more", none, SOON);
    couriers.toy("s1.test").has = { active: 100, deactivated: 0, exported: 300, catalogs: 100 };
    await untilFit(couriers, "s1.test");
  });

  test("know from one another what a PuppetDB had where their own memory is lost or garbled", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    await couriers.start();
    await untilKept(couriers);
    // A server goes back to an old snapshot, courier and PuppetDB alike, or its disk is lost.
    const memory = join(couriers.folder, "s1.test/state/had.json");
    for (const harm of [
      async () => rm(join(couriers.folder, "s1.test/state"), { recursive: true }),
      async () => writeFile(memory, '{"format":1,"memories":{"s1.test":{"good":'),
    ]) {
      await couriers.kill("s1.test");
      await harm();
      couriers.toy("s1.test").has = EMPTY;
      await couriers.start("s1.test");
      for (const by of ["s1.test", "s2.test"]) {
        await untilSays(couriers, by, "s1.test", /^it has 0 of the 100 nodes/);
      }
      assert.match((await couriers.ask("s1.test", "/pdb/query/v4/nodes")).text, /"by":"s2.test"/);
    }
  });

  test("deactivate a node that is silent while others are heard, on every PuppetDB", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    const nowMs = wallMs();
    const heard = { "gone.test": isoTime(nowMs - 8 * DAY_MS), "here.test": isoTime(nowMs) };
    couriers.more = { nodeTtlS: (7 * DAY_MS) / 1000 };
    couriers.toy("s1.test").heard = heard;
    for (const id of ["s1.test", "s2.test"]) {
      const state = join(couriers.folder, id, "state");
      await mkdir(state);
      const hearing = { sinceMs: nowMs - 30 * DAY_MS, lastMs: nowMs - DAY_MS / 24 };
      await writeFile(join(state, "heard.json"), JSON.stringify(hearing));
    }
    await couriers.start();
    for (const id of ["s1.test", "s2.test"]) {
      await untilHas(couriers, id, ["gone.test"]);
      const [got] = couriers.toy(id).got;
      assert.equal(got?.query.get("command"), "deactivate_node");
      const body = JSON.parse(got?.body.toString() ?? "") as { producer_timestamp: string };
      assert.ok(Date.parse(body.producer_timestamp) < nowMs);
      assert.equal(body.producer_timestamp, got?.query.get("producer-timestamp"));
    }
  });
});
