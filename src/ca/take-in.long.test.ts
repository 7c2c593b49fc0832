// What offline tools do in a CA directory, and what a daemon makes of it when it comes back. Our
// own signing code plays `puppetserver ca generate` and `prune`.

import assert from "node:assert/strict";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import type { Etcd } from "../etcd/types.ts";
import { createCertificate, certificatePem, parseCertificate } from "../x509/certificate.ts";
import { createCrl, crlPem, encodeCrlEntry, parseCrls } from "../x509/crl.ts";
import { keyIdOf, readPrivateKey, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { readIssuer } from "./issuer.ts";
import { CA_PREFIX, CERT_PREFIX } from "./record.ts";
import { serialOf } from "./serial.ts";
import {
  agentKey,
  agentRequest,
  startFleet,
  type Fleet,
  type TestServer,
} from "./testing/fleet.ts";

const DAY_MS = 86_400_000;
const TIMES = "2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

/** A server with a.test and b.test signed, b.test revoked, that has been stopped. */
async function stopped(): Promise<TestServer> {
  fleet.settings.autosign = true;
  const server = await fleet.server("s1");
  server.run();
  for (const name of ["a.test", "b.test"]) {
    await server.ca.submit({ pem: await agentRequest(name), key: name });
  }
  await server.ca.revoke({ names: ["b.test"] });
  await server.ca.repair();
  await server.stop();
  return server;
}

/** The daemon again, with the copy of the record that it had, or with `copy`. */
async function again(
  { cadir, etcd }: TestServer,
  copy?: { key: string; value: string }[],
): Promise<TestServer> {
  const { kvs } = await etcd.range(CA_PREFIX);
  async function* replay() {
    for (const { key, value } of copy ?? kvs) yield { key, value, revision: 1 };
  }
  const load = async () => ({ revision: 0, newest: undefined });
  const server = await fleet.server("s1", { cadir, etcd, copy: { load, replay } });
  server.run();
  return server;
}

async function keyAndIssuer(cadir: string) {
  const key = readPrivateKey(await readFile(join(cadir, "ca_key.pem")));
  return { key, issuer: readIssuer(await readFile(join(cadir, "ca_crt.pem"))) };
}

/** Signs offline: takes the serial that the `serial` file says. */
async function generate(cadir: string, name: string, file = name): Promise<bigint> {
  const { key, issuer } = await keyAndIssuer(cadir);
  const serial = BigInt(`0x${(await readFile(join(cadir, "serial"), "utf8")).trim()}`);
  const der = createCertificate({
    serial,
    issuerDer: issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: name }),
    notBeforeMs: Date.now() - DAY_MS,
    notAfterMs: Date.now() + DAY_MS,
    spkiDer: spkiOf(await agentKey()),
    extensions: [],
    signingKey: key,
  });
  await writeFile(join(cadir, "signed", `${file}.pem`), certificatePem(der));
  await appendFile(join(cadir, "inventory.txt"), `0x${serial.toString(16)} ${TIMES} /CN=${name}\n`);
  await writeFile(join(cadir, "serial"), (serial + 1n).toString(16).toUpperCase());
  return serial;
}

/** Signs a CRL offline with these serials and a number so much above the newest. */
async function signCrl(cadir: string, serials: readonly bigint[], above: number): Promise<number> {
  const { key, issuer } = await keyAndIssuer(cadir);
  const [newest] = parseCrls(await readFile(join(cadir, "ca_crl.pem")));
  const number = Number(newest?.number ?? 0) + above;
  const { der } = createCrl({
    issuerDer: issuer.certificate.subjectDer,
    authorityKeyId: issuer.keyId,
    number,
    thisUpdateMs: Date.now(),
    nextUpdateMs: Date.now() + DAY_MS,
    entries: serials.map((serial) => encodeCrlEntry({ serial, timeMs: Date.now(), reason: 1 })),
    signingKey: key,
  });
  await writeFile(join(cadir, "ca_crl.pem"), crlPem(der));
  return number;
}

