import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../base/retry.ts";
import { createCrl, crlPem, parseCrl, parseCrls } from "../x509/crl.ts";
import { contextConstructed, derInteger, derOid, derSequence } from "../x509/der.ts";
import { derSetOf, derValue, TAG } from "../x509/der.ts";
import { encodeExtensions } from "../x509/extensions.ts";
import { keyIdOf, readPrivateKey, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { OID } from "../x509/oids.ts";
import { algorithmFor, algorithmIdentifier, assembleSigned, signTbs } from "../x509/signed.ts";
import { derTime } from "../x509/time.ts";
import { readIssuer, type Issuer } from "./issuer.ts";
import { mergeParentCrls } from "./parent-crls.ts";
import { adminOf, agentKey, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const DAY_MS = 86_400_000;
const PATH = "/puppet-ca/v1/certificate_revocation_list";

let fleet: Fleet;
let one: TestServer;
let rootKey: KeyObject;
let issuer: Issuer;
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  rootKey = readPrivateKey(await readFile(join(fleet.folder, "original/root_key.pem"), "utf8"));
  issuer = readIssuer(one.ca.bundle());
});
after(() => fleet.close());

interface Change {
  number?: number;
  key?: KeyObject;
  issuerDer?: Uint8Array;
  authorityKeyId?: Uint8Array;
  thisUpdateMs?: number;
  nextUpdateMs?: number;
  revokes?: bigint;
  /** A critical extension more. */
  critical?: string;
}

function rootCrl(change: Change = {}): string {
  const { number = 1, key = rootKey, revokes } = change;
  const root = issuer.certificates[1];
  assert.ok(root);
  const { der } = createCrl({
    number,
    signingKey: key,
    issuerDer: change.issuerDer ?? root.subjectDer,
    authorityKeyId: change.authorityKeyId ?? keyIdOf(spkiOf(rootKey)),
    thisUpdateMs: change.thisUpdateMs ?? Date.now() - DAY_MS,
    nextUpdateMs: change.nextUpdateMs ?? Date.now() + DAY_MS,
    entries: revokes === undefined ? [] : [{ serial: revokes, timeMs: 0, reason: 1 }],
  });
  return crlPem(change.critical === undefined ? der : withCritical(der, change.critical, key));
}

/** The list of `der` with one extension more, signed anew. */
function withCritical(der: Buffer, oid: string, key: KeyObject): Buffer {
  const { issuerDer, thisUpdateMs, nextUpdateMs = 0, extensions } = parseCrl(der);
  const algorithm = algorithmFor(key);
  const tbs = derSequence(
    derInteger(1),
    algorithmIdentifier(algorithm),
    issuerDer,
    derTime(thisUpdateMs),
    derTime(nextUpdateMs),
    derValue(
      contextConstructed(0),
      encodeExtensions([...extensions, { oid, critical: true, value: derSequence() }]),
    ),
  );
  return assembleSigned(tbs, algorithm, signTbs(tbs, key));
}

const merge = (submitted: string, present = rootCrl()) =>
  mergeParentCrls({ issuer, present, submitted }, Date.now());

