// The client against one real etcd.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { createEtcd } from "./client.ts";
import { PAGE_KEYS_MAX } from "./read.ts";
import { startEtcdCluster, type EtcdTestCluster } from "./testing/cluster.ts";
import type { Etcd, WatchEvent } from "./types.ts";

let cluster: EtcdTestCluster;
let etcd: Etcd;

before(async () => {
  cluster = await startEtcdCluster();
  etcd = cluster.client();
});

after(() => cluster.close());

/** Many are made at once, on a machine that may be busy. */
const PUT_MS_MAX = 60_000;
const put = (key: string, value: string) =>
  etcd.transact({ when: [], then: [{ put: key, value }] }, { withinMs: PUT_MS_MAX });

const metrics = async () => (await fetch(`${cluster.endpoints[0]}/metrics`)).text();

test("get and transact: each compare holds and fails as it should", async () => {
  const absent = { key: "k", is: "absent" } as const;
  const first = await etcd.transact({ when: [absent], then: [{ put: "k", value: "grüße" }] });
  assert.equal(first.ok, true);
  const kv = await etcd.get("k");
  assert.deepEqual(kv, {
    key: "k",
    value: "grüße",
    createRevision: first.revision,
    modRevision: first.revision,
    version: 1,
    lease: "0",
  });
  const again = await etcd.transact({
    when: [absent],
    then: [{ put: "k", value: "other" }],
    otherwise: [{ get: "k" }, { get: "nowhere" }, { range: "k" }],
  });
  assert.deepEqual(again, { ok: false, revision: first.revision, reads: [[kv], [], [kv]] });
  const holds = async (when: Parameters<Etcd["transact"]>[0]["when"]) =>
    (await etcd.transact({ when, then: [{ get: "k" }] })).ok;
  assert.equal(await holds([{ key: "k", is: "present" }]), true);
  assert.equal(await holds([{ key: "nowhere", is: "present" }]), false);
  assert.equal(await holds([{ key: "k", modRevision: first.revision }]), true);
  assert.equal(await holds([{ key: "k", modRevision: first.revision + 1 }]), false);
  assert.equal(await holds([{ key: "k", createRevision: first.revision }]), true);
  assert.equal(await holds([{ key: "k", value: "grüße" }]), true);
  assert.equal(await holds([{ key: "k", value: "grüße" }, absent]), false);
  await etcd.transact({ when: [], then: [{ delete: "k" }] });
  assert.equal(await etcd.get("k"), undefined);
});

test("range gives all pages at one revision, however many are written meanwhile", async () => {
  const total = PAGE_KEYS_MAX + 1500;
  const name = (index: number) => `page/${String(index).padStart(6, "0")}`;
  for (let from = 0; from < total; from += 2000) {
    const count = Math.min(2000, total - from);
    const then = Array.from({ length: count }, (_, index) => ({
      put: name(from + index),
      value: String(from + index),
    }));
    await etcd.transact({ when: [], then });
  }
  await put("pagf", "beside");
  const reading = etcd.range("page/");
  const writing = put("page/zzz", "later");
  const { revision, kvs } = await reading;
  await writing;
  const inTime = kvs.filter((kv) => kv.key !== "page/zzz");
  assert.equal(inTime.length, total);
  assert.deepEqual(inTime.at(-1)?.key, name(total - 1));
  assert.ok(kvs.every((kv) => kv.modRevision <= revision));
  const limit = PAGE_KEYS_MAX + 200;
  const past = await etcd.range("page/", { revision, keysOnly: true, limit });
  assert.equal(past.kvs.length, limit);
  assert.equal(past.kvs[0]?.value, "");
  await etcd.transact({ when: [], then: [{ deletePrefix: "page/" }] });
  assert.equal((await etcd.range("page/")).kvs.length, 0);
});

