import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { EJECTED_KEY } from "../cluster/keys.ts";
import type { Ejected } from "../cluster/schema.ts";
import { createEtcd } from "../etcd/client.ts";
import { startEtcdCluster } from "../etcd/testing/cluster.ts";
import { freePorts } from "../host/testing/ports.ts";
import { decideStart, readEjection, readRevocationKeys } from "./edge-prepare.ts";
import { createTestSite, FIRST } from "./testing/site.ts";

const alone = { problem: "no answer", removed: false };

test("decideStart starts with the newest revocations, whatever the setting", () => {
  for (const isolatedEdge of ["serve", "refuse"] as const) {
    const decision = decideStart({ problem: "", removed: false, isolatedEdge });
    assert.equal(decision.do, "start");
  }
});

test("decideStart lets an edge that is alone serve with what it has, and says so", () => {
  const decision = decideStart({ ...alone, isolatedEdge: "serve" });
  assert.ok(decision.do === "start");
  assert.match(decision.says, /^<4>.*with the revocations it has: .*no answer/);
});

test("decideStart lets an edge that is alone wait where the cluster is set so, and says so", () => {
  const decision = decideStart({ ...alone, isolatedEdge: "refuse" });
  assert.ok(decision.do === "wait");
  assert.match(decision.says, /^<3>.*takes no agents yet \(isolated-edge: refuse\).*no answer/);
});

test("decideStart doesn't blame the record for a full disk, which takes no revocation in", () => {
  const problem = "ENOSPC: no space left on device, write";
  for (const isolatedEdge of ["serve", "refuse"] as const) {
    const decision = decideStart({ ...alone, problem, isolatedEdge });
    assert.ok(decision.do !== "stand-down");
    assert.match(decision.says, /the newest revocations can't be taken in: ENOSPC/);
  }
});

test("decideStart has a removed member stand down, whatever the setting", () => {
  for (const isolatedEdge of ["serve", "refuse"] as const) {
    assert.deepEqual(decideStart({ ...alone, removed: true, isolatedEdge }), { do: "stand-down" });
  }
});

test("readRevocationKeys gives up on a record that can't be reached", async () => {
  const [port] = await freePorts(1);
  const etcd = createEtcd({ endpoints: [`http://127.0.0.1:${port}`], tls: undefined });
  try {
    await assert.rejects(readRevocationKeys(etcd, 300), (error) => isFault(error, "etcd"));
  } finally {
    etcd.close();
  }
});

test("readEjection takes the record's word on the CA's end, which what was kept doesn't know", async () => {
  const cluster = await startEtcdCluster({ members: 1 });
  try {
    const { etcd } = await createTestSite(cluster);
    const ejected: Ejected = { to: FIRST, at: "2026-11-20T12:00:00Z", alone: false };
    const put = async (value: string) =>
      etcd.transact({ when: [], then: [{ put: EJECTED_KEY, value }] });
    await put(JSON.stringify(ejected));
    const found = await readEjection(etcd, { members: [] }, 5000);
    assert.deepEqual(found.ejected, ejected);
    assert.deepEqual(
      found.members.map(({ id }) => id),
      [FIRST],
    );
    await put("nothing that can be understood");
    const kept = { members: [], ejected };
    assert.equal(await readEjection(etcd, kept, 5000), kept);
  } finally {
    await cluster.close();
  }
});
