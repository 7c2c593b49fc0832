import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { createRequest } from "../x509/request.ts";
import { generateEcKey } from "../x509/keys.ts";
import { parseCrl } from "../x509/crl.ts";
import {
  authorityHash,
  createAuthorityCa,
  issueLeaf,
  LEAVES,
  type LeafName,
  renderAuthorityCrl,
} from "./pki.ts";
import { seal, unseal } from "./seal.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const CLIENT = "1.3.6.1.5.5.7.3.2";
const SERVER = "1.3.6.1.5.5.7.3.1";

test("issueLeaf gives each leaf its own rights and nothing more", () => {
  const key = generateEcKey();
  const request = createRequest({ commonName: "whatever", key });
  for (const leaf of Object.keys(LEAVES) as LeafName[]) {
    const { authority, server, client } = LEAVES[leaf];
    const ca = createAuthorityCa(authority, "c1", nowMs);
    const { pem } = issueLeaf(
      ca,
      leaf,
      { id: "s2.lab.test", address: "10.88.0.12" },
      request,
      nowMs,
    );
    const certificate = new X509Certificate(pem);
    const issuer = new X509Certificate(ca.certificatePem);
    assert.ok(certificate.verify(issuer.publicKey), leaf);
    assert.ok(certificate.checkIssued(issuer), leaf);
    assert.equal(certificate.subject, "CN=s2.lab.test", leaf);
    assert.equal(certificate.keyUsage?.includes(SERVER) ?? false, server, leaf);
    assert.equal(certificate.keyUsage?.includes(CLIENT) ?? false, client, leaf);
    assert.ok(certificate.subjectAltName?.includes(`${leaf}.s2.lab.test.understudy`), leaf);
  }
});

test("renderAuthorityCrl lists what is revoked", () => {
  const ca = createAuthorityCa("edge", "c1", nowMs);
  const pem = renderAuthorityCrl(
    ca,
    { number: 3, revoked: [{ serialHex: "40AB", atMs: nowMs }] },
    nowMs,
  );
  const crl = parseCrl(pem);
  assert.deepEqual(
    crl.entries.map((entry) => entry.serial),
    [0x40abn],
  );
  assert.match(authorityHash(ca.certificatePem), /^[\w-]{43}$/);
});

test("unseal opens what was sealed for its key, and nothing else", () => {
  const [reader, other] = [generateEcKey(), generateEcKey()];
  const sealed = seal("the CA key", reader);
  assert.equal(unseal(sealed, reader), "the CA key");
  assert.throws(() => unseal(sealed, other), /can't be decrypted/);
  const broken = { ...sealed, box: `${sealed.box.slice(0, -4)}AAA=` };
  assert.throws(() => unseal(broken, reader), /can't be decrypted/);
});
