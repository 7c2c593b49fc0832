import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { META_KEY } from "../cluster/keys.ts";
import type { Etcd, KeyValue } from "../etcd/types.ts";
import { parseCrls } from "../x509/crl.ts";
import { CA_PREFIX, CRL_HEAD_KEY, crlKey, REVOKED_PREFIX } from "./record.ts";
import { serialOf } from "./serial.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

async function enrol(server: TestServer, names: readonly string[]): Promise<void> {
  fleet.settings.autosign = true;
  await Promise.all(
    names.map(async (name) => server.ca.submit({ pem: await agentRequest(name), key: name })),
  );
}

const namesOf = (count: number) => Array.from({ length: count }, (_, index) => `n${index}.test`);

/** `etcd` whose watches never tell of anything. */
const withoutWatch = (etcd: Etcd): Etcd => ({ ...etcd, watch: () => undefined });

/** Serials that the CRL on disk names, in its order. */
async function serialsOnDisk(server: TestServer): Promise<string[]> {
  const [own] = parseCrls(await readFile(join(server.cadir, "ca_crl.pem")));
  return (own?.entries ?? []).map(({ serial }) => serialOf(serial));
}

for (const watched of [true, false]) {
  const how = watched ? "" : " whose watch lags";
  void test(`revoke of one name on two servers at once${how} takes it into one CRL, once`, async () => {
    const etcd = fleet.cluster.client();
    let first: (() => Promise<unknown>) | undefined;
    // The other server revokes between this one's decision and its commit.
    const late: Etcd = {
      ...(watched ? etcd : withoutWatch(etcd)),
      transact: async (txn, options) => {
        const act = first;
        if (txn.then.some((op) => "put" in op && op.put.startsWith(REVOKED_PREFIX))) {
          first = undefined;
          await act?.();
        }
        return etcd.transact(txn, options);
      },
    };
    const one = await fleet.server("s1");
    const two = await fleet.server("s2", { etcd: late });
    one.run();
    two.run();
    await enrol(one, ["a.test", "b.test"]);
    const number = one.ca.currentCrl()?.number ?? 0;
    first = () => one.ca.revoke({ names: ["a.test"] });
    const outcome = await two.ca.revoke({ names: ["a.test", "b.test"] });
    assert.ok(outcome.results.every(({ ok }) => ok));
    assert.equal(first, undefined);
    assert.equal(two.ca.currentCrl()?.number, number + 2);
    // Both go on revoking, and a server that starts anew can rebuild the list.
    await enrol(one, ["c.test"]);
    await one.ca.revoke({ names: ["c.test"] });
    const three = await fleet.server("s3");
    await three.ca.repair();
    const numbers = one.ca.revocations().map((revocation) => revocation.number - number);
    assert.deepEqual(numbers, [1, 2, 3]);
    assert.equal(new Set(await serialsOnDisk(three)).size, 3);
    assert.equal((await serialsOnDisk(three)).length, 3);
    for (const { ca } of [one, three]) assert.equal(ca.state().because, "");
  });
}

void test("revoke signs on what was checked, though the newest CRL moves on meanwhile", async () => {
  const etcd = fleet.cluster.client();
  let tell: ((kv: KeyValue) => void) | undefined;
  let names: string[] = [];
  const late: Etcd = {
    ...etcd,
    watch: (_, options) => {
      tell = (kv) => options.onEvents([{ type: "put", kv }], 0);
    },
    range: async (prefix, options) => {
      const read = await etcd.range(prefix, options);
      const name = prefix === REVOKED_PREFIX ? names.shift() : undefined;
      if (name === undefined) return read;
      // Just after its entries were read the newest CRL becomes another one, and that is heard of.
      await one.ca.revoke({ names: [name] });
      const head = await etcd.get(CRL_HEAD_KEY);
      if (head !== undefined) tell?.(head);
      return read;
    },
  };
  const one = await fleet.server("s1");
  await enrol(one, namesOf(5));
  const two = await fleet.server("s2", { etcd: late });
  two.run();
  await until("the watch", () => tell, { withinMs: 5000, everyMs: 1 });
  await one.ca.revoke({ names: ["n0.test"] });
  // Publishing and revoking both read; both are overtaken.
  names = ["n1.test", "n2.test"];
  await two.ca.revoke({ names: ["n3.test"] });
  await one.ca.revoke({ names: ["n4.test"] });
  const three = await fleet.server("s3");
  await three.ca.repair();
  assert.equal(three.ca.state().because, "");
  assert.equal((await serialsOnDisk(three)).length, 5);
  assert.deepEqual(names, []);
});

