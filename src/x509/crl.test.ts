import "reflect-metadata";
import assert from "node:assert/strict";
import { test } from "node:test";
import * as peculiar from "@peculiar/x509";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { certificatePem } from "./certificate.ts";
import { assembleCrl, createCrl, createCrlAsync, type CrlEntry, crlPem } from "./crl.ts";
import { encodeCrlEntry, parseCrl, parseCrls, verifyCrl } from "./crl.ts";
import { exportPkcs8, generateEcKey, generateRsaKey, spkiOf } from "./keys.ts";
import { derBoolean, derInteger, derOctets, derOid, derSequence, derValue, TAG } from "./der.ts";
import { OID } from "./oids.ts";
import { derTime } from "./time.ts";
import { authority, NOW_MS } from "./testing/authority.ts";
import { damaged, valueOrFault } from "./testing/hostile.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { openssl, write, read } = opensslFolder();
const rsa = authority(await generateRsaKey(2048));
const ec = authority(generateEcKey());

const content = (ca: typeof rsa, entries: (CrlEntry | Buffer)[], number = 7) => ({
  issuerDer: ca.issuerDer,
  authorityKeyId: ca.keyId,
  number,
  thisUpdateMs: NOW_MS,
  nextUpdateMs: Date.UTC(2051, 0, 1),
  entries,
});

const entry: fc.Arbitrary<CrlEntry> = fc.record(
  {
    serial: fc.oneof(fc.bigInt({ min: 0n, max: (1n << 159n) - 1n }), fc.nat().map(BigInt)),
    timeMs: fc.integer({ min: 0, max: 4e9 }).map((second) => second * 1000),
    reason: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 9, 10),
  },
  { noNullPrototype: true },
);

test("createCrl makes a list that openssl verifies and prints entry by entry", () => {
  for (const ca of [rsa, ec]) {
    const entries = [
      { serial: 0x80n, timeMs: NOW_MS, reason: 1 },
      { serial: 0xabcdef0123n, timeMs: NOW_MS + 1000, reason: 5 },
      { serial: 3n, timeMs: NOW_MS, reason: 0 },
    ];
    write("ca.pem", certificatePem(ca.der));
    write("crl.pem", crlPem(createCrl({ ...content(ca, entries), signingKey: ca.key }).der));
    const printed = openssl(..."crl -in crl.pem -CAfile ca.pem -noout -text".split(" "));
    assert.match(printed, /verify OK/);
    assert.match(printed, /Version 2/);
    assert.match(printed, /Last Update: Jan {2}2 03:04:05 2026 GMT/);
    assert.match(printed, /Next Update: Jan {2}1 00:00:00 2051 GMT/);
    // Puppet Server's order: the number, then the key identifier.
    assert.match(printed, /CRL Number: \n\s+7\n\s+X509v3 Authority Key Identifier: \n/);
    const serials = [...printed.matchAll(/Serial Number: (\w+)/g)].map(([, serial]) => serial);
    assert.deepEqual(serials, ["80", "ABCDEF0123", "03"]);
    const reasons = [...printed.matchAll(/Reason Code: \n\s+(.+)\n/g)].map(([, reason]) => reason);
    assert.deepEqual(reasons, ["Key Compromise", "Cessation Of Operation"]);
  }
});

test("openssl refuses a certificate that is on our list and takes its neighbour", () => {
  const key = generateEcKey();
  write("ca.pem", certificatePem(rsa.der));
  write("revoked.pem", certificatePem(rsa.leaf(key, "a", 5n)));
  write("good.pem", certificatePem(rsa.leaf(key, "b", 6n)));
  const entries = [{ serial: 5n, timeMs: NOW_MS, reason: 1 }];
  write("crl.pem", crlPem(createCrl({ ...content(rsa, entries), signingKey: rsa.key }).der));
  const words = ["verify", "-CAfile", "ca.pem", "-CRLfile", "crl.pem", "-crl_check", "-attime"];
  const at = String(NOW_MS / 1000 + 60);
  assert.match(openssl(...words, at, "good.pem"), /OK/);
  assert.throws(() => openssl(...words, at, "revoked.pem"), /certificate revoked/);
});

