// Changes of many names: that they are done, and what is said where they fail in the middle.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Fault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import type { Etcd } from "../etcd/types.ts";
import { CERT_PREFIX, NAME_PREFIX, REVOKED_PREFIX } from "./record.ts";
import { serialOf } from "./serial.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

/** An etcd that loses its quorum after some changes of keys with a prefix. */
function failing() {
  const etcd = fleet.cluster.client();
  const state = { prefix: "none", left: 0 };
  const transact: Etcd["transact"] = async (txn, options) => {
    const isOne = txn.then.some((op) => {
      const key = "put" in op ? op.put : "delete" in op ? op.delete : "";
      return key.startsWith(state.prefix);
    });
    if (isOne && state.left === 0) throw new Fault("etcd.no-quorum", "1 of 3 members answers");
    if (isOne) state.left -= 1;
    return etcd.transact(txn, options);
  };
  return { etcd: { ...etcd, transact }, state };
}

const namesOf = (count: number) => Array.from({ length: count }, (_, index) => `n${index}.test`);

async function submit({ ca }: TestServer, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map(async (name) => ca.submit({ pem: await agentRequest(name), key: name })),
  );
}

/** What the Fault that `work` ends with says to do. */
async function hintsOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Fault);
  assert.equal(error.code, "etcd.no-quorum");
  return error.hints.join("\n");
}

void test("sign that fails in the middle says how many are signed", async () => {
  const { etcd, state } = failing();
  const one = await fleet.server("s1", { etcd });
  await submit(one, namesOf(3));
  Object.assign(state, { prefix: CERT_PREFIX, left: 2 });
  assert.match(await hintsOf(one.ca.sign(namesOf(3))), /^2 of 3 were signed before that/);
  assert.doesNotMatch(await hintsOf(one.ca.sign(namesOf(3))), /were signed/);
});

void test("revoke that fails in the middle says how many are revoked, and their CRL is published", async () => {
  fleet.settings.autosign = true;
  const { etcd, state } = failing();
  const one = await fleet.server("s1", { etcd });
  one.run();
  await submit(one, namesOf(101));
  Object.assign(state, { prefix: REVOKED_PREFIX, left: 1 });
  assert.match(
    await hintsOf(one.ca.revoke({ names: namesOf(101) })),
    /^100 of 101 were revoked before that/,
  );
  const published = () => one.ca.currentCrl()?.count === 100;
  await until("the CRL with those that are revoked", published, { withinMs: 3000 });
});

void test("clean that fails in the middle says that the names are revoked", async () => {
  fleet.settings.autosign = true;
  const { etcd, state } = failing();
  const one = await fleet.server("s1", { etcd });
  await submit(one, namesOf(2));
  Object.assign(state, { prefix: NAME_PREFIX, left: 0 });
  assert.match(await hintsOf(one.ca.clean(namesOf(2))), /^2 of 2 were revoked before that/);
});

void test("revoke takes thousands of serials at once, among them such that there aren't", async () => {
  fleet.settings.autosign = true;
  const one = await fleet.server("s1");
  await submit(one, namesOf(1));
  const serial = one.ca.show("n0.test").certificates[0]?.serial ?? "";
  const unknown = Array.from({ length: 3000 }, (_, index) => serialOf(2 ** 30 + index));
  const { results } = await one.ca.revoke({ serials: [...unknown, serial] });
  assert.deepEqual(
    results.filter(({ ok }) => ok).map(({ name }) => name),
    [serial],
  );
});