test("pages are all of one revision; one at least, and none after whoever has seen enough", async () => {
  const total = PAGE_KEYS_MAX * 2 + 1;
  const then = Array.from({ length: total }, (_, index) => ({
    put: `many/${String(index).padStart(6, "0")}`,
    value: "x",
  }));
  const { revision } = await etcd.transact({ when: [], then });
  const sizes: number[] = [];
  for await (const page of etcd.pages("many/")) {
    assert.equal(page.revision, revision);
    sizes.push(page.kvs.length);
    await put(`many/later-${sizes.length}`, "later");
  }
  assert.deepEqual(sizes, [PAGE_KEYS_MAX, PAGE_KEYS_MAX, 1]);
  for await (const page of etcd.pages("many/")) {
    assert.equal(page.kvs.length, PAGE_KEYS_MAX);
    break;
  }
  const nothing: number[] = [];
  for await (const page of etcd.pages("nowhere/")) nothing.push(page.kvs.length);
  assert.deepEqual(nothing, [0]);
  await etcd.transact({ when: [], then: [{ deletePrefix: "many/" }] });
});

test("values of 2 MB go in and out; larger than etcd takes is Fault etcd.refused", async () => {
  const big = "0123456789abcdef".repeat(131_072);
  await put("big", big);
  assert.equal((await etcd.get("big"))?.value, big);
  await assert.rejects(put("big", big.repeat(5)), (error) => isFault(error, "etcd.refused"));
  await etcd.transact({ when: [], then: [{ delete: "big" }] });
});

test("watch hears what comes after the revision it was given, and nothing of others", async () => {
  const { revision } = await put("w/a", "1");
  const heard: WatchEvent[] = [];
  const stop = new AbortController();
  const onLost = (why: string) => assert.fail(why);
  etcd.watch("w/", {
    fromRevision: revision + 1,
    onEvents: (events) => heard.push(...events),
    onLost,
    signal: stop.signal,
  });
  await put("w/b", "2");
  await put("x", "3");
  await etcd.transact({ when: [], then: [{ delete: "w/a" }, { put: "w/c", value: "4" }] });
  await until("events", () => heard.length >= 3, { withinMs: 5000, everyMs: 10 });
  const shown = heard.map(({ type, kv }) => `${type} ${kv.key} ${kv.value}`.trim());
  assert.deepEqual(shown.toSorted(), ["delete w/a", "put w/b 2", "put w/c 4"]);
  stop.abort();
});

test("watch with a backlog says with each message how far it has come, and no further", async () => {
  const first = await put("b/0", "x");
  const keys = Array.from({ length: 1050 }, (_, index) => `b/${index + 1}`);
  for (let at = 0; at < keys.length; at += 150) {
    await Promise.all(keys.slice(at, at + 150).map((key) => put(key, "x")));
  }
  const told: { upTo: number; last: number }[] = [];
  const seen = new Set<string>();
  const stop = new AbortController();
  etcd.watch("b/", {
    fromRevision: first.revision,
    signal: stop.signal,
    onEvents(events, upTo) {
      for (const { kv } of events) seen.add(kv.key);
      told.push({ upTo, last: events.at(-1)?.kv.modRevision ?? 0 });
    },
    onLost: (why) => assert.fail(why),
  });
  await until("every change", () => seen.size === 1051, { withinMs: 60_000, everyMs: 5 });
  stop.abort();
  assert.ok(told.length > 1, "etcd sends a backlog in several messages");
  for (const { upTo, last } of told) assert.equal(upTo, last);
});

test("watch from a compacted revision is lost, and says so", async () => {
  await put("c", "1");
  const { revision } = await put("c", "2");
  await etcd.compact(revision);
  await etcd.compact(revision);
  const lost = await new Promise((resolve) => {
    const onEvents = () => assert.fail("history that is gone");
    const onLost = (_: string, compacted: boolean) => resolve({ compacted });
    const { signal } = new AbortController();
    etcd.watch("c", { fromRevision: 2, onEvents, onLost, signal });
  });
  assert.deepEqual(lost, { compacted: true });
  await assert.rejects(etcd.range("c", { revision: 2 }), (error) =>
    isFault(error, "etcd.compacted"),
  );
});

test("a lease carries its keys away; keepAlive says what is left, or 0", async () => {
  const lease = await etcd.lease.grant(60);
  await etcd.transact({ when: [], then: [{ put: "l", value: "1", lease }] });
  assert.equal((await etcd.get("l"))?.lease, lease);
  assert.equal(await etcd.lease.keepAlive(lease), 60);
  await etcd.lease.revoke(lease);
  assert.equal(await etcd.get("l"), undefined);
  assert.equal(await etcd.lease.keepAlive(lease), 0);
  await etcd.lease.revoke(lease);
});

