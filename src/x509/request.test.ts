import "reflect-metadata";
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import * as peculiar from "@peculiar/x509";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { contextConstructed, derBoolean, derInteger, derNull, derOctets, derOid } from "./der.ts";
import { derSequence, derUtf8, derValue, TAG } from "./der.ts";
import { extensionText, subjectAltNames } from "./extension-values.ts";
import { encodeExtensions, puppetExtension, subjectAltName } from "./extensions.ts";
import { exportPkcs8, generateEcKey, generateRsaKey, spkiOf } from "./keys.ts";
import { nameOf } from "./name.ts";
import { OID } from "./oids.ts";
import { derFrom } from "./pem.ts";
import { createRequest, parseRequest, requestPem, verifyRequest } from "./request.ts";
import { algorithmFor, assembleSigned, signTbs } from "./signed.ts";
import { damaged, valueOrFault } from "./testing/hostile.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { openssl, write, read } = opensslFolder();
const malformed = (error: unknown) => isFault(error, "x509.malformed");
const key = generateEcKey();

/** A signed request with these encoded attributes, valid or not. */
function requestWith(attributes: Buffer[], version = 0): Buffer {
  const parts = [derInteger(version), nameOf({ commonName: "a" }), spkiOf(key)];
  const tbs = derSequence(...parts, derValue(contextConstructed(0), ...attributes));
  return assembleSigned(tbs, algorithmFor(key), signTbs(tbs, key));
}

/** The same with this in place of its public key. */
function requestOf(spki: Buffer): Buffer {
  const parts = [derInteger(0), nameOf({ commonName: "a" }), spki];
  const tbs = derSequence(...parts, derValue(contextConstructed(0)));
  return assembleSigned(tbs, algorithmFor(key), signTbs(tbs, key));
}

const attribute = (oid: string, ...values: Buffer[]) =>
  derSequence(derOid(oid), derValue(TAG.set, ...values));
const role = puppetExtension("pp_role", "web");
const roleDer = derSequence(derOid(role.oid), derOctets(role.value));

test("parseRequest gives back what createRequest was given, and openssl verifies it", async () => {
  for (const key of [generateEcKey(), await generateRsaKey(2048)]) {
    const extensions = [role, subjectAltName([{ type: "DNS", value: "b.example.com" }])];
    const attributes = [{ oid: OID.challengePassword, values: [derUtf8("secret")] }];
    const pem = createRequest({ commonName: "a.example.com", key, extensions, attributes });
    const parsed = parseRequest(pem);
    assert.equal(parsed.commonName, "a.example.com");
    assert.equal(parsed.subjectText, "CN=a.example.com");
    assert.deepEqual(parsed.requestedExtensions, extensions);
    assert.deepEqual(parsed.attributes[0], attributes[0]);
    assert.deepEqual(parsed.spkiDer, spkiOf(key));
    assert.ok(verifyRequest(parsed));
    write("r.pem", pem);
    const text = openssl(..."req -in r.pem -noout -text -verify".split(" "));
    assert.match(text, /verify OK/);
    assert.match(text, /DNS:b\.example\.com/);
    assert.match(text, /1\.3\.6\.1\.4\.1\.34380\.1\.1\.13: \n\s+\.\.web/);
    assert.match(text, /challengePassword\s*:secret/);
  }
});

test("createRequest without extensions and attributes is readable too", () => {
  const parsed = parseRequest(createRequest({ commonName: "a", key }));
  assert.deepEqual(parsed.attributes, []);
  assert.deepEqual(parsed.requestedExtensions, []);
});

const CONFIG = `[req]
distinguished_name = dn
req_extensions = ext
attributes = attributes
prompt = no
[dn]
CN = web7.example.com
[attributes]
challengePassword = secret
[ext]
subjectAltName = critical,DNS:web7.example.com,IP:10.0.0.1,IP:fe80::1
basicConstraints = CA:TRUE
1.3.6.1.4.1.34380.1.1.13 = ASN1:UTF8String:web+db
`;

