import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createLog } from "../base/log.ts";
import { EJECTED_KEY, META_KEY } from "../cluster/keys.ts";
import { Ejected } from "../cluster/schema.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { announce } from "./ejected.ts";

const META = '{"generation":1}';
const MARK: Ejected = {
  to: "s2.test",
  at: "2026-11-20T12:00:00.000Z",
  alone: true,
  serialNext: 7,
  crlNumber: 5,
};
const log = createLog(() => undefined);

let cluster: EtcdTestCluster;
let etcd: Etcd;
before(async () => {
  cluster = await startEtcdCluster({ members: 1 });
  etcd = cluster.client();
});
after(() => cluster.close());
beforeEach(async () => {
  await etcd.transact({
    when: [],
    then: [{ delete: EJECTED_KEY }, { put: META_KEY, value: META }],
  });
});

/** What the record says after this server's daemon has told it its mark. */
async function recordAfter(
  recorded: Ejected | undefined,
  mark: Ejected | undefined,
  metaText = META,
) {
  const value = JSON.stringify(recorded);
  if (recorded !== undefined)
    await etcd.transact({ when: [], then: [{ put: EJECTED_KEY, value }] });
  // As a view that is older than the record has it: the record itself decides.
  await announce({ etcd, log }, mark, { metaText, ejected: undefined });
  const kv = await etcd.get(EJECTED_KEY);
  return kv && Ejected.parse(JSON.parse(kv.value));
}

test("announce brings a decision that was made alone into the record, and a later one replaces it", async () => {
  assert.deepEqual(await recordAfter(undefined, MARK), MARK);
  const older = { to: "s1.test", at: "2026-11-20T11:59:59Z", alone: false };
  assert.deepEqual(await recordAfter(older, MARK), MARK);
});

test("announce leaves a later word, the same one, and a record of another generation alone", async () => {
  const later = { to: "s1.test", at: "2026-11-20T12:00:01Z", alone: true };
  assert.deepEqual(await recordAfter(later, MARK), later);
  const { revision } = await etcd.range(EJECTED_KEY);
  assert.deepEqual(await recordAfter(undefined, undefined), later);
  await announce({ etcd, log }, MARK, { metaText: META, ejected: later });
  assert.equal((await etcd.range(EJECTED_KEY)).revision, revision);
  await etcd.transact({ when: [], then: [{ delete: EJECTED_KEY }] });
  assert.equal(await recordAfter(undefined, MARK, '{"generation":2}'), undefined);
});
