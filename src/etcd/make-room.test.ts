import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { makeRoom, planRoom, type VoterSight } from "./make-room.ts";
import { startEtcdCluster } from "./testing/cluster.ts";
import type { MemberStatus } from "./types.ts";

const STATUS: MemberStatus = {
  endpoint: "a",
  clusterId: "1",
  memberId: "1",
  leaderId: "2",
  version: "3.4.23",
  dbSizeBytes: 1,
  dbSizeInUseBytes: 1,
  revision: 9,
  raftIndex: 1,
  raftAppliedIndex: 1,
  raftTerm: 1,
  learner: false,
  errors: [],
};
const voter = (endpoint: string, more: Partial<MemberStatus> = {}): VoterSight => ({
  endpoint,
  status: { ...STATUS, endpoint, ...more },
});

test("planRoom: the leader comes last, and nothing is compacted that one hasn't got yet", () => {
  const plan = planRoom(
    [voter("b", { memberId: "2", revision: 12 }), voter("a"), voter("c", { memberId: "3" })],
    [{ memberId: "1", alarm: "NOSPACE" }],
  );
  assert.deepEqual(plan, { ok: true, order: ["a", "c", "b"], revision: 9 });
});

test("planRoom does nothing while a voter is away, or data differs", () => {
  const away = planRoom([voter("a"), { endpoint: "b", why: "refused" }], []);
  assert.ok(!away.ok && /b: refused/.test(away.because));
  const corrupt = planRoom([voter("a")], [{ memberId: "1", alarm: "CORRUPT" }]);
  assert.ok(!corrupt.ok && /CORRUPT/.test(corrupt.because));
  assert.equal(planRoom([], []).ok, false);
});

const MIB = 1024 * 1024;
const environment = { ETCD_QUOTA_BACKEND_BYTES: String(16 * MIB) };
const cluster = await startEtcdCluster({ members: 3, environment });
after(() => cluster.close());

test("makeRoom: a cluster that took no changes any more takes them again", async () => {
  const etcd = cluster.client();
  const put = async (value: string) => etcd.transact({ when: [], then: [{ put: "big", value }] });
  await assert.rejects(
    async () => {
      for (;;) await put("x".repeat(MIB));
    },
    (error) => isFault(error, "etcd.no-space"),
  );
  const told: string[] = [];
  const made = await makeRoom(etcd, cluster.endpoints, {
    onDone: ({ endpoint }) => told.push(endpoint),
  });
  assert.deepEqual(told.toSorted(), [...cluster.endpoints].toSorted());
  for (const { beforeBytes, afterBytes } of made) assert.ok(afterBytes < beforeBytes / 2);
  assert.deepEqual(await etcd.alarms(), []);
  assert.equal((await put("small")).ok, true);
});

test("makeRoom refuses while a voter is down, and says which", async () => {
  const etcd = cluster.client();
  await cluster.members[1]?.kill();
  await assert.rejects(
    makeRoom(etcd, cluster.endpoints, { withinMs: 3000 }),
    (error) =>
      isFault(error, "etcd.no-room-made") && error.message.includes(cluster.endpoints[1] ?? "?"),
  );
});
