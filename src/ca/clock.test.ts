import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { isoTime } from "../host/clock.ts";
import { crlTimes, judgeClock } from "./clock.ts";

const NOW = Date.parse("2026-11-20T10:00:00.000Z");
const DAY_MS = 86_400_000;

const crl = (thisMs: number) => ({
  number: 7,
  thisUpdate: isoTime(thisMs),
  nextUpdate: isoTime(thisMs + 1000 * DAY_MS),
});

void test("judgeClock trusts others that agree, refuses what is off, and knows when nobody says", () => {
  const judge = (offsetMs: number | undefined, hasOthers: boolean, newestMs = NOW - DAY_MS) =>
    judgeClock({ offsetMs, hasOthers }, NOW, crl(newestMs));
  assert.equal(judge(-59_000, true), "confirmed");
  assert.equal(judge(undefined, false), "alone");
  assert.equal(judge(undefined, true), "unconfirmed");
  for (const offsetMs of [61_000, -61_000]) {
    assert.throws(() => judge(offsetMs, true), { code: "ca.clock-off" });
  }
  // Behind the newest CRL: this clock stands still or went back, unless the others have it so too.
  for (const hasOthers of [true, false]) {
    assert.throws(
      () => judge(undefined, hasOthers, NOW + 61_000),
      (error) =>
        isFault(error, "ca.clock-off") && /61 s behind the date of CRL 7/.test(error.message),
    );
    assert.equal(judge(0, hasOthers, NOW + DAY_MS), "confirmed");
  }
  assert.equal(judgeClock({ offsetMs: undefined, hasOthers: false }, NOW, undefined), "alone");
});

void test("crlTimes never dates a CRL ahead: not by an unconfirmed clock, and not after one that was", () => {
  const old = crl(NOW - 10 * DAY_MS);
  assert.equal(crlTimes(NOW, old, "alone").thisUpdate, isoTime(NOW - 1000));
  assert.equal(crlTimes(NOW, undefined, "unconfirmed").thisUpdate, isoTime(NOW - 1000));
  // A clock months ahead that nobody confirms changes no date.
  const { thisUpdate, nextUpdate } = old;
  assert.deepEqual(crlTimes(NOW + 200 * DAY_MS, old, "unconfirmed"), { thisUpdate, nextUpdate });
  const ended = { ...old, withoutEndedBefore: isoTime(NOW) };
  assert.equal(crlTimes(NOW + 200 * DAY_MS, ended, "unconfirmed").withoutEndedBefore, isoTime(NOW));
  assert.equal(crlTimes(NOW, undefined, "unconfirmed").withoutEndedBefore, undefined);
  const { withoutEndedBefore } = crlTimes(NOW, ended, "confirmed");
  assert.equal(withoutEndedBefore, isoTime(NOW - 7 * DAY_MS));
  // Clocks differ by seconds: the date never goes back by that.
  assert.equal(crlTimes(NOW, crl(NOW + 30_000), "confirmed").thisUpdate, isoTime(NOW + 30_000));
  // What was dated months ahead is taken back, or every agent would go on refusing it.
  assert.equal(crlTimes(NOW, crl(NOW + 200 * DAY_MS), "confirmed").thisUpdate, isoTime(NOW - 1000));
});