const crlOf = ({ ca }: TestServer) => ca.currentCrl()?.pem ?? Buffer.alloc(0);

const numberOf = async (cadir: string) =>
  Number(parseCrls(await readFile(join(cadir, "ca_crl.pem")))[0]?.number);

void test("certificates are taken in also where another server gives one of their names meanwhile", async () => {
  const server = await stopped();
  const { cadir, etcd } = server;
  const serials = [await generate(cadir, "x.test"), await generate(cadir, "y.test")];
  const other = await fleet.server("s2");
  let between = true;
  const late: Etcd = {
    ...etcd,
    transact: async (txn, options) => {
      const takes = txn.then.some(
        (op) => "put" in op && op.value.includes('"signedBy":"directory"'),
      );
      if (takes && between) {
        between = false;
        await other.ca.submit({ pem: await agentRequest("x.test"), key: "x.test" });
      }
      return etcd.transact(txn, options);
    },
  };
  const { ca } = await again({ ...server, etcd: late });
  const known = () => serials.every((serial) => ca.show(serialOf(serial)).certificates.length > 0);
  await until("both to be taken in", known, { withinMs: 10_000 });
  assert.equal(ca.show("y.test").certificates[0]?.state, "signed");
  assert.equal(ca.show("x.test").certificates.length, 2);
});

void test("a certificate that was generated offline is in the record, and can be revoked anywhere", async () => {
  const { cadir, ...rest } = await stopped();
  const serial = serialOf(await generate(cadir, "offline.test"));
  const one = await again({ cadir, ...rest });
  await until("it is taken in", () => one.ca.show("offline.test").certificates.length === 1, {
    withinMs: 10_000,
  });
  await until("nothing is unknown", () => one.ca.state().directory.unknown.length === 0, {
    withinMs: 10_000,
  });
  const two = await fleet.server("s2");
  assert.equal((await two.fetch("GET", "/puppet-ca/v1/certificate/offline.test")).status, 200);
  const { results } = await two.ca.revoke({ names: ["offline.test"] });
  assert.equal(results[0]?.serial, serial);
  await one.ca.submit({ pem: await agentRequest("next.test"), key: "next.test" });
  const next = parseCertificate(await readFile(join(cadir, "signed/next.test.pem"), "utf8"));
  assert.notEqual(serialOf(next.serial), serial);
});

void test("an inventory line without a file is in the record, and its serial is not given again", async () => {
  const { cadir, ...rest } = await stopped();
  await appendFile(join(cadir, "inventory.txt"), `0x7777 ${TIMES} /CN=deleted.test\n`);
  const one = await again({ cadir, ...rest });
  const key = `${CERT_PREFIX}00007777`;
  const row = await until("it is taken in", async () => one.etcd.get(key), {
    withinMs: 10_000,
  });
  assert.match(row.value, /"certname":"deleted.test","der":null/);
});

void test("a certificate whose serial is another one's is not taken for it, and is told of", async () => {
  const { cadir, ...rest } = await stopped();
  const known = parseCertificate(await readFile(join(cadir, "signed/a.test.pem"), "utf8")).serial;
  await writeFile(join(cadir, "serial"), known.toString(16));
  await generate(cadir, "twice.test");
  await writeFile(join(cadir, "serial"), "7000");
  await generate(cadir, "first.test");
  await writeFile(join(cadir, "serial"), "7000");
  await generate(cadir, "second.test");
  const one = await again({ cadir, ...rest });
  const told = () => one.logged.filter((line) => line.includes("can't be taken in"));
  await until("it is told of", () => told().length >= 2, { withinMs: 10_000 });
  assert.deepEqual(one.ca.show("twice.test").certificates, []);
  assert.equal(one.ca.show("a.test").certificates.length, 1);
  const both = ["first.test", "second.test"].flatMap((name) => one.ca.show(name).certificates);
  assert.equal(both.length, 1);
  await one.ca.repair();
  const { unknown } = one.ca.state().directory;
  assert.ok(unknown.includes(join(cadir, "signed/twice.test.pem")), unknown.join(" "));
  const { results } = await one.ca.revoke({ names: ["twice.test"] });
  assert.equal(results[0]?.ok, false);
  assert.ok(!one.ca.revocations().some(({ serial }) => serial === serialOf(known)));
});