test("status, alarms, defragment and members speak of the one member", async () => {
  const [endpoint = ""] = cluster.endpoints;
  const status = await etcd.status(endpoint);
  assert.equal(status.leaderId, status.memberId);
  assert.equal(status.version.split(".")[0], "3");
  assert.ok(status.dbSizeBytes >= status.dbSizeInUseBytes && status.dbSizeInUseBytes > 0);
  assert.deepEqual(await etcd.alarms(), []);
  await etcd.defragment(endpoint);
  const members = await etcd.members.list();
  assert.deepEqual(
    members.map(({ id, name, learner }) => ({ id, name, learner })),
    [{ id: status.memberId, name: "m1", learner: false }],
  );
});

test("members.list asks nothing else of a member that has come as far as is wanted", async () => {
  const reads = async () => {
    const text = await metrics();
    const ofRanges = text
      .split("\n")
      .filter((line) => /^grpc_server_handled_total.*"Range"/.test(line));
    return ofRanges.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  };
  const { revision } = await put("m", "1");
  const before = await reads();
  const members = await etcd.members.list({ asOf: revision });
  assert.equal(await reads(), before);
  assert.deepEqual(members, await etcd.members.list({ asOf: revision + 1 }));
  assert.equal(await reads(), before + 1, "nobody is known to have come that far");
});

test("snapshot writes a whole database with its checksum", async () => {
  const path = join(cluster.folder, "snapshot.db");
  const { bytes } = await etcd.snapshot(cluster.endpoints[0] ?? "", path);
  const file = await readFile(path);
  assert.equal(file.length, bytes);
  const sum = createHash("sha256").update(file.subarray(0, -32)).digest();
  assert.deepEqual(file.subarray(-32), sum);
});

test("what isn't etcd is Fault etcd.unreachable or etcd.garbled, never a hang", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const body = '{"hello":"world"}';
    socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n${body}`));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const other = createEtcd({ endpoints: [url], tls: undefined, attemptMs: 200 });
  await assert.rejects(other.get("a"), (error) => isFault(error, "etcd.garbled"));
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(other.get("a", { withinMs: 300 }), (error) =>
    isFault(error, "etcd.unreachable"),
  );
  other.close();
});

test("a request that its caller gives up is Fault etcd.aborted", async () => {
  const signal = AbortSignal.abort();
  await assert.rejects(etcd.get("a", { signal }), (error) => isFault(error, "etcd.aborted"));
});

test("watches below a shared prefix come over one connection, and each hears all that is its own", async () => {
  const sharing = cluster.client({ sharedPrefix: "s/" });
  const streams = async () => {
    const text = await metrics();
    return Number(/^etcd_debugging_mvcc_watch_stream_total (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  const before = await streams();
  const { revision } = await put("s/a", "0");
  const stops = [new AbortController(), new AbortController(), new AbortController()];
  const heard = stops.map(({ signal }, index) => {
    const values: string[] = [];
    sharing.watch(index === 0 ? "s/a" : "s/", {
      fromRevision: revision + 1,
      onEvents: (events) => values.push(...events.map(({ kv }) => kv.value)),
      onLost: (why) => assert.fail(why),
      signal,
    });
    return values;
  });
  const all = (count: number) => () => heard[2]?.length === count && heard[1]?.length === count;
  await put("s/a", "1");
  await put("s/b", "2");
  await until("the first events", all(2), { withinMs: 5000, everyMs: 5 });
  await until("one connection", async () => (await streams()) === before + 1, { withinMs: 5000 });
  stops[2]?.abort();
  await put("s/a", "3");
  await until("the rest", () => heard[1]?.length === 3 && heard[0]?.length === 2, {
    withinMs: 5000,
    everyMs: 5,
  });
  assert.deepEqual(heard, [
    ["1", "3"],
    ["1", "2", "3"],
    ["1", "2"],
  ]);
  stops[0]?.abort();
  stops[1]?.abort();
  await until("no connection", async () => (await streams()) === before, { withinMs: 5000 });
});
