import "reflect-metadata";
import assert from "node:assert/strict";
import { X509Certificate as NodeCertificate } from "node:crypto";
import { test } from "node:test";
import * as peculiar from "@peculiar/x509";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { createCertificate, createCertificateAsync, parseCertificate } from "./certificate.ts";
import { certificatePem, parseCertificates, serialHexOf, verifySignature } from "./certificate.ts";
import { extensionText, isCa, subjectAltNames, authorityKey } from "./extension-values.ts";
import { authorityKeyId, subjectKeyId } from "./extension-values.ts";
import { exportPkcs8, generateEcKey, generateRsaKey, keyIdOf, spkiOf } from "./keys.ts";
import { nameOf } from "./name.ts";
import { authority, NOW_MS } from "./testing/authority.ts";
import { damaged, valueOrFault } from "./testing/hostile.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { openssl, write, read } = opensslFolder();
const rsa = authority(await generateRsaKey(2048));
const ec = authority(generateEcKey());
const hex = (bytes: Buffer) =>
  bytes
    .toString("hex")
    .toUpperCase()
    .replace(/..(?=.)/g, "$&:");
const refused = (error: unknown) => isFault(error, "x509.unencodable");
const leafKey = generateEcKey();

test("createCertificate makes Puppet Server's profile, extension by extension as openssl prints it", () => {
  write("leaf.pem", certificatePem(rsa.leaf(leafKey)));
  const text = openssl("x509", "-in", "leaf.pem", "-noout", "-text");
  const lines = text.split("\n").map((line) => line.trim());
  const extensions = lines.slice(
    lines.indexOf("X509v3 extensions:") + 1,
    lines.lastIndexOf("Signature Algorithm: sha256WithRSAEncryption"),
  );
  assert.deepEqual(extensions, [
    "X509v3 Subject Alternative Name:",
    "IP Address:10.88.0.21, DNS:puppet, DNS:web7.example.com",
    "Netscape Comment:",
    "Puppet Server Internal Certificate",
    "X509v3 Authority Key Identifier:",
    `keyid:${hex(rsa.keyId)}`,
    "DirName:/CN=Puppet CA: s1.lab.test",
    "serial:01",
    "X509v3 Subject Key Identifier:",
    hex(keyIdOf(spkiOf(leafKey))),
    "1.3.6.1.4.1.34380.1.1.13:",
    "..web+db",
    "X509v3 Basic Constraints: critical",
    "CA:FALSE",
    "X509v3 Extended Key Usage: critical",
    "TLS Web Server Authentication, TLS Web Client Authentication",
    "X509v3 Key Usage: critical",
    "Digital Signature, Key Encipherment",
  ]);
  assert.ok(lines.includes("Version: 3 (0x2)"));
  assert.ok(lines.includes("Serial Number: 2748 (0xabc)"));
  assert.ok(lines.includes("Subject: CN = web7.example.com"));
  assert.ok(lines.includes("Not Before: Jan  1 03:04:05 2026 GMT"));
});

for (const [what, ca] of [
  ["RSA", rsa],
  ["P-256", ec],
] as const) {
  test(`createCertificate with a key of ${what} makes chains that openssl and node verify`, () => {
    const leaf = ca.leaf(leafKey);
    write("ca.pem", certificatePem(ca.der));
    write("leaf.pem", certificatePem(leaf));
    const at = String(NOW_MS / 1000);
    const strict = ["verify", "-x509_strict", "-check_ss_sig", "-attime", at];
    assert.match(openssl(...strict, "-CAfile", "ca.pem", "leaf.pem"), /OK/);
    assert.ok(new NodeCertificate(leaf).checkIssued(new NodeCertificate(ca.der)));
    assert.ok(verifySignature(parseCertificate(leaf), parseCertificate(ca.der).spkiDer));
    assert.ok(verifySignature(parseCertificate(leaf), ca.key));
  });
}

test("verifySignature says no to another key, another type of key and garbage", async () => {
  const leaf = parseCertificate(rsa.leaf(leafKey));
  assert.equal(verifySignature(leaf, await generateRsaKey(2048)), false);
  assert.equal(verifySignature(leaf, ec.key), false);
  assert.equal(verifySignature(leaf, Buffer.from("garbage")), false);
  assert.equal(verifySignature({ ...leaf, signatureAlgorithm: "1.2.3" }, rsa.key), false);
});

