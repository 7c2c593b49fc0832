import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { exportPkcs1, exportPkcs8, exportSpki, generateEcKey, generateRsaKey } from "./keys.ts";
import { isSupported, keyIdOf, matches, publicKeyOf, readPrivateKey, spkiOf } from "./keys.ts";
import { damaged, valueOrFault } from "./testing/hostile.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { openssl, write, read } = opensslFolder();
const keyFault = (error: unknown) => isFault(error, "x509.key");

test("readPrivateKey gives back keys written as PKCS#1 and PKCS#8, and openssl reads them", async () => {
  const rsa = await generateRsaKey(2048);
  const ec = generateEcKey();
  assert.match(exportPkcs1(rsa), /^-----BEGIN RSA PRIVATE KEY-----\n/);
  assert.match(exportPkcs8(ec), /^-----BEGIN PRIVATE KEY-----\n/);
  for (const [key, pem] of [
    [rsa, exportPkcs1(rsa)],
    [rsa, exportPkcs8(rsa)],
    [ec, exportPkcs8(ec)],
  ] as const) {
    assert.ok(readPrivateKey(pem).equals(key));
    assert.ok(readPrivateKey(Buffer.from(pem)).equals(key));
    write("k.pem", pem);
    assert.equal(openssl("pkey", "-in", "k.pem", "-pubout"), exportSpki(key));
    assert.equal(exportSpki(createPublicKey(key)), exportSpki(key));
  }
  assert.throws(() => exportPkcs1(ec), keyFault);
});

test("readPrivateKey reads what openssl writes", () => {
  openssl("genrsa", "-traditional", "-out", "rsa1.pem", "2048");
  openssl("genrsa", "-out", "rsa8.pem", "2048");
  openssl("ecparam", "-name", "secp384r1", "-genkey", "-out", "ec.pem"); // parameters, then key
  for (const file of ["rsa1.pem", "rsa8.pem", "ec.pem"]) {
    openssl("pkey", "-in", file, "-pubout", "-outform", "DER", "-out", "spki.der");
    const key = readPrivateKey(read(file));
    assert.ok(matches(key, read("spki.der")), file);
    assert.equal(matches(generateEcKey(), read("spki.der")), false);
  }
});

test("readPrivateKey refuses garbage, public keys, encrypted keys and other kinds", () => {
  openssl(..."genrsa -aes128 -passout pass:secret -out locked8.pem 2048".split(" "));
  openssl(..."genrsa -traditional -aes128 -passout pass:secret -out locked1.pem 2048".split(" "));
  openssl("genpkey", "-algorithm", "ed25519", "-out", "ed.pem");
  openssl("ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", "k1.pem");
  const other = ["locked8.pem", "locked1.pem", "ed.pem", "k1.pem"].map((file) => read(file));
  const garbage = ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"];
  const inputs = [...other, ...garbage, "x".repeat(100_000), exportSpki(generateEcKey())];
  inputs.push(exportPkcs8(generateEcKey()) + exportPkcs8(generateEcKey()));
  for (const input of inputs) assert.throws(() => readPrivateKey(input), keyFault);
  assert.throws(() => readPrivateKey(read("locked1.pem")), /encrypted/);
});

test("keyIdOf equals openssl's subject key identifier", () => {
  const key = generateEcKey();
  write("k.pem", exportPkcs8(key));
  openssl(..."req -x509 -new -key k.pem -subj /CN=a -out c.pem".split(" "));
  const text = openssl("x509", "-in", "c.pem", "-noout", "-ext", "subjectKeyIdentifier");
  const printed = /([0-9A-F]{2}(:[0-9A-F]{2}){19})/.exec(text)?.[1]?.replaceAll(":", "");
  assert.equal(keyIdOf(spkiOf(key)).toString("hex").toUpperCase(), printed);
});

test("isSupported says no to small RSA keys and odd curves", () => {
  const small = generateKeyPairSync("rsa", { modulusLength: 512 }).privateKey;
  const odd = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey;
  const pss = generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).privateKey;
  for (const key of [small, odd, pss]) assert.equal(isSupported(key), false);
  assert.ok(isSupported(generateEcKey()));
});

test("publicKeyOf and keyIdOf make a value or a Fault of damaged keys", () => {
  fc.assert(
    fc.property(damaged(spkiOf(generateEcKey())), (bytes) => {
      valueOrFault(() => publicKeyOf(bytes));
      valueOrFault(() => keyIdOf(bytes));
    }),
    { numRuns: 500 },
  );
  assert.throws(() => publicKeyOf(Buffer.alloc(10_000)), keyFault);
});