void test("a certificate for a name of two words has a line in the inventory that can be read", async () => {
  const { cadir, ...rest } = await stopped();
  const serial = serialOf(await generate(cadir, "two words", "two.test"));
  const one = await again({ cadir, ...rest });
  await until("it is taken in", () => one.ca.show(serial).certificates.length === 1, {
    withinMs: 10_000,
  });
  const two = await fleet.server("s2");
  await two.ca.repair();
  const inventory = await readFile(join(two.cadir, "inventory.txt"), "utf8");
  assert.match(inventory, / \/CN=two\.test$/m);
});

void test("entries that no certificate can have, and one that is there twice, don't keep a CRL from being taken in", async () => {
  const { cadir, ...rest } = await stopped();
  const a = parseCertificate(await readFile(join(cadir, "signed/a.test.pem"), "utf8")).serial;
  const number = await signCrl(cadir, [a, 1n << 300n, a], 1);
  const one = await again({ cadir, ...rest });
  await until("it is followed", async () => (await numberOf(cadir)) > number, { withinMs: 10_000 });
  assert.ok(one.ca.revocations().some(({ serial }) => serial === serialOf(a)));
  assert.equal(one.ca.currentCrl()?.count, 2);
});

void test("a CRL whose number leaves no room to count on is not taken in", async () => {
  const { cadir, ...rest } = await stopped();
  const head = await numberOf(cadir);
  await signCrl(cadir, [], 2 ** 52);
  const one = await again({ cadir, ...rest });
  const said = () => one.logged.some((line) => line.includes("not taken in yet"));
  await until("it says so", said, { withinMs: 10_000 });
  const two = await fleet.server("s2");
  await two.ca.revoke({ names: ["a.test"] });
  assert.equal(two.ca.currentCrl()?.number, head + 1);
});

void test("a newer CRL of the root that a hand put into ca_crl.pem is every server's", async () => {
  const { cadir, ...rest } = await stopped();
  const [root] = (await keyAndIssuer(cadir)).issuer.certificates.slice(1);
  assert.ok(root);
  const signingKey = readPrivateKey(await readFile(join(cadir, "root_key.pem")));
  const { der } = createCrl({
    number: 7,
    signingKey,
    issuerDer: root.subjectDer,
    authorityKeyId: keyIdOf(root.spkiDer),
    thisUpdateMs: Date.now() - 1000,
    nextUpdateMs: Date.now() + DAY_MS,
    entries: [],
  });
  const own = parseCrls(await readFile(join(cadir, "ca_crl.pem")))[0]?.der ?? Buffer.alloc(0);
  await writeFile(join(cadir, "ca_crl.pem"), crlPem(own) + crlPem(der));
  const one = await again({ cadir, ...rest });
  await until("it is published", () => crlOf(one).includes(crlPem(der)), { withinMs: 10_000 });
  const two = await fleet.server("s2");
  assert.ok(crlOf(two).includes(crlPem(der)));
  assert.ok((await readFile(join(cadir, "ca_crl.pem"))).includes(crlPem(der)));
});

void test("a CRL that was pruned offline is followed by a higher one with every revocation", async () => {
  const { cadir, ...rest } = await stopped();
  const pruned = await signCrl(cadir, [], 1);
  const one = await again({ cadir, ...rest });
  await until("a higher number", async () => (await numberOf(cadir)) > pruned, {
    withinMs: 10_000,
  });
  assert.equal(one.ca.currentCrl()?.number, pruned + 1);
  assert.equal(one.ca.currentCrl()?.count, 1);
  await one.ca.revoke({ names: ["a.test"] });
  assert.equal(await numberOf(cadir), pruned + 2);
});

