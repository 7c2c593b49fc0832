import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { checkAny } from "./any.ts";
import { contextConstructed, contextTag, derInteger, derNull, derOid, derSequence } from "./der.ts";
import { derSetOf, derValue, readDer, TAG } from "./der.ts";
import { generateEcKey, spkiOf } from "./keys.ts";
import { nameOf } from "./name.ts";
import { OID } from "./oids.ts";
import { parseRequest } from "./request.ts";
import { algorithmFor, assembleSigned, signTbs } from "./signed.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { ask, write } = opensslFolder();
const key = generateEcKey();
const of = (tag: number, hex: string) => derValue(tag, Buffer.from(hex, "hex"));

/** A signed request with `value` as its challenge password. */
function requestWith(value: Buffer): Buffer {
  const attribute = derSequence(derOid(OID.challengePassword), derSetOf([value]));
  const attributes = derValue(contextConstructed(0), attribute);
  const tbs = derSequence(derInteger(0), nameOf({ commonName: "a" }), spkiOf(key), attributes);
  return assembleSigned(tbs, algorithmFor(key), signTbs(tbs, key));
}

/** The same without attributes, and `value` as the parameters of its signature's algorithm. */
function requestSigned(value: Buffer): Buffer {
  const parts = [derInteger(0), nameOf({ commonName: "a" }), spkiOf(key)];
  const tbs = derSequence(...parts, derValue(contextConstructed(0)));
  const signature = derValue(TAG.bitString, Buffer.from([0]), signTbs(tbs, key));
  return derSequence(tbs, derSequence(derOid(algorithmFor(key)), value), signature);
}

const SOUND: [string, Buffer][] = [
  ["a boolean", of(TAG.boolean, "01")],
  ["null", derNull()],
  ["a long number", of(TAG.integer, `00${"ff".repeat(100)}`)],
  ["a negative number", of(TAG.integer, "ff7f")],
  ["an OID", derOid("1.2.3")],
  ["a bit string", of(TAG.bitString, "03f8")],
  ["a BMPString", of(TAG.bmpString, "0041")],
  ["a UniversalString", of(TAG.universalString, "00000041")],
  ["a UTCTime", of(TAG.utcTime, Buffer.from("260101000000Z").toString("hex"))],
  ["text of another kind", of(TAG.utf8String, "ff")],
  ["a tag of its own", of(contextTag(5), "ff")],
  ["a sequence that isn't looked into", of(TAG.sequence, "0500ff")],
];
const UNSOUND: [string, Buffer][] = [
  ["a boolean of two bytes", of(TAG.boolean, "0101")],
  ["null with something in it", of(TAG.null, "00")],
  ["a number of no bytes", of(TAG.integer, "")],
  ["a number with a zero too many", of(TAG.integer, "0001")],
  ["a negative number with a byte too many", of(TAG.enumerated, "ff80")],
  ["an OID that is cut off", of(TAG.oid, "2a86")],
  ["a bit string of 9 unused bits", of(TAG.bitString, "0900")],
  ["half a character of a BMPString", of(TAG.bmpString, "00")],
  ["half a character of a UniversalString", of(TAG.universalString, "736563726574")],
];

for (const [what, value] of SOUND) {
  test(`checkAny takes ${what}, as openssl does`, () => {
    checkAny(readDer(value, "value"), "value");
    for (const [name, der] of [
      ["a.der", requestWith(value)],
      ["p.der", requestSigned(value)],
    ] as const) {
      parseRequest(der);
      write(name, der);
      assert.ok(ask("req", "-inform", "DER", "-in", name, "-noout").ok, name);
    }
  });
}

for (const [what, value] of UNSOUND) {
  test(`checkAny refuses ${what}, as openssl does`, () => {
    const malformed = (error: unknown) => isFault(error, "x509.malformed");
    for (const [name, der] of [
      ["a.der", requestWith(value)],
      ["p.der", requestSigned(value)],
    ] as const) {
      assert.throws(() => parseRequest(der), malformed, name);
      write(name, der);
      assert.ok(!ask("req", "-inform", "DER", "-in", name, "-noout").ok, name);
    }
  });
}

test("checkAny refuses a time that is cut off", () => {
  for (const tag of [TAG.utcTime, TAG.generalizedTime]) {
    assert.throws(() => checkAny(readDer(of(tag, "3236"), "time"), "time"));
  }
});
