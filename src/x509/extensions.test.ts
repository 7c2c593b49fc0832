import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { derAscii, derSequence, derUtf8, derValue, TAG } from "./der.ts";
import { extensionText, isCa, subjectAltNames } from "./extension-values.ts";
import { type AltName, authorityKeyIdentifier, basicConstraints, crlNumber } from "./extensions.ts";
import { encodeExtensions, extendedKeyUsage, KEY_USAGES, keyUsage } from "./extensions.ts";
import { netscapeComment, puppetExtension, subjectAltName } from "./extensions.ts";
import { isUnder, OID, puppetOid, puppetShortName } from "./oids.ts";
import { damaged, valueOrFault } from "./testing/hostile.ts";

const unencodable = (error: unknown) => isFault(error, "x509.unencodable");
const text = (value: Buffer) => extensionText({ oid: "1.2.3", critical: false, value });
const hex = (extension: { value: Buffer }) => extension.value.toString("hex");

test("subjectAltNames gives back what subjectAltName was given", () => {
  const ascii = fc.string({ unit: "grapheme-ascii" });
  const name: fc.Arbitrary<AltName> = fc.oneof(
    fc.record(
      { type: fc.constantFrom("DNS" as const, "email" as const, "URI" as const), value: ascii },
      { noNullPrototype: true },
    ),
    fc.ipV4().map((value): AltName => ({ type: "IP", value })),
    fc.constant<AltName>({ type: "other", value: "8803010203" }),
  );
  fc.assert(
    fc.property(fc.array(name, { minLength: 1 }), fc.boolean(), (names, critical) => {
      const extension = subjectAltName(names, critical);
      assert.equal(extension.critical, critical);
      assert.deepEqual(subjectAltNames(extension), names);
      assert.deepEqual(subjectAltNames({ extensions: [extension] }), names);
    }),
  );
});

test("subjectAltNames shows names it can't decode as other", () => {
  const value = derSequence(
    derValue(0x82, Buffer.from([0xff])),
    derValue(0x87, Buffer.from([1, 2, 3])),
  );
  assert.deepEqual(subjectAltNames({ oid: OID.subjectAltName, critical: false, value }), [
    { type: "other", value: "8201ff" },
    { type: "other", value: "8703010203" },
  ]);
});

test("subjectAltNames makes a value or a Fault of damaged bytes", () => {
  const { oid, critical, value } = subjectAltName([
    { type: "DNS", value: "a.example.com" },
    { type: "IP", value: "::1" },
  ]);
  fc.assert(
    fc.property(damaged(value), (value) =>
      valueOrFault(() => subjectAltNames({ oid, critical, value })),
    ),
    { numRuns: 1000 },
  );
});

test("subjectAltName refuses an empty list, text outside ASCII and what is no address", () => {
  assert.throws(() => subjectAltName([]), unencodable);
  assert.throws(() => subjectAltName([{ type: "DNS", value: "münchen" }]), unencodable);
  assert.throws(() => subjectAltName([{ type: "IP", value: "puppet" }]), unencodable);
});

test("basicConstraints is an empty sequence unless it is a CA", () => {
  assert.equal(hex(basicConstraints({ ca: false })), "3000");
  assert.equal(hex(basicConstraints({ ca: true })), "30030101ff");
  assert.equal(hex(basicConstraints({ ca: true, pathLength: 0 })), "30060101ff020100");
  assert.equal(isCa({ extensions: [basicConstraints({ ca: true, pathLength: 0 })] }), true);
  assert.equal(isCa({ extensions: [basicConstraints({ ca: false })] }), false);
  assert.equal(isCa({ extensions: [] }), false);
});

test("keyUsage drops trailing zero bits", () => {
  assert.equal(hex(keyUsage(["digitalSignature", "keyEncipherment"])), "030205a0");
  assert.equal(hex(keyUsage(["keyCertSign", "cRLSign"])), "03020106");
  assert.equal(hex(keyUsage(["encipherOnly"])), "03020001");
  assert.equal(hex(keyUsage(["decipherOnly"])), "0303070080");
  assert.equal(hex(keyUsage(KEY_USAGES)), "030307ff80");
  assert.throws(() => keyUsage([]), unencodable);
});

test("extendedKeyUsage, crlNumber and authorityKeyIdentifier have their usual bytes", () => {
  assert.equal(hex(extendedKeyUsage([OID.serverAuth])), "300a06082b06010505070301");
  assert.equal(hex(crlNumber(0)), "020100");
  assert.equal(hex(crlNumber(300n)), "0202012c");
  assert.throws(() => crlNumber(-1), unencodable);
  const keyId = Buffer.from("0102", "hex");
  assert.equal(hex(authorityKeyIdentifier({ keyId })), "300480020102");
  const issuerDer = derSequence();
  assert.equal(
    hex(authorityKeyIdentifier({ keyId, issuerDer, serial: 128n })),
    "300e80020102a104a402300082020080",
  );
});

test("encodeExtensions leaves critical out when it is false and refuses an OID twice", () => {
  const [plain, critical] = [false, true].map((critical) =>
    encodeExtensions([puppetExtension("1.2.3", "a", critical)]).toString("hex"),
  );
  assert.equal(plain, "300b300906022a0304030c0161");
  assert.equal(critical, "300e300c06022a030101ff04030c0161");
  assert.throws(() => encodeExtensions([netscapeComment(), netscapeComment()]), unencodable);
});

test("extensionText decodes strings, bare bytes and shows the rest in hexadecimal", () => {
  assert.equal(text(puppetExtension("pp_role", "wéb").value), "wéb");
  assert.equal(text(derAscii("ia5")), "ia5");
  assert.equal(text(derValue(TAG.printableString, Buffer.from("p"))), "p");
  assert.equal(text(Buffer.from("abcd")), "abcd");
  assert.equal(text(Buffer.from([0xff, 0xfe])), "fffe");
  assert.equal(text(derUtf8("")), "");
});

test("puppetOid and puppetShortName know Puppet's names both ways", () => {
  assert.equal(puppetOid("pp_uuid"), "1.3.6.1.4.1.34380.1.1.1");
  assert.equal(puppetOid("pp_owner"), "1.3.6.1.4.1.34380.1.1.26");
  assert.equal(puppetOid("pp_auth_role"), "1.3.6.1.4.1.34380.1.3.13");
  assert.equal(puppetShortName(OID.ppCliAuth), "pp_cli_auth");
  assert.equal(puppetShortName(OID.ppAuthAutoRenew), "pp_auth_auto_renew");
  assert.equal(puppetOid("pp_unknown"), undefined);
});

test("isUnder goes by arcs, not by characters", () => {
  assert.ok(isUnder(OID.ppCliAuth, OID.ppAuthCertExt));
  assert.equal(isUnder("1.3.6.1.4.1.34380.1.30", OID.ppAuthCertExt), false);
  assert.equal(isUnder(OID.ppAuthCertExt, OID.ppAuthCertExt), false);
});
