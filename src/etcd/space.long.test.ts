// A database that is full, and what is copied of it: one real member with a small quota.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { run } from "../host/process.ts";
import { startEtcdCluster, type EtcdTestCluster } from "./testing/cluster.ts";
import { startMuteProxy } from "./testing/mute-proxy.ts";
import type { Etcd } from "./types.ts";

const MIB = 1024 * 1024;
let cluster: EtcdTestCluster;
let etcd: Etcd;

before(async () => {
  const environment = { ETCD_QUOTA_BACKEND_BYTES: String(12 * MIB) };
  cluster = await startEtcdCluster({ environment });
  etcd = cluster.client();
});

after(() => cluster.close());

const put = (key: string, value: string) =>
  etcd.transact({ when: [], then: [{ put: key, value }] });

test("a full database is Fault etcd.no-space until it is cleared up", async () => {
  const value = "x".repeat(MIB);
  const fill = async () => {
    for (;;) await put("big", value);
  };
  await assert.rejects(fill(), (error) => isFault(error, "etcd.no-space"));
  const { memberId } = await etcd.status(cluster.endpoints[0] ?? "");
  assert.deepEqual(await etcd.alarms(), [{ memberId, alarm: "NOSPACE" }]);
  assert.equal((await etcd.get("big"))?.value, value, "reads go on");
  const { revision } = await etcd.range("big");
  await etcd.compact(revision);
  await etcd.defragment(cluster.endpoints[0] ?? "");
  await etcd.disarm();
  assert.equal((await put("small", "1")).ok, true);
  assert.deepEqual(await etcd.alarms(), []);
});

test("snapshot is one that etcd's own tool accepts; half of one leaves nothing", async () => {
  const path = join(cluster.folder, "copies", "whole.db");
  await run(["mkdir", dirname(path)]);
  const [endpoint = ""] = cluster.endpoints;
  await etcd.snapshot(endpoint, path);
  const said = await run([toolPath("etcdctl"), "snapshot", "status", path, "-w", "json"], {
    env: { ...toolEnv(), ETCDCTL_API: "3" },
  });
  const { revision } = JSON.parse(said) as { revision: number };
  assert.equal(revision, (await etcd.status(endpoint)).revision);
  const proxy = await startMuteProxy(endpoint);
  proxy.cutAfter(MIB);
  const cut = cluster.client({ endpoints: [proxy.url] });
  const half = cut.snapshot(proxy.url, join(dirname(path), "half.db"));
  await assert.rejects(half, (error) => isFault(error, "etcd.snapshot"));
  assert.deepEqual(await readdir(dirname(path)), ["whole.db"]);
  await proxy.close();
});

test("keepAlive: etcd keeps the keys as long as it promised, counted from the call", async () => {
  const lease = await etcd.lease.grant(2);
  await etcd.transact({ when: [], then: [{ put: "held", value: "1", lease }] });
  const calledMs = monotonicMs();
  const seconds = await etcd.lease.keepAlive(lease);
  assert.ok(seconds > 0);
  const gone = async () => (await etcd.get("held")) === undefined;
  await until("its end", gone, { withinMs: 20_000, everyMs: 20 });
  assert.ok(monotonicMs() - calledMs >= seconds * 1000, "etcd ended it early");
  assert.equal(await etcd.lease.keepAlive(lease), 0);
});

test("keepAlive at a member that hangs fails instead of answering late", async () => {
  const lease = await etcd.lease.grant(60);
  const [member] = cluster.members;
  await member?.pause();
  const late = etcd.lease.keepAlive(lease, { withinMs: 500 });
  await assert.rejects(late, (error) => isFault(error, "etcd.unreachable"));
  member?.resume();
});
