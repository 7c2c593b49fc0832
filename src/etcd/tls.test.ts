// Mutual TLS with real members: who gets in, who doesn't, and what a revocation does.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { startEtcdCluster, type EtcdTestCluster } from "./testing/cluster.ts";
import { createTestPki, type TestPki } from "./testing/pki.ts";

let cluster: EtcdTestCluster;
let pki: TestPki;
const options = { withinMs: 1000 };

before(async () => {
  cluster = await startEtcdCluster({ members: 3, tls: true });
  assert.ok(cluster.pki);
  pki = cluster.pki;
});

after(() => cluster.close());

test("a client with a certificate of the cluster's CA reads and writes", async () => {
  const etcd = cluster.client();
  await etcd.transact({ when: [], then: [{ put: "a", value: "1" }] });
  assert.equal((await etcd.get("a"))?.value, "1");
});

test("a certificate of another CA, or a server of another CA, is Fault etcd.tls", async () => {
  const other = await createTestPki(join(cluster.folder, "other"));
  const { cert, key } = await other.issue("stranger");
  const stranger = cluster.client({ tls: { ca: pki.ca, cert, key } });
  await assert.rejects(stranger.get("a", options), (error) => isFault(error, "etcd.tls"));
  const mine = await pki.issue("mine");
  const deceived = cluster.client({ tls: { ca: other.ca, cert: mine.cert, key: mine.key } });
  await assert.rejects(deceived.get("a", options), (error) => isFault(error, "etcd.tls"));
});

test("no certificate is Fault etcd.tls, also for a write, of which nothing was done", async () => {
  const nobody = cluster.client({ tls: { ca: pki.ca, cert: "", key: "" } });
  await assert.rejects(nobody.get("a", options), (error) => isFault(error, "etcd.tls"));
  const write = nobody.transact({ when: [], then: [{ put: "b", value: "1" }] }, options);
  await assert.rejects(write, (error) => isFault(error, "etcd.tls"));
  assert.equal(await cluster.client().get("b"), undefined);
});

test("a revoked certificate is refused on new connections; a kept-alive one goes on", async () => {
  const leaf = await pki.issue("leaving");
  const tls = { ca: pki.ca, cert: leaf.cert, key: leaf.key };
  const kept = cluster.client({ tls });
  await kept.get("a");
  await pki.revoke(leaf.serial);
  const fresh = cluster.client({ tls });
  await assert.rejects(fresh.get("a", options), (error) => {
    assert.ok(isFault(error, "etcd.tls"), String(error));
    assert.match(error.hints.join("\n"), /revoked/);
    return true;
  });
  // etcd looks at the list when a connection begins and never again.
  assert.equal((await kept.get("a"))?.value, "1");
});

test("setTls: new connections show the new certificate", async () => {
  const [old, renewed] = [await pki.issue("old"), await pki.issue("renewed")];
  const etcd = cluster.client({ tls: { ca: pki.ca, cert: old.cert, key: old.key } });
  await etcd.get("a");
  await pki.revoke(old.serial);
  etcd.setTls({ ca: pki.ca, cert: renewed.cert, key: renewed.key });
  assert.equal((await etcd.get("a"))?.value, "1");
});

test("a missing or broken revocation list shuts everybody out until it is back", async () => {
  const list = pki.crlPath;
  for (const spoil of [() => rm(list), () => writeFile(list, "nonsense")]) {
    await spoil();
    const shut = cluster.client();
    await assert.rejects(shut.get("a", options), (error) => isFault(error, "etcd.tls"));
    await pki.revoke(1);
    assert.equal((await cluster.client().get("a"))?.value, "1");
  }
});