test("parseCertificate gives back what createCertificate was given", () => {
  const instant = fc.integer({ min: -6e8, max: 2.5e11 }).map((second) => second * 1000);
  const content = fc.record({
    serial: fc.bigInt({ min: 0n, max: (1n << 159n) - 1n }),
    commonName: fc.string({ minLength: 1, maxLength: 80 }),
    notBeforeMs: instant,
    notAfterMs: instant,
    extensions: fc.uniqueArray(
      fc.record(
        {
          oid: fc.nat(1000).map((arc) => `1.3.6.1.4.1.34380.1.1.${arc}`),
          critical: fc.boolean(),
          value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        },
        { noNullPrototype: true },
      ),
      { selector: ({ oid }) => oid, maxLength: 5 },
    ),
  });
  const spkiDer = spkiOf(leafKey);
  fc.assert(
    fc.property(content, ({ commonName, ...content }) => {
      const subjectDer = nameOf({ commonName });
      const { issuerDer, key } = ec;
      const der = createCertificate({
        ...content,
        issuerDer,
        subjectDer,
        spkiDer,
        signingKey: key,
      });
      const parsed = parseCertificate(der);
      assert.equal(parsed.serial, content.serial);
      assert.equal(parsed.notBefore, content.notBeforeMs);
      assert.equal(parsed.notAfter, content.notAfterMs);
      assert.equal(parsed.commonName, commonName);
      assert.equal(parsed.subjectRdnCount, 1);
      assert.deepEqual(parsed.extensions, content.extensions);
      assert.deepEqual(parsed.spkiDer, spkiDer);
      assert.deepEqual(parsed.issuerDer, issuerDer);
      assert.ok(verifySignature(parsed, key));
    }),
  );
});

test("createCertificateAsync makes the same bytes as createCertificate", async () => {
  const { issuerDer } = rsa;
  const content = {
    serial: 5n,
    issuerDer,
    subjectDer: issuerDer,
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + 1000,
    spkiDer: spkiOf(leafKey),
    extensions: [],
    signingKey: rsa.key,
  };
  assert.deepEqual(await createCertificateAsync(content), createCertificate(content));
});

test("createCertificate refuses serials out of range and repeated extensions", () => {
  const extension = { oid: "1.2.3", critical: false, value: Buffer.from([5, 0]) };
  const content = { subjectDer: ec.issuerDer, spkiDer: spkiOf(leafKey), days: 1 };
  assert.throws(() => ec.make({ ...content, serial: -1n, extensions: [] }), refused);
  assert.throws(() => ec.make({ ...content, serial: 1n << 159n, extensions: [] }), refused);
  const extensions = [extension, extension];
  assert.throws(() => ec.make({ ...content, serial: 1n, extensions }), refused);
});

test("parseCertificate reads a certificate of openssl with every kind of alternative name", () => {
  write("ca.key", exportPkcs8(ec.key));
  write(
    "san.cnf",
    `[req]
distinguished_name = dn
x509_extensions = ext
prompt = no
[dn]
C = DE
O = "Example, Inc."
CN = odd.example.com
[ext]
subjectAltName = DNS:a.example.com,IP:10.0.0.1,IP:2001:db8::1,email:a@b.c,URI:https://x/,RID:1.2.3,dirName:dir,otherName:1.2.3;UTF8:x
basicConstraints = critical,CA:TRUE,pathlen:0
1.3.6.1.4.1.34380.1.1.13 = ASN1:UTF8String:web+db
1.3.6.1.4.1.34380.1.1.14 = ASN1:PRINTABLESTRING:printable
1.3.6.1.4.1.34380.1.1.15 = DER:61:62:63:64
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[dir]
CN = somebody
`,
  );
  openssl(
    ..."req -x509 -new -key ca.key -config san.cnf -out san.pem -days 20000".split(" "),
    "-set_serial",
    "0x80ABCDEF0123456789ABCDEF0123456789AB",
  );
  const parsed = parseCertificate(read("san.pem"));
  assert.deepEqual(subjectAltNames(parsed).slice(0, 5), [
    { type: "DNS", value: "a.example.com" },
    { type: "IP", value: "10.0.0.1" },
    { type: "IP", value: "2001:db8::1" },
    { type: "email", value: "a@b.c" },
    { type: "URI", value: "https://x/" },
  ]);
  assert.deepEqual(
    subjectAltNames(parsed)
      .map(({ type }) => type)
      .slice(5),
    ["other", "other", "other"],
  );
  const text = (oid: string) => {
    const extension = parsed.extensions.find((extension) => extension.oid === oid);
    return extension && extensionText(extension);
  };
  assert.equal(text("1.3.6.1.4.1.34380.1.1.13"), "web+db");
  assert.equal(text("1.3.6.1.4.1.34380.1.1.14"), "printable");
  assert.equal(text("1.3.6.1.4.1.34380.1.1.15"), "abcd");
  assert.equal(parsed.subjectText, "CN=odd.example.com,O=Example\\, Inc.,C=DE");
  assert.equal(parsed.subjectRdnCount, 3);
  assert.ok(isCa(parsed));
  assert.deepEqual(subjectKeyId(parsed), keyIdOf(parsed.spkiDer));
  assert.deepEqual(authorityKeyId(parsed), subjectKeyId(parsed));
  assert.ok(verifySignature(parsed, parsed.spkiDer));
  const words = ["x509", "-in", "san.pem", "-noout", "-serial", "-enddate"];
  const [serial = "", end = ""] = openssl(...words).split("\n");
  assert.equal(serial, `serial=${parsed.serialHex}`);
  assert.equal(Date.parse(end.replace("notAfter=", "")), parsed.notAfter);
});