test("parseCrl gives back what createCrl was given, and assembleCrl the same bytes", () => {
  const number = fc.nat();
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), number, (entries, number) => {
      const made = createCrl({ ...content(ec, entries, number), signingKey: ec.key });
      const parsed = parseCrl(made.der);
      assert.deepEqual(parsed.entries, entries);
      assert.equal(parsed.number, BigInt(number));
      assert.equal(parsed.thisUpdateMs, NOW_MS);
      assert.equal(parsed.nextUpdateMs, Date.UTC(2051, 0, 1));
      assert.deepEqual(parsed.authorityKeyId, ec.keyId);
      assert.deepEqual(parsed.issuerDer, ec.issuerDer);
      assert.equal(parsed.issuerText, "CN=Puppet CA: s1.lab.test");
      assert.ok(verifyCrl(parsed, spkiOf(ec.key)));
      const { signature, signatureAlgorithm } = parsed;
      const encoded = entries.map(encodeCrlEntry);
      const again = assembleCrl({ ...content(ec, encoded, number), signature, signatureAlgorithm });
      assert.deepEqual(again, made.der);
    }),
  );
});

test("createCrl is deterministic with RSA, also when the signature is made on a thread", async () => {
  const entries = [{ serial: 5n, timeMs: NOW_MS, reason: 1 }];
  const first = createCrl({ ...content(rsa, entries), signingKey: rsa.key });
  const second = await createCrlAsync({ ...content(rsa, entries), signingKey: rsa.key });
  assert.deepEqual(second, first);
  const { signature } = first;
  assert.deepEqual(assembleCrl({ ...content(rsa, entries), signature }), first.der);
});

test("parseCrl reads 50,000 entries and openssl the same ones", () => {
  const entries = Array.from({ length: 50_000 }, (_, index) => ({
    serial: BigInt(index + 2),
    timeMs: NOW_MS + index * 1000,
    reason: 1,
  }));
  const { der } = createCrl({ ...content(rsa, entries), signingKey: rsa.key });
  assert.deepEqual(parseCrl(crlPem(der)).entries, entries);
  write("crl.der", der);
  const printed = openssl(..."crl -inform DER -in crl.der -noout -text".split(" "));
  assert.equal(printed.match(/Serial Number: /g)?.length, 50_000);
});

test("parseCrl reads the list of openssl ca, with other entry extensions", () => {
  write("ca.pem", certificatePem(rsa.der));
  write("ca.key", exportPkcs8(rsa.key));
  write("number", "1F\n");
  write(
    "index.txt",
    [
      "R\t310101000000Z\t260102030405Z,keyCompromise\t0A\tunknown\t/CN=a",
      "R\t310101000000Z\t260102030406Z\t80FF\tunknown\t/CN=b",
      "R\t310101000000Z\t260102030407Z,keyTime,20260101000000Z\t0B\tunknown\t/CN=c",
      "V\t310101000000Z\t\t0C\tunknown\t/CN=d",
      "",
    ].join("\n"),
  );
  write(
    "ca.cnf",
    `[ca]
default_ca = d
[d]
database = index.txt
crlnumber = number
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 30
crl_extensions = ext
[ext]
authorityKeyIdentifier = keyid:always
`,
  );
  openssl(..."ca -config ca.cnf -gencrl -out crl.pem".split(" "));
  const parsed = parseCrl(read("crl.pem"));
  assert.deepEqual(parsed.entries, [
    { serial: 0x0an, timeMs: NOW_MS, reason: 1 },
    { serial: 0x0bn, timeMs: NOW_MS + 2000, reason: 1 },
    { serial: 0x80ffn, timeMs: NOW_MS + 1000, reason: 0 },
  ]);
  assert.equal(parsed.number, 0x1fn);
  assert.deepEqual(parsed.authorityKeyId, rsa.keyId);
  assert.ok(verifyCrl(parsed, rsa.key));
  assert.equal(verifyCrl(parsed, ec.key), false);
});

