import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { certificatePem, createCertificate } from "../x509/certificate.ts";
import { createCrl, crlPem } from "../x509/crl.ts";
import { derInteger, derSequence, derValue, TAG } from "../x509/der.ts";
import { spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { derTime } from "../x509/time.ts";
import { createAuthority } from "./create.ts";
import { readAuthority, type DiskAuthority } from "./directory-state.ts";
import { publishedNumber } from "./import-plan.ts";
import { batchesOf } from "./store.ts";
import { readContent } from "./import-read.ts";

const NOW_MS = Date.UTC(2026, 10, 24);
const DAY_MS = 86_400_000;

let folder: string;
let cadir: string;
let authority: DiskAuthority;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-read-"));
  cadir = join(folder, "ca");
  const caName = "Puppet CA: s1.test";
  ({ authority } = await createAuthority({ cadir, caName, keyBits: 1024 }));
});
after(() => rm(folder, { recursive: true, force: true }));

/** The directory with a list of its CA that has these entries and this number. */
async function withList(entries: Buffer[], number = 7n): Promise<DiskAuthority> {
  const list = createCrl({
    issuerDer: authority.issuer.certificate.subjectDer,
    authorityKeyId: authority.issuer.keyId,
    number,
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS + DAY_MS,
    signingKey: authority.key,
    entries,
  });
  await writeFile(join(cadir, "ca_crl.pem"), crlPem(list.der));
  const read = await readAuthority(cadir);
  assert.ok(read.state === "complete");
  return read;
}

const entry = (serial: Buffer, time: Buffer) => derSequence(derValue(TAG.integer, serial), time);

test("readContent has each revocation once, and leaves out what no certificate can have", async () => {
  const read = await withList([
    entry(Buffer.from([5]), derTime(NOW_MS)),
    // Puppet revoked it once more.
    entry(Buffer.from([5]), derTime(NOW_MS + DAY_MS)),
    entry(Buffer.from([0xff]), derTime(NOW_MS)),
    entry(Buffer.alloc(30, 0x7f), derTime(NOW_MS)),
    entry(Buffer.alloc(50, 0x7f), derTime(NOW_MS)),
    derSequence(derInteger(6), derValue(TAG.generalizedTime, Buffer.from("19000101000000Z"))),
  ]);
  const { revoked, notes } = await readContent(cadir, read);
  assert.deepEqual(revoked, [
    { serial: "00000005", atMs: NOW_MS, reason: 0 },
    { serial: "7F".repeat(30), atMs: NOW_MS, reason: 0 },
    { serial: "00000006", atMs: Date.UTC(1950, 0, 1), reason: 0 },
  ]);
  assert.deepEqual(notes, [
    { kind: "crl-entry", what: "-1" },
    { kind: "crl-entry", what: "7F".repeat(50) },
  ]);
});

test("readContent names a certificate for its file when its own name would break a line", async () => {
  const der = createCertificate({
    serial: 0xan,
    issuerDer: authority.issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: "a.test\n0x0001 of somebody else" }),
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + DAY_MS,
    spkiDer: spkiOf(authority.key),
    extensions: [],
    signingKey: authority.key,
  });
  const path = join(cadir, "signed", "odd.test.pem");
  await writeFile(path, certificatePem(der));
  const { signed, notes } = await readContent(cadir, await withList([]));
  await rm(path);
  assert.deepEqual(
    signed.map(({ certname, named }) => [certname, named]),
    [["odd.test", false]],
  );
  assert.deepEqual(
    notes.map(({ kind }) => kind),
    ["misnamed"],
  );
});

test("readContent passes over the line that old versions of Puppet have for the CA itself", async () => {
  const times = "2020-01-01T00:00:00UTC 2030-01-01T00:00:00UTC";
  const lines = `0x0001 ${times} /CN=Puppet CA: s1.test\n0x0002 ${times} /CN=Some CA\n`;
  const read = { ...(await withList([])), inventory: lines };
  const { inventory, notes } = await readContent(cadir, read);
  assert.deepEqual(inventory, []);
  assert.deepEqual(
    notes.map(({ kind, what }) => [kind, what.slice(0, 2)]),
    [["line", "2:"]],
  );
});

test("publishedNumber takes what the record can count on from", async () => {
  assert.equal(publishedNumber(await withList([], 7n)), 7);
  const vast = await withList([], 1n << 60n);
  assert.throws(
    () => publishedNumber(vast),
    (error) => isFault(error, "x509.unsupported"),
  );
});

test("batchesOf ends a batch at a hundred keys, and before it has too many bytes", () => {
  const put = (value: string) => ({ key: "k", value, was: 0 });
  const sizes = (puts: ReturnType<typeof put>[]) => batchesOf(puts).map(({ length }) => length);
  assert.deepEqual(sizes([]), []);
  assert.deepEqual(sizes(Array.from({ length: 250 }, () => put("x"))), [100, 100, 50]);
  const large = put("x".repeat(300 * 1024));
  assert.deepEqual(sizes([large, large, put("x"), put("x"), large]), [1, 3, 1]);
});
