import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { requireClock } from "../cluster/clock.ts";
import { readWork } from "../cluster/record.ts";
import { isPaused } from "../cluster/work.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { parseScope, pauseCommands } from "./pause.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());

const commands = (offsetMs = 0) =>
  pauseCommands({
    etcd: etcd.client(),
    log: createLog(() => undefined),
    ids: () => ["s1.test", "s2.test"],
    requireClock: (what) => requireClock(offsetMs, what),
    wake: () => undefined,
  });
const soon = () => new Date(Date.now() + 60_000).toISOString();

test("parseScope takes scopes of the cluster, else members' names", () => {
  assert.deepEqual(parseScope("chores", []), { scope: "chores" });
  assert.deepEqual(parseScope("s1", ["s1.test"]), { scope: "server", id: "s1.test" });
  assert.throws(
    () => parseScope("s9", ["s1.test"]),
    (error) => isFault(error, "member.not-found"),
  );
});

test("pause and resume: several scopes are one change, what isn't named stays", async () => {
  const { pauses } = await commands().pause(
    {
      scopes: ["addresses", "s1"],
      reason: "why",
      until: soon(),
    },
    "ops",
  );
  assert.deepEqual(
    pauses.map(({ scope, id }) => [scope, id]),
    [
      ["addresses", undefined],
      ["server", "s1.test"],
    ],
  );
  const ended = await commands().resume({ scopes: ["s1"] }, "ops");
  assert.equal(ended.pauses.length, 1);
  const work = await readWork(etcd.client());
  assert.equal(isPaused(work, "s1.test", Date.now()), false);
  assert.equal(isPaused(work, "s1.test", Date.now(), "addresses"), true);
  assert.equal((await commands().resume({ scopes: [] }, "ops")).pauses.length, 1);
  assert.equal((await commands().resume({ scopes: [] }, "ops")).pauses.length, 0);
});

test("pause refuses an end that is over, or more than a week away, whoever asks", async () => {
  for (const inMs of [-1000, 8 * 86_400_000]) {
    const until = new Date(Date.now() + inMs).toISOString();
    const wish = { scopes: ["chores"], reason: "why", until };
    await assert.rejects(commands().pause(wish, "ops"), (error) => isFault(error, "pause.refused"));
  }
});

test("pause is refused where the clock is wrong: it would end at another time than it says", async () => {
  const wish = { scopes: ["chores"], reason: "why", until: soon() };
  const asked = commands(-10_800_000);
  await assert.rejects(asked.pause(wish, "ops"), (error) => isFault(error, "cluster.clock-off"));
  assert.deepEqual(await asked.resume({ scopes: [] }, "ops"), { pauses: [] });
});