test("authorityKey reads issuer and serial of Puppet Server's form", () => {
  const found = authorityKey(parseCertificate(rsa.leaf(leafKey)));
  assert.deepEqual(found, { keyId: rsa.keyId, issuerDer: rsa.issuerDer, serial: rsa.serial });
});

test("parseCertificate and @peculiar/x509 read each other's certificates", async () => {
  const ours = new peculiar.X509Certificate(new Uint8Array(rsa.leaf(leafKey)));
  assert.equal(ours.subject, "CN=web7.example.com");
  assert.equal(ours.serialNumber, "0abc");
  assert.equal(ours.notBefore.getTime(), NOW_MS - 86_400_000);
  const san = ours.getExtension(peculiar.SubjectAlternativeNameExtension);
  assert.deepEqual(
    san?.names.toJSON().map(({ value }) => value),
    ["10.88.0.21", "puppet", "web7.example.com"],
  );
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const theirs = await peculiar.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01ff",
    name: "CN=theirs.example.com, O=Lab",
    notBefore: new Date(NOW_MS),
    notAfter: new Date(Date.UTC(2051, 0, 1)),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys,
    extensions: [
      new peculiar.BasicConstraintsExtension(true, 2, true),
      new peculiar.SubjectAlternativeNameExtension([{ type: "ip", value: "::1" }]),
    ],
  });
  const parsed = parseCertificate(new Uint8Array(theirs.rawData));
  assert.equal(parsed.serialHex, "01FF");
  assert.equal(parsed.commonName, "theirs.example.com");
  assert.equal(parsed.notAfter, Date.UTC(2051, 0, 1));
  assert.deepEqual(subjectAltNames(parsed), [{ type: "IP", value: "::1" }]);
  assert.ok(verifySignature(parsed, parsed.spkiDer));
});

test("parseCertificates reads a bundle in order and parseCertificate refuses one", () => {
  const bundle = `# CAs\n${certificatePem(rsa.der)}\n${certificatePem(ec.der)}`;
  assert.deepEqual(
    parseCertificates(bundle).map(({ der }) => der),
    [rsa.der, ec.der],
  );
  assert.throws(
    () => parseCertificate(bundle),
    (error) => isFault(error, "x509.malformed"),
  );
});

test("serialHexOf prints as openssl does", () => {
  const printed = [0n, 1n, 0x80n, 0xabcn, -1n].map(serialHexOf);
  assert.deepEqual(printed, ["00", "01", "80", "0ABC", "-01"]);
});

test("parseCertificate makes a value or a Fault of damaged bytes", () => {
  const valid = rsa.leaf(leafKey);
  fc.assert(
    fc.property(damaged(valid), (bytes) =>
      valueOrFault(() => {
        const parsed = parseCertificate(bytes);
        valueOrFault(() => subjectAltNames(parsed));
        valueOrFault(() => authorityKey(parsed));
        valueOrFault(() => subjectKeyId(parsed));
        valueOrFault(() => isCa(parsed));
        for (const extension of parsed.extensions) extensionText(extension);
        verifySignature(parsed, parsed.spkiDer);
        // Only the bits outside the signed part may change without breaking the signature.
        if (verifySignature(parsed, rsa.key)) {
          assert.deepEqual(parsed.tbsDer, parseCertificate(valid).tbsDer);
        }
      }),
    ),
    { numRuns: 3000 },
  );
});
