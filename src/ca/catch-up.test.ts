import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { pause, until } from "../base/retry.ts";
import { KEY_PREFIX } from "../cluster/keys.ts";
import { startEtcdCluster, type EtcdTestCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { catchUp } from "./catch-up.ts";
import { openJournal, type CopyEnd } from "./journal.ts";
import { Mirror } from "./mirror.ts";
import { encodeValue, requestKey } from "./record.ts";
import { agentRequest, startFleet } from "./testing/fleet.ts";

let cluster: EtcdTestCluster;
let elsewhere: EtcdTestCluster;
let etcd: Etcd;
before(async () => {
  [cluster, elsewhere] = await Promise.all([startEtcdCluster(), startEtcdCluster()]);
  etcd = cluster.client();
});
after(() => Promise.all([cluster.close(), elsewhere.close()]));
beforeEach(async () => {
  await etcd.transact({ when: [], then: [{ deletePrefix: KEY_PREFIX }] });
});

const valueOf = (pem: string) => encodeValue({ id: "x", pem, at: "2026-11-20T10:00:00.000Z" });

async function put(etcd: Etcd, name: string, pem = "1"): Promise<number> {
  const key = requestKey(name);
  return (await etcd.transact({ when: [], then: [{ put: key, value: valueOf(pem) }] })).revision;
}

async function remove(name: string): Promise<number> {
  return (await etcd.transact({ when: [], then: [{ delete: requestKey(name) }] })).revision;
}

/** Memory as a copy of what etcd has now would fill it. */
async function copied(): Promise<{ mirror: Mirror; end: CopyEnd }> {
  const { kvs, revision } = await etcd.range(KEY_PREFIX);
  const mirror = new Mirror();
  mirror.apply(kvs);
  const last = kvs.find(({ modRevision }) => modRevision === revision);
  const newest = last && { key: last.key, value: last.value, revision };
  return { mirror, end: { revision, newest } };
}

/** All that `mirror` has, as text. */
function contentOf(mirror: Mirror): string[] {
  return [...mirror.tables.requests.rows()].map(({ certname, pem }) => `${certname} ${pem}`).sort();
}

void test("catchUp brings a copy to what etcd has: what is new, changed and gone since", async () => {
  for (const name of ["a.test", "b.test", "c.test"]) await put(etcd, name);
  const { mirror, end } = await copied();
  assert.equal(await catchUp(etcd, mirror, end), true);
  assert.equal(mirror.revision, end.revision);
  await put(etcd, "b.test", "2");
  await remove("a.test");
  const revision = await put(etcd, "d.test");
  assert.equal(await catchUp(etcd, mirror, end), true);
  assert.deepEqual(contentOf(mirror), ["b.test 2", "c.test 1", "d.test 1"]);
  assert.equal(mirror.revision, revision);
});

void test("catchUp does not go on from a copy whose end etcd doesn't have, or not any more", async () => {
  await put(etcd, "a.test");
  const { mirror, end } = await copied();
  assert.equal(await catchUp(etcd, mirror, { ...end, newest: undefined }), false);
  const other = elsewhere.client();
  assert.equal(await catchUp(other, mirror, end), false, "its revision is below the copy's");
  for (let at = 0; at < end.revision + 5; at += 1) await put(other, "x.test", String(at));
  assert.equal(await catchUp(other, mirror, end), false, "it has another change there");
  await put(etcd, "b.test");
  await etcd.compact(await put(etcd, "b.test", "2"));
  assert.equal(await catchUp(etcd, mirror, end), false, "its history is compacted");
});

void test("an authority that starts with a copy has what came since, and what of another record is gone", async (t) => {
  const fleet = await startFleet();
  const folder = await mkdtemp(join(tmpdir(), "understudy-catch-up-"));
  t.after(async () => {
    await fleet.close();
    await rm(folder, { recursive: true, force: true });
  });
  fleet.settings.autosign = true;
  const one = await fleet.server("s1");
  const { cadir } = one;
  const sign = async (name: string) => one.ca.submit({ pem: await agentRequest(name), key: name });
  await sign("before.test");
  const journal = await openJournal(folder);
  const { kvs, revision } = await one.etcd.range(KEY_PREFIX);
  const events = kvs.map(({ key, value, modRevision }) => ({ key, value, revision: modRevision }));
  await journal.rewrite(events, revision);
  await sign("since.test");
  await one.ca.revoke({ names: ["before.test"] });
  let whole = 0;
  const counted: Etcd = {
    ...one.etcd,
    pages: (...args) => {
      whole += 1;
      return one.etcd.pages(...args);
    },
  };
  const states = (server: typeof one) =>
    server.ca.list().map(({ name, state }) => `${name} ${state}`);
  const again = await fleet.server("s1", { cadir, etcd: counted, copy: journal });
  assert.deepEqual(states(again).sort(), ["before.test revoked", "since.test signed"]);
  assert.equal(whole, 0);

  const value = encodeValue({ serial: "0000FFFF" });
  const strange = { key: `${KEY_PREFIX}ca/name/strange.test`, value, revision: 1e9 };
  await journal.rewrite([...events, strange], 1e9);
  const third = await fleet.server("s1", { cadir, etcd: counted, copy: journal });
  assert.equal(whole, 1);
  assert.deepEqual(states(third).sort(), ["before.test revoked", "since.test signed"]);
  assert.equal((await third.fetch("GET", "/puppet-ca/v1/certificate/strange.test")).status, 404);
  await journal.close();
});

void test("a request that was given up while its server was away is gone from its directory, and a hand's stays", async (t) => {
  const fleet = await startFleet();
  const folder = await mkdtemp(join(tmpdir(), "understudy-catch-up-"));
  const journal = await openJournal(folder);
  t.after(async () => {
    await fleet.close();
    await journal.close();
    await rm(folder, { recursive: true, force: true });
  });
  const one = await fleet.server("s1");
  const { cadir, etcd } = one;
  await one.ca.submit({ pem: await agentRequest("waits.test"), key: "waits.test" });
  await one.ca.repair();
  const { kvs, revision } = await etcd.range(KEY_PREFIX);
  await journal.rewrite(
    kvs.map(({ key, value, modRevision }) => ({ key, value, revision: modRevision })),
    revision,
  );
  await one.stop();
  const other = await fleet.server("s2");
  assert.equal(await other.ca.forget("waits.test", "request"), true);
  await writeFile(join(cadir, "requests/hand.test.pem"), await agentRequest("hand.test"));
  for (const compacted of [false, true]) {
    const again = await fleet.server("s1", { cadir, etcd, copy: journal });
    await again.ca.repair();
    assert.deepEqual(await readdir(join(cadir, "requests")), ["hand.test.pem"]);
    assert.deepEqual(again.ca.state().directory.unknown, [join(cadir, "requests/hand.test.pem")]);
    await again.stop();
    if (compacted) return;
    await writeFile(join(cadir, "requests/waits.test.pem"), await agentRequest("waits.test"));
    await etcd.compact(await put(etcd, "more.test"));
    await etcd.transact({ when: [], then: [{ delete: requestKey("more.test") }] });
  }
});

void test("an authority whose record takes too long to read starts with what it has, and reads on", async (t) => {
  const fleet = await startFleet();
  t.after(() => fleet.close());
  fleet.settings.autosign = true;
  const one = await fleet.server("s1");
  await one.ca.submit({ pem: await agentRequest("a.test"), key: "a.test" });
  await one.ca.repair();
  let slow = true;
  const held: Etcd = {
    ...one.etcd,
    async *pages(prefix, options) {
      if (slow) await pause(60_000, options?.signal);
      yield* one.etcd.pages(prefix, options);
    },
  };
  const patience = { startWholeMs: 50 };
  const again = await fleet.server("s1", { cadir: one.cadir, etcd: held, patience });
  const path = "/puppet-ca/v1/certificate/a.test";
  assert.equal(again.ca.list().length, 0);
  assert.match(again.ca.state().because, /etcd was not reached/);
  slow = false;
  again.run();
  await until("the record", () => again.ca.list().length === 1, { withinMs: 15_000 });
  assert.equal((await again.fetch("GET", path)).status, 200);
});
