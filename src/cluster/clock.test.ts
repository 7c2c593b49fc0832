import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { clockOffsetMs, clockWarning, judgeOffset, nearOffsetMs, requireClock } from "./clock.ts";

const CASES: [offsets: number[], most: number | undefined, near: number][] = [
  [[], undefined, 0],
  [[5], 5, 0],
  [[-600], -600, 0],
  // Of three, whichever way the one is off.
  [[-600, 0], 0, 0],
  [[600, 0], 0, 0],
  [[600, 600], 600, 600],
  [[-600, -601], -600, -600],
  [[40, 80], 40, 40],
  // Of four and more.
  [[0, 0, 600], 0, 0],
  [[0, 600, 600], 600, 0],
  [[0, -600, -600], -600, 0],
  [[1, 2, 600, 600], 2, 2],
];
for (const [offsets, most, near] of CASES) {
  test(`clocks that are ${offsets.join(", ") || "unknown"} apart`, () => {
    assert.equal(clockOffsetMs(offsets), most);
    assert.equal(nearOffsetMs(offsets), near);
  });
}

test("a clock is warned of before it is refused", () => {
  const states = [0, 10_000, -10_001, 60_000, -60_000, 60_001, -60_001].map(judgeOffset);
  assert.deepEqual(states, ["right", "right", "off", "off", "off", "wrong", "wrong"]);
  assert.equal(clockWarning("s1", undefined), undefined);
  assert.equal(clockWarning("s1", 9000), undefined);
  assert.match(
    clockWarning("s1", 12_000)?.text ?? "",
    /^s1's clock is 12 s ahead of the others': from 60 s/,
  );
  assert.match(
    clockWarning("s1", -90_000)?.text ?? "",
    /^s1's clock is 90 s behind the others': it signs/,
  );
});

test("requireClock refuses a wrong clock with what to do, and no other", () => {
  requireClock(undefined, "it makes no tokens");
  requireClock(-60_000, "it makes no tokens");
  assert.throws(
    () => requireClock(-61_000, "it makes no tokens"),
    (error) =>
      isFault(error, "cluster.clock-off") &&
      error.message === "this server's clock is 61 s behind the others': it makes no tokens",
  );
});
