import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { openJournal } from "../ca/journal.ts";
import { certKey } from "../ca/record.ts";
import { META_KEY } from "../cluster/keys.ts";
import type { CopyVerdict } from "../cluster/status.ts";
import { startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { type Copier, countCopies, judgeOthers, startCopier } from "./copies.ts";

const CLUSTER = "6a6f1b0e-7a55-4b5c-9a55-0d5b5f3f3f01";
const META = JSON.stringify({
  format: 1,
  clusterId: CLUSTER,
  generation: 1,
  createdAt: "2026-11-20T10:00:00Z",
});
const WITHIN = { withinMs: 10_000, everyMs: 5 };

void test("countCopies counts the voters and every server whose own copy has it, each once", () => {
  assert.deepEqual(countCopies(["s1"], ["s1"]), { copies: 1, of: ["s1"] });
  // Signed on a server that doesn't vote: the voter's disk and this one's.
  assert.deepEqual(countCopies(["s1"], ["s2"]), { copies: 2, of: ["s1", "s2"] });
  assert.deepEqual(countCopies(["s1"], ["s2", "s1"]), { copies: 2, of: ["s1", "s2"] });
  // etcd can't say who votes: only copies that were confirmed count.
  assert.deepEqual(countCopies([], ["s2"]), { copies: 1, of: ["s2"] });
  assert.deepEqual(countCopies([], []), { copies: 1, of: [] });
});

void test("countCopies trusts a majority of three voters and more", () => {
  const voters = ["s1", "s2", "s3"];
  assert.deepEqual(countCopies(voters, []), { copies: 2, of: voters });
});

const said = (state: CopyVerdict["state"], because = "") => ({ state, because });

void test("judgeOthers believes the one copy that etcd's record lacks something of", () => {
  const lost = said("refused", "etcd's ends at revision 7, the copy at 9");
  const refused = { is: "refused", whose: "s3", because: lost.because };
  assert.deepEqual(judgeOthers(undefined), { is: "unknown" });
  assert.deepEqual(judgeOthers(new Map()), { is: "same" });
  for (const [first, second, word] of [
    [said("same"), said("same"), { is: "same" }],
    [said("same"), said("unknown"), { is: "unknown" }],
    [said("same"), lost, refused],
    [said("unknown"), lost, refused],
  ] as const) {
    const others = new Map([
      ["s2", first],
      ["s3", second],
    ]);
    assert.deepEqual(judgeOthers(others), word);
  }
});

void test("a server whose whole disk was put back builds on nothing that another's copy is ahead of", async () => {
  const [cluster, restored] = await Promise.all([startEtcdCluster(), startEtcdCluster()]);
  const folder = await mkdtemp(join(tmpdir(), "understudy-copies-"));
  const ended = new AbortController();
  type Said = ReadonlyMap<string, CopyVerdict>;
  const start = async (id: string, etcd: Etcd, others: () => Said, askAgain = async () => {}) =>
    startCopier({
      journal: await openJournal(join(folder, id)),
      etcd,
      node: { id, clusterId: CLUSTER, generation: 1 },
      keeper: { current: () => undefined },
      peers: { call: async () => Promise.reject(new Error("nobody is there")) },
      neighbours: { copies: others, askAgain },
      log: createLog(() => undefined),
      signal: ended.signal,
    });
  const journals: Copier["journal"][] = [];
  try {
    const [newest, older] = [cluster.client(), restored.client()];
    for (const etcd of [newest, older]) {
      await put(etcd, META_KEY, META);
      await put(etcd, certKey("00000001"), "c1");
    }
    const revision = await put(newest, certKey("00000002"), "c2");
    // Its own copy is as old as its etcd, so by itself it finds nothing wrong.
    const copies = new Map<string, CopyVerdict>();
    const asked: (() => void)[] = [];
    const askAgain = async () => asked.shift()?.();
    const s1 = await start("s1", older, () => copies, askAgain);
    journals.push(s1.journal);
    await s1.trust();
    assert.equal(s1.verdict().state, "same");

    const before = await start("s2", newest, () => new Map());
    assert.ok(await before.has(revision));
    await before.journal.close();
    const s2 = await start("s2", older, () => new Map([["s1", s1.verdict()]]));
    journals.push(s2.journal);
    await until("s2's verdict", () => s2.verdict().state === "refused", WITHIN);
    copies.set("s2", s2.verdict());
    await assert.rejects(s1.trust(), (error: Error) => {
      return isFault(error, "ca.record-older") && error.message.includes("s2's copy");
    });
    // What was put right since is known by asking once more.
    asked.push(() => copies.set("s2", said("same")));
    await s1.trust();
  } finally {
    ended.abort();
    for (const journal of journals) await journal.close();
    await Promise.all([cluster.close(), restored.close()]);
    await rm(folder, { recursive: true, force: true });
  }
});

async function put(etcd: Etcd, key: string, value: string): Promise<number> {
  return (await etcd.transact({ when: [], then: [{ put: key, value }] })).revision;
}
