import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { WORK_KEY } from "./keys.ts";
import { updateWork } from "./record.ts";
import { type Drain, drainOf, isPaused, NO_WORK, outNow, type Pause, type Roll } from "./work.ts";
import { type Work, withDrain, withoutDrain, withoutEnded, withPause } from "./work.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const at = (seconds: number) => new Date(NOW_MS + seconds * 1000).toISOString();
const drain = (id: string, more: Partial<Drain> = {}): Drain => ({
  id,
  by: "ops",
  at: at(-60),
  reason: "",
  ...more,
});
const roll = (more: Partial<Roll> = {}): Roll => ({
  key: "k",
  does: "restart",
  by: "ops",
  at: at(-60),
  reason: "",
  ids: ["s1", "s2"],
  force: false,
  done: [],
  until: at(60),
  stop: false,
  ...more,
});
const step = (name: "drain" | "act" | "return" | "back") => ({
  id: "s2",
  step: name,
  since: at(-5),
  was: "1",
  note: "",
});

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());

test("outNow: who is drained until its end, and the roll's server while somebody drives it", () => {
  const end = { how: "halted" as const, at: at(0), because: "" };
  const cases: [string, Work, string[]][] = [
    ["nobody", NO_WORK, []],
    ["without an end", { drains: [drain("s1")] }, ["s1"]],
    ["before its end", { drains: [drain("s1", { until: at(1) })] }, ["s1"]],
    ["at its end", { drains: [drain("s1", { until: at(0) })] }, []],
    ["a roll between two", { drains: [], roll: roll() }, []],
    ["waiting for its requests", { drains: [], roll: roll({ now: step("drain") }) }, ["s2"]],
    ["starting", { drains: [], roll: roll({ now: step("return") }) }, ["s2"]],
    ["back again", { drains: [], roll: roll({ now: step("back") }) }, []],
    ["nobody drives", { drains: [], roll: roll({ now: step("act"), until: at(0) }) }, []],
    ["it has halted", { drains: [], roll: roll({ now: step("act"), end }) }, []],
    ["both", { drains: [drain("s2")], roll: roll({ now: step("act") }) }, ["s2"]],
  ];
  for (const [what, work, out] of cases) {
    const ids = outNow(work, NOW_MS).map(({ id }) => id);
    assert.deepEqual(ids, out, what);
  }
});

test("withDrain says the newest of a member, withoutDrain nothing, and both leave the others", () => {
  const one = withDrain(withDrain(NO_WORK, drain("s1")), drain("s2"));
  const again = withDrain(one, drain("s1", { reason: "kernel" }));
  assert.equal(again.drains.length, 2);
  assert.equal(drainOf(again, "s1", NOW_MS)?.reason, "kernel");
  assert.deepEqual(withoutDrain(again, "s1").drains, [drain("s2")]);
});

test("withDrain refuses more than there may be members", () => {
  const drains = Array.from({ length: 100 }, (_, index) => drain(`s${index}`));
  assert.equal(withDrain({ drains }, drain("s7")).drains.length, 100);
  assert.throws(
    () => withDrain({ drains }, drain("one-more")),
    (error) => isFault(error, "drain.too-many"),
  );
});

test("withoutEnded keeps what clocks may still see as in force, and nothing of former members", () => {
  const drains = [
    drain("s1"),
    drain("s2", { until: at(-60) }),
    drain("s3", { until: at(-601) }),
    drain("gone"),
  ];
  const kept = withoutEnded({ drains }, ["s1", "s2", "s3"], NOW_MS);
  assert.deepEqual(
    kept.drains.map(({ id }) => id),
    ["s1", "s2"],
  );
  const ended = (seconds: number) => roll({ end: { how: "done", at: at(seconds), because: "" } });
  for (const [seconds, there] of [
    [-60, true],
    [-3601, false],
  ] as const) {
    const { roll: left } = withoutEnded({ drains: [], roll: ended(seconds) }, [], NOW_MS);
    assert.equal(left !== undefined, there);
  }
  assert.ok(withoutEnded({ drains: [], roll: roll() }, [], NOW_MS).roll, "it is under way");
});

