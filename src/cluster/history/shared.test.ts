import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../../base/fault.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../../etcd/testing/cluster.ts";
import type { Etcd } from "../../etcd/types.ts";
import { HISTORY_PREFIX, META_KEY } from "../keys.ts";
import { type Draft, entryKey, entryOf, type HistoryEntry } from "./entry.ts";
import { ENTRIES_AGE_MS, planPrune, pruneEntries, readEntries, sendEntries } from "./shared.ts";

const META = "the record";
const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const MINUTE_MS = 60_000;
/** Ten thousand entries take a busy machine a while. */
const CALM = { withinMs: 60_000 };

let cluster: EtcdTestCluster;
let etcd: Etcd;
before(async () => {
  cluster = await startEtcdCluster();
  etcd = cluster.client();
});
after(async () => cluster.close());
beforeEach(async () => {
  await etcd.transact({
    when: [],
    then: [{ deletePrefix: HISTORY_PREFIX }, { put: META_KEY, value: META }],
  });
});

interface Given {
  member?: string;
  number?: number;
  atMs?: number;
  kind?: Draft["kind"];
  state?: string;
}

function entry({ member = "s1", number = 1, atMs = NOW_MS, kind = "member", state }: Given = {}) {
  const seen = state === undefined ? {} : { seen: { subject: "puppetserver s3", state } };
  return entryOf({ kind, what: `${member} ${number}`, atMs, ...seen }, { member, number });
}

const texts = (entries: readonly HistoryEntry[]) => entries.map(({ what }) => what);
const all = async () => (await readEntries(etcd, { limit: 100 })).entries;

test("sendEntries puts entries once, however often they are sent", async () => {
  const entries = [entry({ number: 1 }), entry({ number: 2, atMs: NOW_MS + 1 })];
  assert.equal(await sendEntries(etcd, META, entries), 2);
  assert.equal(await sendEntries(etcd, META, entries), 2);
  assert.deepEqual(await all(), entries);
});

test("sendEntries sends a long list in parts", async () => {
  const many = Array.from({ length: 95 }, (_, index) => entry({ number: index + 1 }));
  let left = many;
  for (let parts = 0; left.length > 0; parts += 1) {
    assert.ok(parts < 5);
    const upTo = await sendEntries(etcd, META, left);
    left = left.filter(({ number }) => number > upTo);
  }
  assert.equal((await all()).length, 95);
});

test("what several members see is told by one of them, whoever is first", async () => {
  const from = ["s1", "s2", "s3"].map((member, index) =>
    entry({ member, state: "down", atMs: NOW_MS + index * 1000 }),
  );
  await Promise.all(from.map(async (each) => sendEntries(etcd, META, [each])));
  assert.equal((await all()).length, 1);
});

test("a change back and forth is told each time", async () => {
  const states = ["down", "up", "down"];
  for (const member of ["s1", "s2"]) {
    const entries = states.map((state, index) =>
      entry({ member, state, number: index + 1, atMs: NOW_MS + index * 20_000 }),
    );
    await sendEntries(etcd, META, entries);
  }
  assert.deepEqual(texts(await all()), ["s1 1", "s1 2", "s1 3"]);
});

test("a member that was cut off tells later only what nobody has told", async () => {
  await sendEntries(etcd, META, [
    entry({ member: "s1", number: 1, state: "down", atMs: NOW_MS }),
    entry({ member: "s1", number: 2, state: "up", atMs: NOW_MS + 5 * MINUTE_MS }),
  ]);
  await sendEntries(etcd, META, [
    entry({ member: "s2", number: 1, state: "down", atMs: NOW_MS + 2000 }),
    entry({ member: "s2", number: 2, state: "up", atMs: NOW_MS + 5 * MINUTE_MS - 3000 }),
    entry({ member: "s2", number: 3, state: "down", atMs: NOW_MS + 20 * MINUTE_MS }),
  ]);
  assert.deepEqual(texts(await all()), ["s1 1", "s1 2", "s2 3"]);
});

