// What becomes of transactions whose answer is lost: three real members, one behind a proxy that
// can keep the answers to itself.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { startEtcdCluster, type EtcdTestCluster } from "./testing/cluster.ts";
import { startMuteProxy, type MuteProxy } from "./testing/mute-proxy.ts";
import type { Etcd, Txn } from "./types.ts";

let cluster: EtcdTestCluster;
let proxy: MuteProxy;
/** Asks the proxy first. */
let muffled: Etcd;
let direct: Etcd;

before(async () => {
  cluster = await startEtcdCluster({ members: 3 });
  proxy = await startMuteProxy(cluster.endpoints[0] ?? "");
  direct = cluster.client();
});

beforeEach(() => {
  proxy.unmute();
  const endpoints = [proxy.url, ...cluster.endpoints.slice(1)];
  muffled = cluster.client({ endpoints, attemptMs: 300 });
});

after(async () => {
  await cluster.close();
  await proxy.close();
});

const create = (key: string, value: string): Txn => ({
  when: [{ key, is: "absent" }],
  then: [{ put: key, value }],
});

test("transact whose answer is lost finds out that it was applied", async () => {
  const muted = proxy.mute();
  const settle = { key: "a", value: "ours-1" };
  const result = await muffled.transact(create("a", "ours-1"), { settle });
  await muted;
  const kv = await direct.get("a");
  assert.deepEqual(result, { ok: true, settled: true, reads: [], revision: kv?.modRevision });
  assert.equal(kv?.version, 1);
});

test("transact whose answer is lost finds its value below a later one", async () => {
  const muted = proxy.mute().then(async () => {
    for (const value of ["theirs-1", "theirs-2"]) {
      await direct.transact({ when: [{ key: "b", is: "present" }], then: [{ put: "b", value }] });
    }
  });
  const settle = { key: "b", value: "ours-2" };
  const result = await muffled.transact(create("b", "ours-2"), { settle });
  await muted;
  assert.equal(result.ok && result.settled, true);
  assert.equal((await direct.get("b"))?.value, "theirs-2");
});

test("transact whose answer is lost reports a compare that failed", async () => {
  await direct.transact(create("c", "theirs"));
  await muffled.get("c");
  const muted = proxy.mute();
  const settle = { key: "c", value: "ours-3" };
  const result = await muffled.transact(create("c", "ours-3"), { settle });
  await muted;
  assert.equal(result.ok, false);
  assert.equal((await direct.get("c"))?.value, "theirs");
});

test("transact without a settle is Fault etcd.outcome-unknown, and is not repeated", async () => {
  const muted = proxy.mute();
  const write = muffled.transact({ when: [], then: [{ put: "d", value: "1" }] }, { withinMs: 600 });
  await assert.rejects(write, (error) => isFault(error, "etcd.outcome-unknown"));
  await muted;
  assert.equal((await direct.get("d"))?.version, 1);
});

test("transact that only reads just asks the next member", async () => {
  const muted = proxy.mute();
  const result = await muffled.transact({ when: [], then: [{ range: "" }] });
  await muted;
  assert.equal(result.ok, true);
});

test("a copy that a stopped member delivers late changes nothing", async () => {
  const leader = await cluster.leader();
  const hung = cluster.members.find((member) => member !== leader);
  assert.ok(hung);
  const others = cluster.endpoints.filter((url) => url !== hung.clientUrl);
  const client = cluster.client({ endpoints: [hung.clientUrl, ...others], attemptMs: 300 });
  await hung.pause();
  const settle = { key: "e", value: "ours-5" };
  const result = await client.transact(create("e", "ours-5"), { settle });
  assert.equal(result.ok, true);
  hung.resume();
  const alone = cluster.client({ endpoints: [hung.clientUrl] });
  await until("the member", () => alone.get("e").catch(() => undefined), { withinMs: 20_000 });
  assert.equal((await direct.get("e"))?.version, 1);
});

test("transact refuses a settle that its own put doesn't prove", async () => {
  const settle = { key: "f", value: "other" };
  await assert.rejects(direct.transact(create("f", "1"), { settle }), (error) =>
    isFault(error, "etcd.settle"),
  );
  const blind: Txn = { when: [], then: [{ put: "f", value: "other" }] };
  await assert.rejects(direct.transact(blind, { settle }), (error) =>
    isFault(error, "etcd.settle"),
  );
});