void test("a record that doesn't account for its newest CRL ends no revoking, and loses no entry", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test", "b.test", "c.test", "d.test"]);
  await one.ca.revoke({ names: ["a.test"] });
  await one.ca.revoke({ names: ["b.test"] });
  const number = one.ca.currentCrl()?.number ?? 0;
  // One entry moved into the newest CRL, which had it twice: no number can be rebuilt any more.
  const { kvs } = await one.etcd.range(REVOKED_PREFIX);
  const [entry] = kvs;
  const crl = JSON.parse((await one.etcd.get(crlKey(number)))?.value ?? "{}") as object;
  assert.ok(entry !== undefined);
  const moved = entry.value.replace(/"number":\d+/, `"number":${number + 1}`);
  await one.etcd.transact({
    when: [],
    then: [
      { put: entry.key, value: moved },
      { put: crlKey(number + 1), value: JSON.stringify({ ...crl, number: number + 1, count: 3 }) },
      { put: CRL_HEAD_KEY, value: `{"number":${number + 1}}` },
    ],
  });
  await one.stop();
  const two = await fleet.server("s2", { cadir: one.cadir });
  assert.match(two.ca.state().because, /comes out with 2 entries/);
  assert.equal(two.ca.currentCrl()?.number, number, "the former one is served after a restart");
  assert.equal((await two.fetch("GET", "/health/ca")).status, 200);
  await two.ca.revoke({ names: ["c.test"] });
  assert.equal(two.ca.state().because, "");
  assert.equal(two.ca.currentCrl()?.number, number + 2);
  assert.equal((await serialsOnDisk(two)).length, 3);

  // An entry that was deleted by hand comes back, from the CRL that is published.
  await two.etcd.transact({ when: [], then: [{ delete: entry.key }] });
  const three = await fleet.server("s3", { cadir: two.cadir });
  assert.equal(await three.ca.refreshCrl(), true);
  assert.equal(await three.ca.refreshCrl(), false);
  assert.equal((await serialsOnDisk(three)).length, 3);
  assert.equal(three.ca.state().because, "");
});

void test("nothing is changed in a record that has an older CRL than is published here", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test", "b.test"]);
  await one.ca.revoke({ names: ["a.test"] });
  await one.stop();
  const number = one.ca.currentCrl()?.number ?? 0;
  // The record goes back to what it was before, as an old copy of it would have it.
  const older = { put: CRL_HEAD_KEY, value: `{"number":${number - 1}}` };
  const { kvs } = await one.etcd.range(REVOKED_PREFIX);
  const gone = kvs.map(({ key }) => ({ delete: key }));
  await one.etcd.transact({ when: [], then: [older, ...gone] });
  const two = await fleet.server("s1", { cadir: one.cadir });
  const { revision } = await one.etcd.range(CA_PREFIX);
  for (const change of [
    () => two.ca.revoke({ names: ["b.test"] }),
    () => two.ca.clean(["b.test"]),
    async () => two.ca.submit({ pem: await agentRequest("c.test"), key: "c.test" }),
  ]) {
    await assert.rejects(change, { code: "ca.record-older" });
  }
  assert.equal((await one.etcd.range(CA_PREFIX)).revision, revision);
  assert.equal(two.ca.currentCrl()?.number, number);
  assert.match(two.ca.state().because, new RegExp(`CRL ${number} is published`));
});

void test("a change by a member of an older generation fails for good, and says why", async () => {
  const guard = async () => [{ key: META_KEY, value: "generation 1" }];
  const one = await fleet.server("s1", { guard });
  await one.etcd.transact({ when: [], then: [{ put: META_KEY, value: "generation 1" }] });
  await enrol(one, ["a.test"]);
  await one.etcd.transact({ when: [], then: [{ put: META_KEY, value: "generation 2" }] });
  for (const change of [
    () => one.ca.revoke({ names: ["a.test"] }),
    async () => one.ca.submit({ pem: await agentRequest("b.test"), key: "b.test" }),
  ]) {
    await assert.rejects(change, { code: "cluster.other-generation" });
  }
});

void test("an unconfirmed clock renews no CRL and dates none", async () => {
  let hasOthers = false;
  let offsetMs: number | undefined;
  const one = await fleet.server("s1", {
    hasOthers: () => hasOthers,
    clockOffsetMs: () => offsetMs,
  });
  await enrol(one, ["a.test", "b.test"]);
  const number = one.ca.currentCrl()?.number ?? 0;
  // The newest CRL is old, as it would be to a clock that is months ahead.
  const value = (await one.etcd.get(crlKey(number)))?.value ?? "";
  const old = "2020-01-01T00:00:00.000Z";
  const then = value.replace(/"thisUpdate":"[^"]+"/, `"thisUpdate":"${old}"`);
  await one.etcd.transact({ when: [], then: [{ put: crlKey(number), value: then }] });
  await one.stop();
  const two = await fleet.server("s1", {
    cadir: one.cadir,
    hasOthers: () => hasOthers,
    clockOffsetMs: () => offsetMs,
  });
  hasOthers = true;
  assert.equal(await two.ca.refreshCrl(), false);
  await two.ca.revoke({ names: ["a.test"] });
  assert.equal(two.ca.currentCrl()?.thisUpdateMs, Date.parse(old));
  offsetMs = 10;
  assert.equal(await two.ca.refreshCrl(), true);
  assert.ok((two.ca.currentCrl()?.thisUpdateMs ?? 0) > Date.parse(old));
});
