import assert from "node:assert/strict";
import { test } from "node:test";
import { createCertificate, extensionsIn, parseCertificate } from "../x509/certificate.ts";
import { puppetExtension, subjectAltName } from "../x509/extensions.ts";
import { generateEcKey, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { Mirror } from "./mirror.ts";
import { certKey, encodeValue, nameKey, requestKey, revokedKey } from "./record.ts";
import { serialOf } from "./serial.ts";
import { allStatuses, prepareStatuses, statusOf, statusTexts } from "./view.ts";

const AT = "2026-11-20T10:00:00.000Z";
const key = generateEcKey();

function certificate(serial: number, certname: string): Buffer {
  return createCertificate({
    serial: BigInt(serial),
    issuerDer: nameOf({ commonName: "CA" }),
    subjectDer: nameOf({ commonName: certname }),
    notBeforeMs: Date.parse(AT),
    notAfterMs: Date.parse(AT) + 1000,
    spkiDer: spkiOf(key),
    extensions: [
      subjectAltName([{ type: "DNS", value: certname }]),
      puppetExtension("pp_auth_role", 'web "☂"'),
    ],
    signingKey: key,
  });
}

function filled(): Mirror {
  const mirror = new Mirror();
  for (const [index, name] of ["a.test", "b.test", "lost.test"].entries()) {
    const der = name === "lost.test" ? null : certificate(index, name).toString("base64");
    const times = { notBefore: AT, notAfter: AT, signedBy: "s1", at: AT };
    const cert = encodeValue({ certname: name, der, ...times });
    const current = encodeValue({ serial: serialOf(index) });
    mirror.apply([
      { key: certKey(serialOf(index)), value: cert, modRevision: 1 },
      { key: nameKey(name), value: current, modRevision: 1 },
    ]);
  }
  const request = encodeValue({ id: "x", pem: "no request", at: AT });
  mirror.apply([{ key: requestKey("r.test"), value: request, modRevision: 1 }]);
  return mirror;
}

void test("statusTexts say what statusOf says, prepared or not, and follow a revocation", async () => {
  const mirror = filled();
  const names = ["r.test", "a.test", "b.test", "lost.test"];
  const expectAll = () =>
    assert.deepEqual(
      [...statusTexts(mirror)].map((text) => JSON.parse(text.toString()) as unknown),
      names.map((name) => statusOf(mirror, name)),
    );
  expectAll();
  await prepareStatuses(mirror);
  expectAll();
  const value = encodeValue({ number: 1, at: AT, reason: 1, certname: "b.test" });
  mirror.apply([{ key: revokedKey(serialOf(1)), value, modRevision: 2 }]);
  expectAll();
  assert.deepEqual(
    allStatuses(mirror, "revoked").map(({ name, state }) => [name, state]),
    [["b.test", "revoked"]],
  );
  assert.equal(allStatuses(mirror, "requested").length, 1);
  assert.equal(statusOf(mirror, "a.test")?.authorization_extensions["pp_auth_role"], 'web "☂"');
});

void test("extensionsIn reads what parseCertificate reads, and refuses what it refuses", () => {
  const der = certificate(1, "a.test");
  assert.deepEqual(extensionsIn(der), parseCertificate(der).extensions);
  assert.throws(() => extensionsIn(der.subarray(0, der.length - 1)));
  assert.throws(() => extensionsIn(Buffer.alloc(0)));
});

void test("Mirror.distrust goes on serving what it has, and lets any reading replace it", () => {
  const mirror = filled();
  mirror.distrust();
  assert.equal(mirror.revision, 0);
  assert.equal(statusOf(mirror, "a.test")?.state, "signed");
  const value = encodeValue({ serial: serialOf(1) });
  mirror.replace([{ key: nameKey("b.test"), value, modRevision: 1 }], 1);
  assert.equal(statusOf(mirror, "a.test"), undefined);
  assert.deepEqual([...mirror.tables.names.names()], ["b.test"]);
});
