// Drains against a real etcd, as two members' daemons do them.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { requireClock } from "../cluster/clock.ts";
import { WORK_KEY } from "../cluster/keys.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { answer, edge, judge, local, row } from "../cluster/testing/status.ts";
import { outNow, Work } from "../cluster/work.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { drainCommands } from "./drain.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());
beforeEach(async () => {
  await etcd.client().transact({ when: [], then: [{ delete: WORK_KEY }] });
});

const wish = { reason: "", force: false };
const refused = (error: unknown) => isFault(error, "drain.refused");

/** The daemon of one member of a cluster of two. Its view is never newer than the record. */
function daemon(offsetMs = 0) {
  const backends = [row("s1"), row("s2")];
  const members = ["s1", "s2"].map((id) => answer(id, local(id, { edge: edge({ backends }) })));
  return drainCommands({
    etcd: etcd.client(),
    node: { id: "s1" } as NodeFile,
    log: createLog(() => undefined),
    status: async () => judge(members),
    running: async () => 0,
    moves: {
      plan: async () => assert.fail("it holds no address"),
      run: async () => assert.fail("it holds no address"),
    },
    requireClock: (what) => requireClock(offsetMs, what),
    wake: () => undefined,
  });
}

async function out(): Promise<string[]> {
  const kv = await etcd.client().get(WORK_KEY);
  const work = Work.parse(JSON.parse(kv?.value ?? "{}"));
  return outNow(work, Date.now()).map(({ id }) => id);
}

test("drain and undrain may be said twice; the first time counts, the newest reason is kept", async () => {
  const commands = daemon();
  const first = await commands.drain({ ...wish, name: "s2" }, "ops");
  const again = await commands.drain({ ...wish, name: "s2", reason: "kernel" }, "ops");
  assert.equal(again.drain?.at, first.drain?.at);
  assert.equal(again.drain?.reason, "kernel");
  assert.deepEqual(await out(), ["s2"]);
  assert.equal((await commands.undrain("s2", "ops")).drain?.reason, "kernel");
  assert.equal((await commands.undrain("s2", "ops")).drain, undefined);
  assert.deepEqual(await out(), []);
});

test("of two servers that are drained at once from two members one is refused", async () => {
  const both = await Promise.allSettled([
    daemon().drain({ ...wish, name: "s1" }, "ops"),
    daemon().drain({ ...wish, name: "s2" }, "ops"),
  ]);
  const reasons = both.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  assert.equal(reasons.length, 1);
  assert.ok(refused(reasons[0]));
  assert.equal((await out()).length, 1);
});

test("drain --force takes the last one too, and says nothing is refused", async () => {
  const commands = daemon();
  await commands.drain({ ...wish, name: "s1" }, "ops");
  await assert.rejects(commands.drain({ ...wish, name: "s2" }, "ops"), refused);
  await commands.drain({ ...wish, name: "s2", force: true }, "ops");
  assert.deepEqual((await out()).toSorted(), ["s1", "s2"]);
});

test("drain refuses an end that is over, and changes nothing", async () => {
  const commands = daemon();
  const until = new Date(Date.now() - 1000).toISOString();
  await assert.rejects(commands.drain({ ...wish, name: "s1", until }, "ops"), refused);
  assert.deepEqual(await out(), []);
});

test("drain sets no end where the clock is wrong; without one it does", async () => {
  const commands = daemon(-10_800_000);
  const until = new Date(Date.now() + 60_000).toISOString();
  await assert.rejects(commands.drain({ ...wish, name: "s1", until }, "ops"), (error) =>
    isFault(error, "cluster.clock-off"),
  );
  assert.deepEqual(await out(), []);
  await commands.drain({ ...wish, name: "s1" }, "ops");
  assert.deepEqual(await out(), ["s1"]);
});
