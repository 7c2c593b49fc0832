// The statistics that benches print. Pure. Medians and order statistics only: they assume nothing
// about how a noisy machine's times are distributed.

import { Fault } from "../src/base/fault.ts";

/**
 * The middle value; the mean of the two middle ones when their number is even. Fault
 * `bench.no-values`.
 */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value below which a part `q` (0…1) of `values` lies, interpolated. Fault `bench.no-values`.
 */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) throw new Fault("bench.no-values", "there are no values to judge");
  const place = (sorted.length - 1) * q;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return Math.min(above, below + (above - below) * (place - Math.floor(place)));
}

/** The largest value. Fault `bench.no-values`. */
export function worst(values: readonly number[]): number {
  return quantile(values, 1);
}

export interface Interval {
  low: number;
  high: number;
  /**
   * Probability that an interval made this way covers the true median; at least the one asked for.
   */
  coverage: number;
}

/**
 * A confidence interval of the median by the sign test: between the k-th smallest and the k-th
 * largest value, with the largest k that keeps `confidence`. Undefined when there are too few
 * values for any k (fewer than six at 0.95).
 */
export function medianInterval(values: readonly number[], confidence = 0.95): Interval | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const n = sorted.length;
  let tail = 0;
  let found: Interval | undefined;
  for (let k = 1; k <= n / 2; k += 1) {
    // Chance that fewer than k of n values lie below the true median.
    tail += binomialHalf(n, k - 1);
    const coverage = 1 - 2 * tail;
    if (coverage < confidence) break;
    found = { low: sorted[k - 1] ?? Number.NaN, high: sorted[n - k] ?? Number.NaN, coverage };
  }
  return found;
}

/** The probability of exactly `k` heads in `n` throws of a fair coin. */
export function binomialHalf(n: number, k: number): number {
  let logarithm = -n * Math.LN2;
  for (let i = 1; i <= k; i += 1) logarithm += Math.log((n - k + i) / i);
  return Math.exp(logarithm);
}