void test("mergeParentCrls refuses with Puppet Server's words", async () => {
  const other = await agentKey();
  const ours = issuer.certificate.serial;
  const present = rootCrl({ number: 5 });
  const later = Date.now() + DAY_MS;
  const cases: [submitted: string, because: string | RegExp][] = [
    ["", "No valid CRLs submitted."],
    ["rubbish", "No valid CRLs submitted."],
    [issuer.bundle.toString(), /^Invalid certs and\/or CRLs: /],
    [rootCrl({ number: 5, thisUpdateMs: 0 }), "Could not determine newest CRL."],
    [rootCrl({ number: 6, key: other }), /isn't signed by it$/],
    [rootCrl({ number: 6, issuerDer: nameOf({ commonName: "x" }) }), /isn't signed by it$/],
    [rootCrl({ number: 6, nextUpdateMs: Date.now() - 1000 }), /has ended$/],
    [rootCrl({ number: 6, thisUpdateMs: later, nextUpdateMs: 2 * later }), /isn't in force yet$/],
    [
      rootCrl({ number: 6, critical: "1.2.3.4" }),
      /has a critical extension that agents don't know: 1\.2\.3\.4$/,
    ],
    [rootCrl({ number: 6, revokes: ours }), /revokes CN=Puppet CA: s1\.lab\.test, which/],
  ];
  for (const [submitted, because] of cases) {
    const outcome = merge(submitted, present);
    assert.ok(!outcome.ok, submitted.slice(0, 80));
    assert.match(
      outcome.because,
      typeof because === "string" ? new RegExp(`^${because}$`) : because,
    );
  }
});

void test("mergeParentCrls takes the newest, once, and passes ours and strangers' over", async () => {
  const key = await agentKey();
  const present = rootCrl({ number: 5 });
  const [old, newer, newest] = [4, 6, 7].map((number) => rootCrl({ number }));
  const stranger = rootCrl({ key, authorityKeyId: keyIdOf(spkiOf(key)), number: 99 });
  const ours = rootCrl({ authorityKeyId: issuer.keyId, number: 99 });
  // As some CAs have it; OpenSSL knows what it says.
  const withScope = rootCrl({ number: 6, critical: OID.issuingDistributionPoint });
  // As Java has a name that the certificate has as UTF8String.
  const commonName = issuer.certificates[1]?.commonName ?? "";
  const text = derValue(TAG.printableString, Buffer.from(commonName));
  const attribute = derSequence(derOid(OID.commonName), text);
  const otherwise = rootCrl({ number: 6, issuerDer: derSequence(derSetOf([attribute])) });
  const cases: [submitted: string | undefined, present: string, kept: string | undefined][] = [
    [present, present, present],
    [old, present, present],
    [newer, present, newer],
    [`${newest}${newer}${old}`, present, newest],
    [`${stranger}${ours}`, present, present],
    [`${ours}${newest}`, present, newest],
    [withScope, present, withScope],
    [otherwise, present, otherwise],
    // A directory that lacks the parent's list gets it.
    [newer, "", newer],
  ];
  for (const [submitted = "", there, kept] of cases) {
    assert.deepEqual(merge(submitted, there), { ok: true, pem: kept });
  }
});

void test("the record keeps a new root CRL, and every server publishes it behind its own", async () => {
  const two = await fleet.server("s2");
  one.run();
  two.run();
  const admin = await adminOf(one);
  const put = (body: string, as?: typeof admin) =>
    one.fetch("PUT", PATH, as === undefined ? { body } : { body, as });
  assert.equal((await put(rootCrl({ number: 9 }))).status, 403);
  assert.equal((await one.fetch("PUT", `${PATH}/ca`, { body: "", as: admin })).status, 405);
  const refused = await put("", admin);
  assert.deepEqual([refused.status, await refused.text()], [400, "No valid CRLs submitted."]);

  const body = rootCrl({ number: 9 });
  const before = one.ca.currentCrl();
  const answer = await put(body, admin);
  assert.deepEqual([answer.status, await answer.text()], [200, "Successfully updated CRLs."]);
  assert.equal((await put(body, admin)).status, 200, "once more");
  for (const server of [one, two]) {
    const isThere = async () =>
      (await readFile(join(server.cadir, "ca_crl.pem"), "utf8")).endsWith(body);
    await until("the file", isThere, { withinMs: 5000, everyMs: 10 });
    const [own, root, ...more] = parseCrls(await (await server.fetch("GET", `${PATH}/ca`)).text());
    assert.deepEqual(own?.der, before?.der);
    assert.equal(root?.number, 9n);
    assert.deepEqual(more, []);
  }
});

void test("an agent whose list is older than a new root CRL gets it, also after a start", async () => {
  const three = await fleet.server("s3");
  const published = three.ca.currentCrl()?.thisUpdateMs ?? 0;
  // Well after our own list, but the parent's came later still.
  const since = new Date(Math.max(published, Date.now()) + DAY_MS).toUTCString();
  const headers = { "If-Modified-Since": since };
  assert.equal((await three.fetch("GET", `${PATH}/ca`, { headers })).status, 200);
});

void test("what a newer version keeps with the authority stays when the CRLs change", async () => {
  const { key, value } = await authorityOf();
  const more = JSON.stringify({ ...(JSON.parse(value) as object), later: [1] });
  await one.etcd.transact({ when: [], then: [{ put: key, value: more }] });
  await one.ca.updateParentCrls(rootCrl({ number: 12 }));
  const now = JSON.parse((await authorityOf()).value) as { later: number[]; parentCrls: string };
  assert.deepEqual(now.later, [1]);
  assert.equal(parseCrls(now.parentCrls)[0]?.number, 12n);
});

void test("expirations name every CA and CRL, for whoever has a certificate", async () => {
  const path = "/puppet-ca/v1/expirations";
  assert.equal((await one.fetch("GET", path)).status, 403);
  const answer = await one.fetch("GET", path, { as: await adminOf(one) });
  assert.equal(answer.status, 200);
  const said = (await answer.json()) as Record<string, Record<string, string>>;
  const names = issuer.certificates.map(({ commonName }) => commonName);
  for (const kind of ["ca-certs", "crls"]) {
    assert.deepEqual(Object.keys(said[kind] ?? {}), names);
    for (const at of Object.values(said[kind] ?? {})) assert.match(at, /^\d{4}-.*T.*UTC$/);
  }
});

async function authorityOf() {
  const found = await one.etcd.get("understudy/ca/authority");
  assert.ok(found);
  return found;
}
