import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Attempt, findGaps, longestGapMs } from "../src/drill/gaps.ts";
import { parseAttempts, summarize } from "./prober.ts";

const ok = (startMs: number, endMs = startMs + 1): Attempt => ({ startMs, endMs, ok: true });
const failed = (startMs: number, endMs = startMs + 100): Attempt => ({ startMs, endMs, ok: false });

test("findGaps measures from the last success to the first after it", () => {
  const attempts = [ok(0), ok(5), failed(10), failed(15), failed(300, 301), ok(305), ok(310)];
  assert.deepEqual(findGaps(attempts), [{ fromMs: 6, toMs: 306, ms: 300, failed: 3 }]);
});

test("findGaps counts a failure where it was begun, though it ended after the recovery", () => {
  const attempts = [ok(0), failed(2, 102), ok(40), ok(45), ok(50)];
  assert.deepEqual(findGaps(attempts), [{ fromMs: 1, toMs: 41, ms: 40, failed: 1 }]);
});

test("findGaps leaves a gap without an end open, up to the last failure", () => {
  assert.deepEqual(findGaps([ok(0), failed(5), failed(10)]), [{ fromMs: 1, ms: 109, failed: 2 }]);
  assert.deepEqual(findGaps([failed(5), failed(10)]), [{ fromMs: 5, ms: 105, failed: 2 }]);
});

test("findGaps sees none where nothing failed, however slow the prober was", () => {
  assert.deepEqual(findGaps([ok(0), ok(900)]), []);
  assert.equal(longestGapMs([]), 0);
});

test("findGaps puts every failure into exactly one gap, in order, whatever the attempts", () => {
  const attempt = fc.record({
    startMs: fc.integer({ min: 0, max: 2000 }),
    length: fc.integer({ min: 1, max: 100 }),
    ok: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(attempt, { maxLength: 60 }), (raw) => {
      const attempts = raw.map(({ startMs, length, ok }) => ({
        startMs,
        endMs: startMs + length,
        ok,
      }));
      const gaps = findGaps(attempts);
      const failures = attempts.filter((one) => !one.ok).length;
      assert.equal(
        gaps.reduce((sum, gap) => sum + gap.failed, 0),
        failures,
      );
      for (const [index, gap] of gaps.entries()) {
        assert.ok(gap.ms >= 0);
        assert.ok(index === 0 || gap.fromMs >= (gaps[index - 1]?.toMs ?? Infinity));
      }
    }),
  );
});

test("summarize reads the prober's lines and leaves out one that isn't whole", () => {
  const text = "100.00 101.50 ok\n105.00 205.00 failed\n210.00 211.00 ok\nstall 3.25\n215.00 21";
  assert.equal(parseAttempts(text).length, 3);
  const result = summarize(text);
  assert.deepEqual([result.attempts, result.failed, result.longestGapMs], [3, 1, 109.5]);
  assert.equal(result.worstStallMs, 3.25);
});