void test("what was revoked offline is revoked, whatever the CRL's number", async () => {
  for (const above of [0, 5]) {
    const { cadir, ...rest } = await stopped();
    const [newest] = parseCrls(await readFile(join(cadir, "ca_crl.pem")));
    const revoked = (newest?.entries ?? []).map(({ serial }) => serial);
    const a = parseCertificate(await readFile(join(cadir, "signed/a.test.pem"), "utf8")).serial;
    const number = await signCrl(cadir, [...revoked, a], above);
    const one = await again({ cadir, ...rest });
    const isRevoked = () => one.ca.revocations().some(({ serial }) => serial === serialOf(a));
    await until("it is revoked", isRevoked, { withinMs: 10_000 });
    await until("it is published", async () => (await numberOf(cadir)) > number, {
      withinMs: 10_000,
    });
    assert.equal(one.ca.currentCrl()?.count, 2);
    await fleet.reset();
  }
});

void test("what can't be taken in at the start is taken in by a later upkeep, though the file is ours again", async (t) => {
  const { cadir, etcd } = await stopped();
  const a = parseCertificate(await readFile(join(cadir, "signed/a.test.pem"), "utf8")).serial;
  await signCrl(cadir, [a], 0);
  let offsetMs = 600_000;
  const clock = { clockOffsetMs: () => offsetMs, hasOthers: () => true };
  const one = await fleet.server("s1", { cadir, etcd, ...clock });
  const stop = new AbortController();
  const loops = one.ca.startLoops(stop.signal);
  t.after(async () => {
    stop.abort();
    await Promise.all(loops.map(({ ended }) => ended));
  });
  const said = () => one.logged.some((line) => line.includes("not taken in yet"));
  await until("it says so", said, { withinMs: 10_000 });
  const isOurs = async () => (await readFile(join(cadir, "ca_crl.pem"))).equals(crlOf(one));
  await until("the record's CRL is on disk", isOurs, { withinMs: 10_000 });
  offsetMs = 0;
  loops.find(({ name }) => name === "ca upkeep")?.wake();
  const isRevoked = () => one.ca.revocations().some(({ serial }) => serial === serialOf(a));
  await until("it is revoked", isRevoked, { withinMs: 10_000 });
});

void test("a CRL that the server's own copy knows means that the record is older: nothing is taken in", async () => {
  const { cadir, etcd, ...rest } = await stopped();
  const number = await signCrl(cadir, [], 1);
  const known = { key: `${CA_PREFIX}crl/${String(number).padStart(10, "0")}`, value: "{}" };
  for (const copy of [[known], []]) {
    const one = await again({ cadir, etcd, ...rest }, copy);
    await one.ca.repair();
    assert.equal(await numberOf(cadir), number);
    await assert.rejects(one.ca.revoke({ names: ["a.test"] }), { code: "ca.record-older" });
    await one.stop();
  }
});

void test("another CA's certificate, and one for a name that has its own, are told apart", async () => {
  const { cadir, ...rest } = await stopped();
  const good = await readFile(join(cadir, "signed/a.test.pem"), "utf8");
  const bad = Buffer.from(parseCertificate(good).der);
  bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1;
  await writeFile(join(cadir, "signed/forged.test.pem"), certificatePem(bad));
  await writeFile(join(cadir, "signed/garbage.test.pem"), "garbage");
  const serial = serialOf(await generate(cadir, "a.test"));
  const one = await again({ cadir, ...rest });
  await until(
    "a.test's second one is known",
    () => one.ca.show("a.test").certificates.length === 2,
    {
      withinMs: 10_000,
    },
  );
  await one.ca.repair();
  const unknown = one.ca.state().directory.unknown.map((path) => path.slice(cadir.length));
  assert.deepEqual(unknown, ["/signed/forged.test.pem", "/signed/garbage.test.pem"]);
  assert.equal(
    await readFile(join(cadir, "signed/a.test.pem"), "utf8"),
    good,
    "the record's stays",
  );
  await one.ca.revoke({ names: ["a.test"] });
  assert.ok(one.ca.revocations().some((revocation) => revocation.serial === serial));
});
