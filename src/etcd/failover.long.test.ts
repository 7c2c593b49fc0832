// The client while members die, hang and lose their quorum: three real members, killed and stopped.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { startEtcdCluster, type EtcdTestCluster, type TestMember } from "./testing/cluster.ts";
import type { Etcd, Txn } from "./types.ts";

let cluster: EtcdTestCluster;
let etcd: Etcd;

before(async () => {
  cluster = await startEtcdCluster({ members: 3 });
  etcd = cluster.client();
});

/** Every member back and serving. */
afterEach(async () => {
  for (const member of cluster.members) {
    const alone = cluster.client({ endpoints: [member.clientUrl] });
    const serves = () =>
      alone.get("ready", { withinMs: 1000 }).then(
        () => true,
        () => false,
      );
    await until(`${member.name} serving`, serves, { withinMs: 30_000 });
  }
});

after(() => cluster.close());

const create = (key: string, value: string): Txn => ({
  when: [{ key, is: "absent" }],
  then: [{ put: key, value }],
});

const first = (members: TestMember[]): Etcd => {
  const urls = members.map((member) => member.clientUrl);
  const rest = cluster.endpoints.filter((url) => !urls.includes(url));
  return cluster.client({ endpoints: [...urls, ...rest] });
};

test("a write outlives the leader's death", async () => {
  const leader = await cluster.leader();
  const client = first([leader]);
  await client.get("warm");
  await leader.kill();
  const settle = { key: "a", value: "ours" };
  const result = await client.transact(create("a", "ours"), { settle, withinMs: 10_000 });
  assert.equal(result.ok, true);
  assert.equal((await etcd.get("a"))?.version, 1);
  leader.start();
});

test("reads and writes outlive a leader that hangs", async () => {
  const leader = await cluster.leader();
  const client = first([leader]);
  await client.get("warm");
  await leader.pause();
  assert.equal(await client.get("nothing", { withinMs: 10_000 }), undefined);
  const settle = { key: "b", value: "ours" };
  const result = await client.transact(create("b", "ours"), { settle, withinMs: 10_000 });
  assert.equal(result.ok, true);
  leader.resume();
});

test("members.list asks another member when the one that made the change hangs", async () => {
  const [one] = cluster.members;
  assert.ok(one);
  const client = first([one]);
  const settle = { key: "voters", value: "ours" };
  const { revision } = await client.transact(create("voters", "ours"), { settle });
  await one.pause();
  const listed = await client.members.list({ asOf: revision, withinMs: 10_000 });
  assert.equal(listed.length, 3);
  one.resume();
});

test("without quorum: Fault etcd.no-quorum that counts, and serializable reads go on", async () => {
  await etcd.transact({ when: [], then: [{ put: "c", value: "before" }] });
  const [one, two, three] = cluster.members;
  assert.ok(one && two && three);
  // What was agreed must have reached the survivor before the others go.
  const survivor = cluster.client({ endpoints: [three.clientUrl] });
  await survivor.get("c");
  await Promise.all([one.kill(), two.kill()]);
  await until(
    "the survivor is in no doubt",
    async () => (await etcd.status(three.clientUrl)).leaderId === "0",
    {
      withinMs: 30_000,
    },
  );
  const options = { withinMs: 1500 };
  await assert.rejects(etcd.get("c", options), (error) => {
    assert.ok(isFault(error, "etcd.no-quorum"), String(error));
    assert.match(error.message, /^1 of 3 members answers/);
    return true;
  });
  const settle = { key: "d", value: "ours" };
  // Known to be in trouble, it is asked before anything is sent: no change is left in doubt.
  await assert.rejects(etcd.transact(create("d", "ours"), { ...options, settle }), (error) =>
    isFault(error, "etcd.no-quorum"),
  );
  assert.equal((await etcd.get("c", { serializable: true }))?.value, "before");
  const status = await etcd.status(three.clientUrl);
  assert.equal(status.leaderId, "0");
  one.start();
  two.start();
});

test("nobody there: Fault etcd.unreachable, and a write was certainly not made", async () => {
  await Promise.all(cluster.members.map((member) => member.kill()));
  const options = { withinMs: 500 };
  const write = etcd.transact(create("e", "1"), options);
  await assert.rejects(write, (error) => isFault(error, "etcd.unreachable"));
  await assert.rejects(etcd.members.list(options), (error) => isFault(error, "etcd.unreachable"));
  for (const member of cluster.members) member.start();
});

test("a watch is lost with its member, and once only", async () => {
  const [one] = cluster.members;
  assert.ok(one);
  const client = first([one]);
  const { revision } = (await client.range("")) ?? {};
  const lost: string[] = [];
  const { signal } = new AbortController();
  const onEvents = () => undefined;
  const onLost = (why: string) => lost.push(why);
  client.watch("", { fromRevision: revision + 1, onEvents, onLost, signal });
  await client.transact({ when: [], then: [{ put: "w", value: "1" }] });
  await one.kill();
  await until("the loss", () => lost.length > 0, { withinMs: 5000, everyMs: 10 });
  one.start();
  assert.equal(lost.length, 1);
});

test("a watch is lost when nothing has come for longer than etcd is ever silent", async () => {
  const { revision } = await etcd.range("");
  const lost = new Promise<string>((resolve) => {
    etcd.watch("quiet/", {
      fromRevision: revision + 1,
      onEvents: () => undefined,
      onLost: resolve,
      quietMs: 500,
      signal: new AbortController().signal,
    });
  });
  assert.match(await lost, /the watch has been silent for 500 ms/);
});

test("a watch on a member that hangs is lost when a request there fails", async () => {
  const [one] = cluster.members;
  assert.ok(one);
  const client = first([one]);
  const { revision } = await client.range("");
  const { signal } = new AbortController();
  const onEvents = () => undefined;
  const lost = new Promise<string>((resolve) => {
    client.watch("", { fromRevision: revision + 1, onEvents, onLost: resolve, signal });
  });
  await one.pause();
  await client.get("a", { withinMs: 10_000 });
  assert.match(await lost, /no answer|no connection/);
  one.resume();
});

test("a lease is kept alive across an election", async () => {
  const lease = await etcd.lease.grant(30);
  const leader = await cluster.leader();
  await leader.kill();
  assert.equal(await etcd.lease.keepAlive(lease, { withinMs: 15_000 }), 30);
  leader.start();
});

test("Faults carry what each member said", async () => {
  const client = cluster.client({ endpoints: ["http://127.0.0.1:1"] });
  const error = await client.get("a", { withinMs: 300 }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof Fault);
  assert.match(error.hints.join("\n"), /http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
});