const pause = (scope: string, more: Partial<Pause> = {}): Pause => ({
  scope,
  by: "ops",
  at: at(0),
  reason: "why",
  until: at(60),
  ...more,
});

test("isPaused: a server as a whole, or one scope of all, until its end", () => {
  const work = (...pauses: Pause[]): Work => ({ drains: [], pauses });
  const of = (given: Work, scope?: "addresses" | "chores") =>
    ["s1", "s2"].filter((id) => isPaused(given, id, NOW_MS, scope));
  assert.deepEqual(of(NO_WORK, "chores"), []);
  assert.deepEqual(of(work(pause("chores")), "chores"), ["s1", "s2"]);
  assert.deepEqual(of(work(pause("chores")), "addresses"), []);
  assert.deepEqual(of(work(pause("chores"))), [], "it isn't left alone as a whole");
  const server = work(pause("server", { id: "s1" }));
  assert.deepEqual([of(server), of(server, "addresses")], [["s1"], ["s1"]]);
  assert.deepEqual(of(work(pause("chores", { until: at(0) })), "chores"), []);
  assert.deepEqual(of(work(pause("something newer")), "chores"), []);
});

test("withPause that is said again is as old as the first, unless that had ended", () => {
  const first = withPause(NO_WORK, pause("chores", { at: at(-50) }), NOW_MS);
  const again = withPause(first, pause("chores", { reason: "more", until: at(600) }), NOW_MS);
  assert.deepEqual(again.pauses, [
    pause("chores", { at: at(-50), reason: "more", until: at(600) }),
  ]);
  const later = NOW_MS + 61_000;
  assert.equal(withPause(first, pause("chores"), later).pauses?.[0]?.at, at(0));
  const two = withPause(first, pause("server", { id: "s1" }), NOW_MS);
  assert.equal(two.pauses?.length, 2);
  assert.equal(withoutEnded(two, ["s2"], NOW_MS).pauses?.length, 1, "s1 is gone");
  assert.deepEqual(withoutEnded(two, ["s1"], NOW_MS + 700_000).pauses, []);
});

test("updateWork: of two changes at once each is decided on what the other left", async () => {
  const client = etcd.client();
  const ids = ["s1", "s2", "s3", "s4"];
  await Promise.all(
    ids.map(async (id) => updateWork(client, (work) => withDrain(work, drain(id)))),
  );
  const { drains } = await updateWork(client, (work) => work);
  assert.deepEqual(drains.map(({ id }) => id).toSorted(), ids);
  // One may be left, whoever is first.
  const last = async (id: string) =>
    updateWork(client, (work) => {
      if (work.drains.length === 1) throw new Error("the last one");
      return withoutDrain(work, id);
    });
  const results = await Promise.allSettled(ids.map(last));
  assert.equal(results.filter(({ status }) => status === "rejected").length, 1);
});

test("updateWork leaves what a newer member wrote", async () => {
  const client = etcd.client();
  await client.transact({
    when: [],
    then: [{ put: WORK_KEY, value: JSON.stringify({ drains: [], newer: [1] }) }],
  });
  await updateWork(client, (work) => withDrain(work, drain("s1")));
  const kept = JSON.parse((await client.get(WORK_KEY))?.value ?? "{}") as { newer?: unknown };
  assert.deepEqual(kept.newer, [1]);
  // What changes nothing is no write, in whatever order a newer member wrote it.
  const put = async () => {
    const value = JSON.stringify({ newer: [1], drains: [] });
    return client.transact({ when: [], then: [{ put: WORK_KEY, value }] });
  };
  const { revision } = await put();
  await updateWork(client, (work) => withoutEnded(work, [], NOW_MS));
  assert.equal((await client.get(WORK_KEY))?.modRevision, revision);
});