const KEYS: [string, () => KeyObject, string][] = [
  ["RSA 1024", () => generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey, "sha256"],
  ["RSA 2048", () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey, "sha512"],
  ["RSA with SHA-1", () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey, "sha1"],
  ["P-256", () => key, "sha256"],
  ["P-384", () => generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey, "sha384"],
  ["P-521", () => generateKeyPairSync("ec", { namedCurve: "secp521r1" }).privateKey, "sha512"],
];
for (const [what, generate, hash] of KEYS) {
  test(`parseRequest and verifyRequest take openssl's request with a key of ${what}`, () => {
    write("k.pem", exportPkcs8(generate()));
    write("r.cnf", CONFIG);
    openssl(..."req -new -key k.pem -config r.cnf -out r.pem".split(" "), `-${hash}`);
    const parsed = parseRequest(read("r.pem"));
    assert.equal(parsed.commonName, "web7.example.com");
    const [san, constraints, custom] = parsed.requestedExtensions;
    assert.ok(san && constraints && custom);
    assert.equal(san.critical, true);
    assert.deepEqual(
      subjectAltNames(san).map(({ value }) => value),
      ["web7.example.com", "10.0.0.1", "fe80::1"],
    );
    assert.equal(constraints.oid, OID.basicConstraints);
    assert.equal(extensionText(custom), "web+db");
    assert.ok(verifyRequest(parsed));
    const signature = Buffer.from(parsed.signature);
    signature[20] = (signature[20] ?? 0) ^ 1;
    assert.equal(verifyRequest({ ...parsed, signature }), false);
  });
}

for (const [what, words] of [
  ["RSA-PSS", "-newkey rsa:2048 -sigopt rsa_padding_mode:pss"],
  ["a 512-bit RSA key", "-newkey rsa:512"],
  ["Ed25519", "-newkey ed25519"],
  ["secp256k1", "-newkey ec -pkeyopt ec_paramgen_curve:secp256k1"],
  ["MD5", "-newkey rsa:2048 -md5"],
] as const) {
  test(`verifyRequest says no to ${what}`, () => {
    const request = `req -new -nodes -keyout n.pem -subj /CN=a -out r.pem ${words}`;
    openssl(...request.split(" "));
    assert.equal(verifyRequest(parseRequest(read("r.pem"))), false);
  });
}

const SUBJECTS: [string, string[], string | undefined, number][] = [
  ["a common name with a newline", ["-subj", "/CN=a.example.com\n"], "a.example.com\n", 1],
  ["several common names", ["-subj", "/CN=a/CN=b"], undefined, 2],
  ["no common name", ["-subj", "/O=Lab"], undefined, 1],
  ["an empty subject", ["-subj", "/"], undefined, 0],
  ["a multi-valued RDN", ["-subj", "/CN=a+O=b", "-multivalue-rdn"], "a", 2],
];
for (const [what, words, commonName, count] of SUBJECTS) {
  test(`parseRequest reads ${what}`, () => {
    write("k.pem", exportPkcs8(key));
    openssl("req", "-new", "-key", "k.pem", "-out", "r.pem", ...words);
    const parsed = parseRequest(read("r.pem"));
    assert.equal(parsed.commonName, commonName);
    assert.equal(parsed.subjectRdnCount, count);
    assert.ok(verifyRequest(parsed));
  });
}

test("parseRequest takes the first value of extensionRequest and nothing of Microsoft's", () => {
  const microsoft = attribute("1.3.6.1.4.1.311.2.1.14", encodeExtensions([role]));
  assert.deepEqual(parseRequest(requestWith([microsoft])).requestedExtensions, []);
  const second = encodeExtensions([{ ...role, oid: "1.2.3" }]);
  const both = attribute(OID.extensionRequest, encodeExtensions([role]), second);
  assert.deepEqual(parseRequest(requestWith([both])).requestedExtensions, [role]);
});

