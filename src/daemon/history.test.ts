import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { entryOf, type HistoryEntry } from "../cluster/history/entry.ts";
import { readEntries, sendEntries } from "../cluster/history/shared.ts";
import { META_KEY } from "../cluster/keys.ts";
import type { LocalStatus } from "../cluster/status.ts";
import { judge, local, three } from "../cluster/testing/status.ts";
import { NO_WORK } from "../cluster/work.ts";
import type { View } from "../cluster/view.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import { decideStart, type History, openHistory } from "./history.ts";

const META = "the record";
const SOON = { withinMs: 30_000, everyMs: 50 };

let cluster: EtcdTestCluster;
let etcd: Etcd;
let folder: string;
let stop: AbortController;
beforeEach(async () => {
  cluster = await startEtcdCluster();
  etcd = cluster.client();
  await etcd.transact({ when: [], then: [{ put: META_KEY, value: META }] });
  folder = await mkdtemp(join(tmpdir(), "understudy-history-"));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await cluster.close();
  // Its writing may still go on.
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** The history of the member `id`, with what it can see in `world`. */
async function member(id: string) {
  const { settings, meta } = judge(three());
  const members = three().map((each) => each.member);
  const world: { local: LocalStatus; view: View; reachable: boolean; clockIsRight: boolean } = {
    local: local(id),
    view: { revision: 1, work: NO_WORK, meta, metaText: META, settings, members, etcdMembers: [] },
    reachable: true,
    clockIsRight: true,
  };
  const history = await openHistory({
    id,
    folder: join(folder, id),
    etcd,
    keeper: {
      current: () => world.view,
      record: () => ({ reachable: world.reachable, because: "", ageMs: 0, ageIsMost: false }),
      onChange: () => undefined,
    },
    log: createLog(() => undefined),
    signal: stop.signal,
  });
  const loops = history.start({
    ready: () => true,
    leads: () => id === "s1",
    clockIsRight: () => world.clockIsRight,
    hint: () => JSON.stringify(world.local.addresses),
    look: async () => ({ local: world.local, leads: false, answering: new Map() }),
  });
  const look = async () => {
    const before = loops[0]?.last()?.endedMs ?? 0;
    loops[0]?.wake();
    await until("a look", () => (loops[0]?.last()?.endedMs ?? 0) > before, SOON);
  };
  return { history, world, look, send: () => loops[2]?.wake() };
}

const whats = (entries: readonly HistoryEntry[]) => entries.map(({ what }) => what);
const shared = async () => whats((await readEntries(etcd, { limit: 100 })).entries);
const own = (history: History) => whats(history.own());
const holdsNoMore = "s1 holds 10.0.0.10 no more";

test("a change is in this member's file at once, and in the record soon", async () => {
  const { history, world, look, send } = await member("s1");
  await look();
  world.local = { ...world.local, addresses: [] };
  await look();
  assert.ok(own(history).includes(holdsNoMore));
  send();
  await until("the record has it", async () => (await shared()).includes(holdsNoMore), SOON);
  await until("nothing waits", () => history.waiting() === 0, SOON);
});

test("what happens while the record is out of reach is told when it is back, in its order", async () => {
  const { history, world, look, send } = await member("s1");
  await look();
  await cluster.members[0]?.stop();
  world.reachable = false;
  world.local = { ...world.local, addresses: [] };
  await look();
  history.note({ kind: "command", what: "removed s9", by: "root (alice)" });
  const found = await history.read({ limit: 10 });
  assert.notEqual(found.because, "");
  assert.deepEqual(whats(found.entries).slice(-2), [holdsNoMore, "removed s9"]);
  cluster.members[0]?.start();
  world.reachable = true;
  const arrives = async () => {
    send();
    return (await shared().catch((): string[] => [])).includes("removed s9");
  };
  await until("the record has it", arrives, SOON);
  assert.deepEqual((await shared()).slice(-2), [holdsNoMore, "removed s9"]);
  assert.deepEqual((await history.read({ limit: 10 })).because, "");
});

test("what waits to come into the record counts among what is left out, too", async () => {
  const { history, world, send } = await member("s1");
  send();
  await until("nothing waits", () => history.waiting() === 0, SOON);
  world.reachable = false;
  history.note({ kind: "command", what: "removed s8", by: "root" });
  history.note({ kind: "command", what: "removed s9", by: "root" });
  const all = await history.read({ limit: 100 });
  const found = await history.read({ limit: 1 });
  assert.deepEqual(whats(found.entries), ["removed s9"]);
  assert.deepEqual([all.more, found.more], [0, all.entries.length - 1]);
});

test("what a wrong clock has dated years ahead isn't the newest; who asks for it has it", async () => {
  const { history, world } = await member("s2");
  const atMs = Math.round(wallMs() + 3650 * 86_400_000);
  const ahead = entryOf({ kind: "daemon", what: "from 2036", atMs }, { member: "s3", number: 1 });
  const real = entryOf(
    { kind: "daemon", what: "now", atMs: wallMs() },
    { member: "s3", number: 2 },
  );
  await sendEntries(etcd, META, [ahead, real]);
  const read = async (query: { untilMs?: number }) => {
    const { entries, because } = await history.read({ ...query, limit: 1 });
    assert.equal(because, "");
    return whats(entries);
  };
  assert.notDeepEqual(await read({}), ["from 2036"]);
  assert.deepEqual(await read({ untilMs: atMs }), ["from 2036"]);
  // A server whose clock fell back by years: to it, all that happens is dated ahead.
  world.clockIsRight = false;
  assert.deepEqual(await read({}), ["from 2036"]);
});

test("a daemon that was killed goes on where it was: nothing lost, nothing twice", async () => {
  const first = await member("s1");
  await first.look();
  first.world.reachable = false;
  first.history.note({ kind: "command", what: "removed s9" });
  const file = join(folder, "s1", "entries");
  const isKept = async () => (await readFile(file, "utf8")).includes("removed s9");
  await until("it is on disk", isKept, SOON);
  const second = await member("s1");
  second.world.local = { ...second.world.local, addresses: [] };
  await second.look();
  assert.ok(own(second.history).includes(holdsNoMore), "it is told from what was known before");
  second.send();
  await until("all is sent", () => second.history.waiting() === 0, SOON);
  const told = await shared();
  assert.equal(told.filter((what) => what === "removed s9").length, 1);
  const numbers = second.history.own().map(({ number }) => number);
  assert.equal(new Set(numbers).size, numbers.length);
});

test("evidence is of the time that is asked for", async () => {
  const { history } = await member("s1");
  history.note({ kind: "command", what: "one" });
  const [last] = history.own().slice(-1);
  assert.ok(last);
  const acts = [{ loop: "edge", do: "reload", because: "x", atMs: 1, lastMs: 1, times: 1 }];
  const found = history.evidence({ sinceMs: last.atMs }, acts);
  assert.equal(found.member, "s1");
  assert.deepEqual(whats(found.entries).slice(-1), ["one"]);
  assert.deepEqual(found.acts, acts);
  assert.deepEqual(history.evidence({ sinceMs: last.atMs + 1 }, acts).entries, []);
});

test("who listens hears of the start too, once, and of all that comes", async () => {
  const { history } = await member("s1");
  const heard: string[] = [];
  history.onEntry(({ what }) => heard.push(what));
  history.note({ kind: "work", what: "s2 is drained" });
  history.onEntry(({ what }) => heard.push(`second: ${what}`));
  assert.match(heard[0] ?? "", /^s1's daemon starts/);
  assert.deepEqual(heard.slice(1), ["s2 is drained"]);
});

test("close tells of revocations that may go on: nobody else may have seen them", async () => {
  const { history, world, look } = await member("s1");
  const ca = { ...world.local.ca!, crlNumber: 4, revocations: 1 };
  world.local = { ...world.local, ca };
  await look();
  world.local = { ...world.local, ca: { ...ca, crlNumber: 5, revocations: 2 } };
  await look();
  assert.ok(!own(history).some((what) => what.includes("revoked")));
  await history.close();
  assert.ok(own(history).includes("1 certificate revoked (CRL 5)"));
});

test("close tells that the daemon stops, and the next start knows it", async () => {
  const { history } = await member("s1");
  await history.close();
  const [start, end] = own(history);
  assert.match(start ?? "", /^s1's daemon starts/);
  assert.equal(end, "s1's daemon stops");
  assert.equal((await shared()).at(-1), end);
});

const life = (what: string, agoMs: number, nowMs: number) =>
  entryOf({ kind: "daemon", what, atMs: nowMs - agoMs }, { member: "s1", number: 1 });

test("decideStart says when the one before was killed, and doesn't tell endless restarts", () => {
  const nowMs = 1_000_000_000;
  const starts = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      life("s1's daemon starts (1)", index * 1000, nowMs),
    );
  const stopped = [
    life("s1's daemon starts (1)", 9000, nowMs),
    life("s1's daemon stops", 5, nowMs),
  ];
  assert.equal(decideStart([], "s1", nowMs)?.because, "");
  assert.equal(decideStart(stopped, "s1", nowMs)?.because, "");
  assert.match(decideStart(starts(1), "s1", nowMs)?.because ?? "", /^the one before ended without/);
  assert.match(decideStart(starts(7), "s1", nowMs)?.because ?? "", /further starts aren't told/);
  assert.equal(decideStart(starts(8), "s1", nowMs), undefined);
  assert.notEqual(decideStart(starts(8), "s1", nowMs + 3_600_000), undefined);
});
