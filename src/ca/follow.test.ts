import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { KEY_PREFIX, META_KEY } from "../cluster/keys.ts";
import { startEtcdCluster, type EtcdTestCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { startFollower, type Follower } from "./follow.ts";
import { openJournal, type Journal, type JournalOptions } from "./journal.ts";
import { certKey, requestKey } from "./record.ts";

const CLUSTER = "6a6f1b0e-7a55-4b5c-9a55-0d5b5f3f3f01";
const WITHIN = { withinMs: 10_000, everyMs: 5 };
const meta = (generation: number) =>
  JSON.stringify({ format: 1, clusterId: CLUSTER, generation, createdAt: "2026-11-20T10:00:00Z" });

let cluster: EtcdTestCluster;
let elsewhere: EtcdTestCluster;
let folder: string;
let stops: (() => Promise<void>)[] = [];
before(async () => {
  [cluster, elsewhere] = await Promise.all([startEtcdCluster(), startEtcdCluster()]);
});
after(() => Promise.all([cluster.close(), elsewhere.close()]));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-follow-"));
  for (const one of [cluster, elsewhere]) {
    await one.client().transact({ when: [], then: [{ deletePrefix: KEY_PREFIX }] });
  }
});
afterEach(async () => {
  for (const stop of stops) await stop();
  stops = [];
  await rm(folder, { recursive: true, force: true });
});

interface Following {
  follower: Follower;
  journal: Journal;
  stop(): Promise<void>;
  /** Waits until the copy has `revision`. */
  reaches(revision: number): Promise<void>;
  content(): Promise<Record<string, string>>;
}

/** A follower on the test's journal, as a daemon that has just started has it. */
async function follow(
  etcd: Etcd,
  changes: { generation?: number; journal?: JournalOptions } = {},
): Promise<Following> {
  const journal = await openJournal(join(folder, "journal"), changes.journal);
  const ended = new AbortController();
  const follower = startFollower({
    etcd,
    journal,
    member: { clusterId: CLUSTER, generation: changes.generation ?? 1 },
    onApplied: () => undefined,
    log: createLog(() => undefined),
    signal: ended.signal,
  });
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    ended.abort();
    await follower.ended;
    await journal.close();
  };
  stops.push(stop);
  return {
    follower,
    journal,
    stop,
    reaches: async (revision) => {
      await until("the copy", () => journal.appliedRevision() >= revision, WITHIN);
    },
    async content() {
      const all: Record<string, string> = {};
      for await (const { key, value } of journal.replay()) all[key] = value;
      return all;
    },
  };
}

async function put(etcd: Etcd, key: string, value: string): Promise<number> {
  return (await etcd.transact({ when: [], then: [{ put: key, value }] })).revision;
}

const cert = (number: number) => certKey(`0000000${number}`);

/** Whether nothing may be built on the record, and the copy is what it was. */
async function expectRefused(
  following: Following,
  before: Record<string, string>,
  because: RegExp,
) {
  await until("the verdict", () => following.follower.problem().includes("kept as it is"), WITHIN);
  assert.match(following.follower.problem(), because);
  assert.equal(following.follower.isSame(), false);
  await assert.rejects(following.follower.trust(), (error) => isFault(error, "ca.record-older"));
  assert.deepEqual(await following.content(), before);
}

void test("a record that was wiped or restored from an older copy overwrites nothing here", async () => {
  const etcd = cluster.client();
  await put(etcd, META_KEY, meta(1));
  for (const number of [1, 2]) await put(etcd, cert(number), `c${number}`);
  const revision = await put(etcd, cert(3), "c3");
  const first = await follow(etcd);
  await first.reaches(revision);
  await first.follower.trust();
  const before = await first.content();
  assert.equal(before[cert(3)], "c3");
  await first.stop();

  // Another etcd answers, and there is nothing in it.
  const other = elsewhere.client();
  const wiped = await follow(other);
  await expectRefused(wiped, before, /no record of a cluster/);
  await wiped.stop();
  // It was restored from an older file.
  await put(other, META_KEY, meta(1));
  for (const number of [1, 2]) await put(other, cert(number), `c${number}`);
  const older = await follow(other);
  await expectRefused(older, before, /ends at revision|lacks 1 entries/);
  await older.stop();
  // And writes go on there until its revision is past the copy's.
  for (let at = 0; at < revision + 5; at += 1) await put(other, requestKey("x"), String(at));
  const past = await follow(other);
  await expectRefused(past, before, /lacks 1 entries of the copy, as .*00000003/);
  // With the newest data back, all goes on.
  await put(other, cert(3), "c3");
  await past.stop();
  const again = await follow(other);
  await again.follower.trust();
  await again.reaches(await put(other, cert(4), "c4"));
});

