import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { binomialHalf, median, medianInterval, quantile, worst } from "./stats.ts";

const values = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), {
  minLength: 1,
  maxLength: 60,
});

test("median takes the middle, or the mean of the two middle ones", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), /no values/);
});

test("worst is the largest, and quantile lies between smallest and largest", () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
      assert.equal(worst(list), Math.max(...list));
      const between = quantile(list, q);
      assert.ok(between >= Math.min(...list) && between <= Math.max(...list));
    }),
  );
});

test("binomialHalf sums up to one", () => {
  for (const n of [1, 7, 20, 200]) {
    const total = Array.from({ length: n + 1 }, (_, k) => binomialHalf(n, k)).reduce(
      (a, b) => a + b,
    );
    assert.ok(Math.abs(total - 1) < 1e-9, `${n}: ${total}`);
  }
});

test("medianInterval has the order statistics that tables of the sign test give", () => {
  const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);
  // n → k-th smallest and largest at 95 %, from published tables.
  for (const [n, k] of [
    [6, 1],
    [9, 2],
    [10, 2],
    [12, 3],
    [20, 6],
    [30, 10],
    [50, 18],
  ] as const) {
    const interval = medianInterval(upTo(n));
    assert.equal(interval?.low, k, `n = ${n}`);
    assert.equal(interval?.high, n + 1 - k, `n = ${n}`);
  }
  assert.equal(medianInterval(upTo(5)), undefined);
});

test("medianInterval holds the median of its values and keeps the confidence", () => {
  fc.assert(
    fc.property(values, (list) => {
      const interval = medianInterval(list);
      if (interval === undefined) return assert.ok(list.length < 6);
      assert.ok(interval.low <= median(list) && median(list) <= interval.high);
      assert.ok(interval.coverage >= 0.95 && interval.coverage <= 1);
    }),
  );
});
