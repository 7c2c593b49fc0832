import assert from "node:assert/strict";
import { test } from "node:test";
import { authorityKey } from "../x509/extension-values.ts";
import { createCertificate, parseCertificate } from "../x509/certificate.ts";
import { puppetExtension } from "../x509/extensions.ts";
import { keyIdOf, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { run } from "../host/process.ts";
import { certificatePem } from "../x509/certificate.ts";
import { readIssuer } from "./issuer.ts";
import { agentExtensions, serverExtensions, type Subject } from "./profile.ts";
import { agentKey } from "./testing/fleet.ts";

const key = await agentKey();
const spkiDer = spkiOf(key);

/** An issuing CA whose certificate has another issuer and a serial of its own. */
const issuer = readIssuer(
  Buffer.from(
    certificatePem(
      createCertificate({
        serial: 2n,
        issuerDer: nameOf({ commonName: "Puppet Root CA: 1" }),
        subjectDer: nameOf({ commonName: "Puppet CA: s1" }),
        notBeforeMs: 0,
        notAfterMs: 4_000_000_000_000,
        spkiDer,
        extensions: [],
        signingKey: key,
      }),
    ),
  ),
);

const subject: Subject = {
  certname: "a.test",
  spkiDer,
  altNames: [
    { type: "DNS", value: "web.test" },
    { type: "IP", value: "10.0.0.1" },
  ],
  altNamesCritical: false,
  extensions: [puppetExtension("pp_role", "web")],
};

void test("agentExtensions come in Puppet Server's order, with its flags", async () => {
  const extensions = agentExtensions(issuer, subject);
  assert.deepEqual(
    extensions.map(({ oid, critical }) => [oid, critical]),
    [
      ["2.5.29.17", false],
      ["2.16.840.1.113730.1.13", false],
      ["2.5.29.35", false],
      ["2.5.29.14", false],
      ["1.3.6.1.4.1.34380.1.1.13", false],
      ["2.5.29.19", true],
      ["2.5.29.37", true],
      ["2.5.29.15", true],
    ],
  );
  const authority = authorityKey({ extensions });
  assert.deepEqual(authority.keyId, keyIdOf(spkiDer));
  assert.deepEqual(authority.issuerDer, nameOf({ commonName: "Puppet Root CA: 1" }));
  assert.equal(authority.serial, 2n);
  const der = createCertificate({
    serial: 3n,
    issuerDer: issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: "a.test" }),
    notBeforeMs: 0,
    notAfterMs: 4_000_000_000_000,
    spkiDer,
    extensions,
    signingKey: key,
  });
  const text = await run(["openssl", "x509", "-noout", "-text"], { input: certificatePem(der) });
  assert.match(text, /IP Address:10\.0\.0\.1, DNS:web\.test, DNS:a\.test/);
  assert.match(text, /Netscape Comment: \n\s+Puppet Server Internal Certificate/);
  assert.match(text, /Digital Signature, Key Encipherment\n/);
  assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/);
  assert.match(text, /DirName:\/?CN ?= ?Puppet Root CA: 1\n\s+serial:02/);
});

void test("agentExtensions name the certname once, and move critical extensions behind the others", () => {
  const own = { ...subject, altNames: [{ type: "DNS" as const, value: "a.test" }] };
  const [names] = agentExtensions(issuer, own);
  assert.equal(names?.value.toString("latin1").match(/a\.test/g)?.length, 1);
  const extensions = agentExtensions(issuer, { ...own, altNamesCritical: true });
  assert.deepEqual(
    extensions.slice(-4).map(({ oid }) => oid),
    ["2.5.29.17", "2.5.29.19", "2.5.29.37", "2.5.29.15"],
  );
});

void test("serverExtensions add the right to administer the CA, once", () => {
  const asked = [puppetExtension("pp_cli_auth", "false"), puppetExtension("pp_role", "web")];
  const der = createCertificate({
    serial: 3n,
    issuerDer: issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: "s1.test" }),
    notBeforeMs: 0,
    notAfterMs: 4_000_000_000_000,
    spkiDer,
    extensions: serverExtensions(issuer, { ...subject, extensions: asked }),
    signingKey: key,
  });
  const rights = parseCertificate(der).extensions.filter(({ oid }) => oid.endsWith(".1.3.39"));
  assert.deepEqual(
    rights.map(({ value }) => value.toString("latin1")),
    ["\u000c\u0004true"],
  );
});