void test("another etcd behind a running daemon is found out when its watch ends", async () => {
  const etcd = cluster.client();
  await put(etcd, META_KEY, meta(1));
  const revision = await put(etcd, cert(1), "c1");
  const other = elsewhere.client();
  await put(other, META_KEY, meta(1));
  await put(other, cert(1), "c1");
  for (let at = 0; at < revision + 5; at += 1) await put(other, requestKey("x"), String(at));
  let now = etcd;
  let lose = () => {};
  const changing: Etcd = {
    ...etcd,
    range: (...args) => now.range(...args),
    pages: (...args) => now.pages(...args),
    transact: (...args) => now.transact(...args),
    watch(prefix, options) {
      lose = () => options.onLost("restarted", false);
      now.watch(prefix, options);
    },
  };
  const following = await follow(changing);
  await following.reaches(await put(etcd, cert(2), "c2"));
  const before = await following.content();
  now = other;
  lose();
  await expectRefused(following, before, /has another change at revision/);
});

void test("a recovered record of a newer generation replaces the copy of the one before", async () => {
  const etcd = cluster.client();
  await put(etcd, META_KEY, meta(1));
  const first = await follow(etcd);
  await first.reaches(await put(etcd, cert(1), "c1"));
  await first.stop();
  await etcd.transact({ when: [], then: [{ deletePrefix: KEY_PREFIX }] });
  const revision = await put(etcd, META_KEY, meta(2));
  const second = await follow(etcd, { generation: 2 });
  await second.follower.trust();
  await second.reaches(revision);
  assert.deepEqual(await second.content(), { [META_KEY]: meta(2) });
});

void test("a copy of an older generation counts for nothing until it is replaced", async () => {
  const etcd = cluster.client();
  const revision = await put(etcd, META_KEY, meta(2));
  const journal = await openJournal(join(folder, "journal"));
  const past = revision + 1000;
  await journal.rewrite([{ key: META_KEY, value: meta(1), revision: past }], past);
  await journal.close();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const held: Etcd = {
    ...etcd,
    async *pages(prefix, options) {
      // What is written is read as of a revision.
      if (options?.revision !== undefined) await released;
      yield* etcd.pages(prefix, options);
    },
  };
  const following = await follow(held, { generation: 2 });
  // Before it is stopped, which waits for what it reads.
  stops.push(async () => release());
  stops.reverse();
  await following.follower.trust();
  assert.ok(following.journal.appliedRevision() > revision);
  assert.equal(following.follower.isSame(), false);
  release();
  await until("the copy", () => following.follower.isSame(), WITHIN);
  assert.deepEqual(await following.content(), { [META_KEY]: meta(2) });
});

void test("a watch that was lost goes on where it ended, without reading all anew", async () => {
  const etcd = cluster.client();
  await put(etcd, META_KEY, meta(1));
  let whole = 0;
  let lose = () => {};
  let hold = () => {};
  const counted: Etcd = {
    ...etcd,
    pages: (prefix, options) => {
      if (prefix === KEY_PREFIX) whole += 1;
      return etcd.pages(prefix, options);
    },
    watch(prefix, options) {
      const ended = new AbortController();
      hold = () => ended.abort();
      lose = () => options.onLost("cut", false);
      etcd.watch(prefix, { ...options, signal: AbortSignal.any([options.signal, ended.signal]) });
    },
  };
  const following = await follow(counted);
  await following.reaches(await put(etcd, cert(1), "c1"));
  hold();
  await put(etcd, cert(2), "c2");
  const revision = await put(etcd, cert(1), "changed");
  lose();
  await following.reaches(revision);
  assert.equal(whole, 1);
  assert.deepEqual(await following.content(), {
    [META_KEY]: meta(1),
    [cert(1)]: "changed",
    [cert(2)]: "c2",
  });
  // History that was compacted meanwhile: all is read anew.
  hold();
  await put(etcd, cert(3), "c3");
  const newest = await put(etcd, cert(4), "c4");
  await etcd.compact(newest);
  lose();
  await following.reaches(newest);
  assert.equal(whole, 3, "to be compared, then to be written");
  assert.equal(following.follower.problem(), "");
});