test("parseCrl and @peculiar/x509 read each other's lists", async () => {
  const made = createCrl({
    ...content(ec, [{ serial: 0x1234n, timeMs: NOW_MS, reason: 1 }]),
    signingKey: ec.key,
  });
  const ours = new peculiar.X509Crl(new Uint8Array(made.der));
  assert.equal(ours.entries[0]?.serialNumber, "1234");
  assert.equal(ours.entries[0]?.revocationDate.getTime(), NOW_MS);
  assert.equal(ours.thisUpdate.getTime(), NOW_MS);
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const theirs = await peculiar.X509CrlGenerator.create({
    issuer: "CN=theirs",
    thisUpdate: new Date(NOW_MS),
    nextUpdate: new Date(NOW_MS + 1000),
    entries: [
      {
        serialNumber: "0abc",
        revocationDate: new Date(NOW_MS),
        reason: peculiar.X509CrlReason.superseded,
      },
    ],
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    signingKey: keys.privateKey,
  });
  const parsed = parseCrl(new Uint8Array(theirs.rawData));
  assert.deepEqual(parsed.entries, [{ serial: 0xabcn, timeMs: NOW_MS, reason: 4 }]);
  assert.equal(parsed.issuerText, "CN=theirs");
  assert.equal(parsed.number, undefined);
});

test("parseCrls reads a bundle in order", () => {
  const lists = [rsa, ec].map((ca) => createCrl({ ...content(ca, []), signingKey: ca.key }).der);
  assert.deepEqual(
    parseCrls(lists.map(crlPem).join("\n")).map(({ der }) => der),
    lists,
  );
});

test("encodeCrlEntry refuses reasons and serials that don't exist", () => {
  for (const bad of [
    { reason: 7 },
    { reason: 11 },
    { reason: 1.5 },
    { reason: -1 },
    { serial: -1n },
  ]) {
    assert.throws(
      () => encodeCrlEntry({ serial: 1n, timeMs: NOW_MS, reason: 1, ...bad }),
      (error) => isFault(error, "x509.unencodable"),
    );
  }
});

/** A list whose one entry has this extension. */
function listWith(oid: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [derBoolean(true)] : [];
  const extension = derSequence(derOid(oid), ...flag, derOctets(value));
  const bad = derSequence(derInteger(5), derTime(NOW_MS), derSequence(extension));
  return createCrl({ ...content(ec, [bad]), signingKey: ec.key }).der;
}

test("parseCrl refuses critical entry extensions that it doesn't know", () => {
  const certificateIssuer = listWith("2.5.29.29", true, derSequence());
  assert.throws(
    () => parseCrl(certificateIssuer),
    (error) => isFault(error, "x509.unsupported"),
  );
  assert.deepEqual(parseCrl(listWith("2.5.29.29", false, derSequence())).entries[0]?.reason, 0);
});

const reason = (number: number) => derInteger(number, TAG.enumerated);

test("parseCrl refuses reasons that don't exist and takes a critical reason", () => {
  for (const value of [reason(7), reason(11), derInteger(1), derValue(TAG.enumerated)]) {
    assert.throws(
      () => parseCrl(listWith(OID.crlReason, false, value)),
      (error) => isFault(error, "x509.malformed"),
    );
  }
  const critical = parseCrl(listWith(OID.crlReason, true, reason(4)));
  assert.equal(critical.entries[0]?.reason, 4);
});

test("parseCrl makes a value or a Fault of damaged bytes", () => {
  const entries = [
    { serial: 1n, timeMs: NOW_MS, reason: 1 },
    { serial: 1n << 100n, timeMs: NOW_MS, reason: 0 },
  ];
  const made = createCrl({ ...content(ec, entries), signingKey: ec.key });
  fc.assert(
    fc.property(damaged(made.der), (bytes) =>
      valueOrFault(() => {
        const parsed = parseCrl(bytes);
        if (verifyCrl(parsed, ec.key)) assert.deepEqual(parsed.tbsDer, made.tbsDer);
      }),
    ),
    { numRuns: 3000 },
  );
});
