import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { KEY_PREFIX, META_KEY, SETTINGS_KEY } from "../../cluster/keys.ts";
import type { Etcd, KeyValue } from "../../etcd/types.ts";
import { Fault } from "../../base/fault.ts";
import { openJournal, type Journal } from "../journal.ts";
import { readCopy, readSnapshot, type Snapshot } from "./snapshot.ts";
import { agentRequest, startFleet, type Fleet } from "../testing/fleet.ts";

const CLUSTER = "00000000-0000-4000-8000-000000000000";
const member = { clusterId: CLUSTER, generation: 1 };

let fleet: Fleet;
let folder: string;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(async () => {
  await fleet.reset();
  folder = await mkdtemp(join(fleet.folder, "snapshot-"));
});

function meta(generation: number, clusterId = CLUSTER): string {
  return JSON.stringify({ format: 1, clusterId, generation, createdAt: "2026-11-20T10:00:00Z" });
}

/** A record with `a.test` signed, and this server's copy of it. */
async function cluster(): Promise<{
  etcd: Etcd;
  journal: Journal;
  sign: (name: string) => Promise<void>;
}> {
  const one = await fleet.server("s1");
  const { etcd } = one;
  const settings = JSON.stringify({ sharedName: "puppet.lab.test" });
  await etcd.transact({
    when: [],
    then: [
      { put: META_KEY, value: meta(1) },
      { put: SETTINGS_KEY, value: settings },
    ],
  });
  const sign = async (name: string) => {
    fleet.settings.autosign = true;
    await one.ca.submit({ pem: await agentRequest(name), key: name });
  };
  await sign("a.test");
  const journal = await openJournal(folder);
  await copy(etcd, journal);
  return { etcd, journal, sign };
}

async function copy(etcd: Etcd, journal: Journal): Promise<void> {
  const { kvs, revision } = await etcd.range(KEY_PREFIX);
  await journal.rewrite(kvs.map(eventOf), revision);
}

function eventOf({ key, value, modRevision }: KeyValue) {
  return { key, value, revision: modRevision };
}

async function snapshotOf(etcd: Etcd): Promise<Snapshot> {
  return readSnapshot({ etcd, journal: folder, member });
}

function namesIn({ mirror }: Snapshot): string[] {
  return [...mirror.tables.names.names()].sort();
}

const away = (etcd: Etcd): Etcd => ({
  ...etcd,
  get: () => Promise.reject(new Fault("etcd.no-quorum", "1 of 3 members answers")),
});

void test("readSnapshot reads etcd's record, also what the copy hasn't got yet", async () => {
  const { etcd, journal, sign } = await cluster();
  await sign("b.test");
  const snapshot = await snapshotOf(etcd);
  assert.deepEqual(namesIn(snapshot), ["a.test", "b.test"]);
  assert.deepEqual([snapshot.source, snapshot.because], ["etcd", ""]);
  assert.equal(snapshot.settings.sharedName, "puppet.lab.test");
  assert.ok(snapshot.revision > journal.appliedRevision());
  await journal.close();
});

void test("readSnapshot takes this server's own copy while etcd can't be asked, and says why", async () => {
  const { etcd, journal, sign } = await cluster();
  const revision = journal.appliedRevision();
  await sign("b.test");
  const snapshot = await snapshotOf(away(etcd));
  assert.deepEqual(namesIn(snapshot), ["a.test"]);
  assert.deepEqual([snapshot.source, snapshot.revision], ["copy", revision]);
  assert.match(snapshot.because, /1 of 3 members answers/);
  await journal.close();
});

void test("readSnapshot takes the copy where etcd has lost what that has", async () => {
  const { etcd, journal, sign } = await cluster();
  await sign("b.test");
  await copy(etcd, journal);
  const { kvs } = await etcd.range(KEY_PREFIX);
  const lost = kvs.filter(({ key, value }) => key.includes("/cert/") && value.includes("b.test"));
  assert.equal(lost.length, 1);
  // As a data directory that was restored from an older file, which others have written to since.
  await etcd.transact({ when: [], then: lost.map(({ key }) => ({ delete: key })) });
  const snapshot = await snapshotOf(etcd);
  assert.deepEqual(namesIn(snapshot), ["a.test", "b.test"]);
  assert.equal(snapshot.source, "copy");
  assert.match(snapshot.because, /lacks 1 entries of the copy/);
  await etcd.transact({ when: [], then: [{ put: META_KEY, value: meta(1, crypto.randomUUID()) }] });
  assert.equal((await snapshotOf(etcd)).source, "copy");
  await journal.close();
});

void test("readSnapshot takes no copy of a generation that has ended", async () => {
  const { etcd, journal } = await cluster();
  await etcd.transact({ when: [], then: [{ put: META_KEY, value: meta(2) }] });
  await assert.rejects(snapshotOf(etcd), { code: "cluster.other-generation" });
  await journal.close();
});

void test("readSnapshot throws etcd's fault where there is no copy", async () => {
  const { etcd, journal } = await cluster();
  await journal.close();
  await rm(folder, { recursive: true });
  assert.equal((await snapshotOf(etcd)).source, "etcd");
  await assert.rejects(snapshotOf(away(etcd)), { code: "etcd.no-quorum" });
});

void test("readCopy sees one state while the journal is written and folded", async () => {
  const journal = await openJournal(folder, { foldAboveBytes: 20_000 });
  const key = `${KEY_PREFIX}x`;
  let written = 0;
  const stop = new AbortController();
  const writing = (async () => {
    while (!stop.signal.aborted) {
      written += 1;
      const value = String(written);
      // Both keys change together, in each batch.
      const events = [key, `${key}y`].map((each) => ({ key: each, value, revision: written }));
      await journal.append(events, written);
    }
  })();
  for (let looks = 0; looks < 50; looks += 1) {
    const least = journal.appliedRevision();
    const seen = new Map<string, string | null>();
    const begin = () => {
      seen.clear();
      return {
        take: (event: { key: string; value: string | null }) => seen.set(event.key, event.value),
      };
    };
    const { revision } = await readCopy(folder, begin);
    assert.ok(revision >= least, `${revision} is behind ${least}`);
    assert.deepEqual(
      [...seen.values()],
      revision === 0 ? [] : [String(revision), String(revision)],
    );
  }
  stop.abort();
  await writing;
  await journal.close();
});