void test("a copy that can't be written says so, doesn't count, and leaves no gap", async () => {
  const etcd = cluster.client();
  await put(etcd, META_KEY, meta(1));
  const following = await follow(etcd, { journal: { bytesMax: 4096 } });
  const fits = await put(etcd, cert(1), "c1");
  await following.reaches(fits);
  await Promise.all([put(etcd, cert(2), "x".repeat(5000)), put(etcd, cert(3), "c3")]);
  await until(
    "the problem",
    () => following.follower.problem().includes("can't be written"),
    WITHIN,
  );
  assert.equal(following.journal.appliedRevision() < fits + 2, true);
  // The record is still the right one: signing goes on, with one copy less.
  await following.follower.trust();
  const revision = (await etcd.transact({ when: [], then: [{ delete: cert(2) }] })).revision;
  await following.reaches(revision);
  assert.deepEqual(
    Object.keys(await following.content()).sort(),
    [cert(1), cert(3), META_KEY].sort(),
  );
});

void test("a follower that is started anew goes on where its copy ends, without reading all", async () => {
  const etcd = cluster.client();
  await put(etcd, META_KEY, meta(1));
  let whole = 0;
  const counted: Etcd = {
    ...etcd,
    pages: (prefix, options) => {
      if (prefix === KEY_PREFIX) whole += 1;
      return etcd.pages(prefix, options);
    },
  };
  const restart = async (act: () => Promise<number>, expected: number) => {
    const revision = await act();
    const following = await follow(counted);
    await following.follower.trust();
    await following.reaches(revision);
    await following.stop();
    const there = await etcd.range(KEY_PREFIX);
    assert.deepEqual(
      await readBack(),
      Object.fromEntries(there.kvs.map(({ key, value }) => [key, value])),
    );
    assert.equal(whole, expected);
  };
  const readBack = async () => {
    const journal = await openJournal(join(folder, "journal"));
    const all: Record<string, string> = {};
    for await (const { key, value } of journal.replay()) all[key] = value;
    await journal.close();
    return all;
  };
  const remove = async (key: string) =>
    (await etcd.transact({ when: [], then: [{ delete: key }] })).revision;
  // Nothing is there yet that it would have to be compared with.
  await restart(() => put(etcd, cert(1), "c1"), 1);
  await restart(() => put(etcd, cert(2), "c2"), 1);
  await restart(() => remove(cert(1)), 1);
  // The copy ends with a deletion: that is in etcd's history too.
  await restart(() => put(etcd, cert(3), "c3"), 1);
  // History that is gone can't be gone on from.
  await restart(async () => {
    await put(etcd, requestKey("x"), "1");
    const revision = await put(etcd, requestKey("x"), "2");
    await etcd.compact(revision);
    return revision;
  }, 3);
});

void test("a follower that is started anew finds another etcd out by the change that its copy ends with", async () => {
  const etcd = cluster.client();
  const other = elsewhere.client();
  for (const one of [etcd, other]) {
    await put(one, META_KEY, meta(1));
    await put(one, cert(1), "c1");
  }
  const gone = await put(etcd, requestKey("never in the other"), "1");
  for (let at = 0; at < gone + 5; at += 1) await put(other, requestKey("x"), String(at));
  const first = await follow(etcd);
  await first.reaches(await put(etcd, cert(2), "c2"));
  const before = await first.content();
  await first.stop();
  const second = await follow(other);
  await expectRefused(second, before, /lacks 1 entries of the copy/);
});
