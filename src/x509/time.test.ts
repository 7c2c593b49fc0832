import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { derAscii, readDer, TAG } from "./der.ts";
import { derTime, timeOf } from "./time.ts";

test("timeOf gives back what derTime encoded, to the second", () => {
  const from = Date.UTC(1950, 0, 1) / 1000;
  const to = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000;
  fc.assert(
    fc.property(fc.integer({ min: from, max: to }), fc.nat(999), (second, rest) => {
      const node = readDer(derTime(second * 1000 + rest), "time");
      assert.equal(timeOf(node, "time"), second * 1000);
    }),
  );
});

test("derTime writes UTCTime up to the end of 2049 and GeneralizedTime from there", () => {
  const utc = derTime(Date.UTC(2049, 11, 31, 23, 59, 59));
  const generalized = derTime(Date.UTC(2050, 0, 1));
  assert.equal(utc.toString("latin1"), "\u0017\r491231235959Z");
  assert.equal(generalized.toString("latin1"), "\u0018\u000f20500101000000Z");
});

test("derTime refuses what is no time", () => {
  for (const ms of [Number.NaN, Infinity, Date.UTC(1949, 11, 31), Date.UTC(10_000, 0, 1)]) {
    assert.throws(
      () => derTime(ms),
      (error) => isFault(error, "x509.unencodable"),
    );
  }
});

const REFUSED: [number, string][] = [
  [TAG.utcTime, "2611201230Z"],
  [TAG.utcTime, "261120123000+0100"],
  [TAG.utcTime, "261120123000"],
  [TAG.utcTime, "260231000000Z"],
  [TAG.utcTime, "261301000000Z"],
  [TAG.utcTime, "261120240000Z"],
  [TAG.utcTime, "261120126000Z"],
  [TAG.utcTime, "2611201230/0Z"],
  [TAG.generalizedTime, "20261120123000.5Z"],
  [TAG.generalizedTime, "00260101000000Z"],
  [TAG.utf8String, "261120123000Z"],
];
for (const [tag, text] of REFUSED) {
  test(`timeOf refuses ${text} as tag 0x${tag.toString(16)}`, () => {
    const node = readDer(derAscii(text, tag), "time");
    assert.throws(
      () => timeOf(node, "time"),
      (error) => isFault(error, "x509.malformed"),
    );
  });
}
