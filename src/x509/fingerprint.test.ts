import assert from "node:assert/strict";
import { test } from "node:test";
import { createCertificate } from "./certificate.ts";
import { fingerprint, fingerprints } from "./fingerprint.ts";
import { generateEcKey, spkiOf } from "./keys.ts";
import { nameOf } from "./name.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { openssl, write } = opensslFolder();

test("fingerprint prints what openssl prints", () => {
  const key = generateEcKey();
  const name = nameOf({ commonName: "a" });
  const der = createCertificate({
    serial: 1n,
    issuerDer: name,
    subjectDer: name,
    notBeforeMs: 0,
    notAfterMs: 1e12,
    spkiDer: spkiOf(key),
    extensions: [],
    signingKey: key,
  });
  write("a.der", der);
  for (const algorithm of ["SHA1", "SHA256", "SHA512"] as const) {
    const words = ["x509", "-inform", "DER", "-in", "a.der", "-noout", "-fingerprint"];
    const printed = openssl(...words, `-${algorithm.toLowerCase()}`);
    assert.equal(printed.trim().split("=")[1], fingerprint(der, algorithm));
  }
  assert.equal(fingerprints(der).default, fingerprint(der));
});