test("parseRequest takes version 3, as puppetserver ca generate writes it", () => {
  const parsed = parseRequest(requestWith([extensionRequest(roleDer)], 2));
  assert.deepEqual(parsed.requestedExtensions, [role]);
  assert.ok(verifyRequest(parsed));
  write("r.pem", requestPem(parsed.der));
  assert.match(openssl(..."req -in r.pem -noout -verify".split(" ")), /verify OK/);
});

test("parseRequest takes an explicit critical FALSE", () => {
  const explicit = derSequence(derOid(role.oid), derBoolean(false), derOctets(role.value));
  const request = requestWith([attribute(OID.extensionRequest, derSequence(explicit))]);
  assert.deepEqual(parseRequest(request).requestedExtensions, [role]);
});

const extensionRequest = (...items: Buffer[]) =>
  attribute(OID.extensionRequest, derSequence(...items));
const REFUSED: [string, Buffer][] = [
  ["a repeated extension", requestWith([extensionRequest(roleDer, roleDer)])],
  ["a repeated attribute", requestWith([extensionRequest(roleDer), extensionRequest()])],
  ["an attribute without values", requestWith([attribute(OID.extensionRequest)])],
  [
    "an extension request of another type",
    requestWith([attribute(OID.extensionRequest, derNull())]),
  ],
  ["version 2", requestWith([], 1)],
  ["version 4", requestWith([], 3)],
  ["version 0", requestWith([], -1)],
  ["a key that is none", requestOf(derSequence(derSequence(), derNull()))],
  [
    "an algorithm of several parameters",
    requestOf(
      derSequence(
        derSequence(derOid("1.2.840.10045.2.1"), derNull(), derNull()),
        derValue(TAG.bitString, Buffer.from([0, 4])),
      ),
    ),
  ],
  ["a certificate", derSequence(derSequence(), derSequence(), derNull())],
  ["too many bytes", derOctets(Buffer.alloc(300_000))],
];
for (const [what, der] of REFUSED) {
  test(`parseRequest refuses ${what}`, () => assert.throws(() => parseRequest(der), malformed));
}

test("parseRequest and @peculiar/x509 read each other's requests", async () => {
  const ours = new peculiar.Pkcs10CertificateRequest(
    createRequest({ commonName: "ours.example.com", key, extensions: [role] }),
  );
  assert.equal(ours.subject, "CN=ours.example.com");
  assert.equal(ours.extensions[0]?.type, role.oid);
  assert.ok(await ours.verify());
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, [
    "sign",
    "verify",
  ]);
  const theirs = await peculiar.Pkcs10CertificateRequestGenerator.create({
    name: "CN=theirs.example.com",
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-384" },
    extensions: [new peculiar.SubjectAlternativeNameExtension([{ type: "dns", value: "x" }])],
    attributes: [new peculiar.ChallengePasswordAttribute("secret")],
  });
  const parsed = parseRequest(theirs.toString("pem"));
  assert.equal(parsed.commonName, "theirs.example.com");
  assert.deepEqual(
    parsed.attributes.map(({ oid }) => oid),
    [OID.challengePassword, OID.extensionRequest],
  );
  assert.ok(verifyRequest(parsed));
});

const readAll = (bytes: Buffer) =>
  valueOrFault(() => {
    const parsed = parseRequest(bytes);
    for (const extension of parsed.requestedExtensions) {
      extensionText(extension);
      if (extension.oid === OID.subjectAltName) subjectAltNames(extension);
    }
    verifyRequest(parsed);
  });

test("parseRequest makes a value or a Fault of damaged bytes", () => {
  const extensions = [role, subjectAltName([{ type: "DNS", value: "b" }])];
  const attributes = [{ oid: OID.challengePassword, values: [derUtf8("secret")] }];
  const pem = createRequest({ commonName: "a", key, extensions, attributes });
  const der = derFrom(pem, ["CERTIFICATE REQUEST"]);
  fc.assert(fc.property(damaged(der), readAll), { numRuns: 3000 });
  fc.assert(fc.property(damaged(Buffer.from(pem)), readAll), { numRuns: 1000 });
});