test("sendEntries writes nothing into another record than the view's", async () => {
  await assert.rejects(sendEntries(etcd, "an older generation", [entry()]), (error) =>
    isFault(error, "cluster.other-generation"),
  );
  assert.deepEqual(await all(), []);
});

test("readEntries gives the newest, by time, kind and number, and how many more there are", async () => {
  const entries = Array.from({ length: 30 }, (_, index) =>
    entry({
      number: index + 1,
      atMs: NOW_MS + index * 1000,
      kind: index % 3 === 0 ? "ca" : "etcd",
    }),
  );
  await sendEntries(etcd, META, entries);
  const read = async (query: Omit<Parameters<typeof readEntries>[1], "limit">, limit: number) => {
    const { entries, more } = await readEntries(etcd, { ...query, limit });
    return [entries.map(({ number }) => number), more];
  };
  assert.deepEqual(await read({}, 3), [[28, 29, 30], 27]);
  assert.deepEqual(await read({ sinceMs: NOW_MS + 26_500 }, 10), [[28, 29, 30], 0]);
  assert.deepEqual(await read({ untilMs: NOW_MS + 1000 }, 10), [[1, 2], 0]);
  assert.deepEqual(await read({ kinds: ["ca"] }, 2), [[25, 28], 8]);
  assert.deepEqual(await read({ sinceMs: NOW_MS + 60_000 }, 10), [[], 0]);
});

test("readEntries leaves out what it can't read", async () => {
  await sendEntries(etcd, META, [entry()]);
  const odd = entryKey(entry({ number: 2 }));
  await etcd.transact({ when: [], then: [{ put: odd, value: "no json" }] });
  assert.deepEqual(texts(await all()), ["s1 1"]);
});

test("ten thousand entries and more: the newest are listed, the oldest pruned", async () => {
  const count = 10_300;
  for (let at = 0; at < count; at += 100) {
    const then = Array.from({ length: 100 }, (_, index) => {
      const each = entry({ number: at + index + 1, atMs: NOW_MS + at + index });
      return { put: entryKey(each), value: JSON.stringify(each) };
    });
    await etcd.transact({ when: [], then });
  }
  const { entries, more } = await readEntries(etcd, { limit: 100 }, CALM);
  assert.equal(entries.at(-1)?.number, count);
  assert.equal(more, count - 100);
  assert.equal(await pruneEntries(etcd, NOW_MS), 300);
  const left = await readEntries(etcd, { limit: 20_000 }, CALM);
  assert.equal(left.entries.length, 10_000);
  assert.equal(left.entries[0]?.number, 301);
  assert.equal(await pruneEntries(etcd, NOW_MS), 0);
});

test("planPrune takes what is too old, and a bounded part at one go", () => {
  const keys = [-1, 0, 1].map((days) =>
    entryKey(entry({ atMs: NOW_MS - ENTRIES_AGE_MS + days * 86_400_000 })),
  );
  assert.deepEqual(planPrune(keys, NOW_MS), keys.slice(0, 1));
  const many = Array.from({ length: 50_000 }, (_, index) => entryKey(entry({ number: index + 1 })));
  assert.deepEqual(planPrune(many, NOW_MS), many.slice(0, 2000));
});

test("planPrune takes what a wrong clock has dated ahead, which pushes out nothing else", () => {
  const dated = (days: number, count: number) =>
    Array.from({ length: count }, (_, index) =>
      entryKey(entry({ number: index + 1, atMs: NOW_MS + days * 86_400_000 })),
    );
  const [real, soon, ahead] = [dated(-1, 60), dated(0.9, 1), dated(3650, 40)];
  const most = { most: 61 };
  assert.deepEqual(planPrune([...real, ...soon, ...ahead], NOW_MS, most), ahead);
  // Of a clock that is behind, nearly all is ahead: it stays.
  assert.deepEqual(planPrune([...real, ...soon], NOW_MS - 1000 * 86_400_000, most), []);
});
