import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { inTurn } from "./turn.ts";

let cluster: EtcdTestCluster;
before(async () => {
  cluster = await startEtcdCluster();
});
after(() => cluster.close());

test("inTurn lets one at a time, and gives the turn back whatever becomes of the work", async () => {
  const etcd = cluster.client();
  const turn = (id: string) => ({ key: "turn", id, leaseS: 600 });
  let release = (): void => undefined;
  const done: string[] = [];
  let first = Promise.resolve(false);
  await new Promise<void>((resolve) => {
    first = inTurn(etcd, turn("s1"), async () => {
      resolve();
      await new Promise<void>((go) => (release = go));
      done.push("s1");
    });
  });
  const refused = await inTurn(etcd, turn("s2"), async () => void done.push("s2"));
  assert.deepEqual([refused, done], [false, []]);
  release();
  assert.equal(await first, true);
  const failing = inTurn(etcd, turn("s2"), async () => {
    throw new Error("no luck");
  });
  await assert.rejects(failing, /no luck/);
  const both = ["s1", "s2", "s3"].map(async (id) =>
    inTurn(etcd, turn(id), async () => void done.push(id)),
  );
  const taken = (await Promise.all(both)).filter(Boolean).length;
  assert.ok(taken >= 1);
  assert.equal(done.length, 1 + taken);
});
