import assert from "node:assert/strict";
import { test } from "node:test";
import { judgePairs, planSlices, type Slice } from "./plan.ts";

function slice(target: string, requests: number, latencyMs: number): Slice {
  return {
    target,
    ms: 5000,
    requests,
    errors: 0,
    error: "",
    latenciesMs: [latencyMs],
    cpuMs: { java: requests * 2, haproxy: target === "edge" ? requests : 0 },
  };
}

test("planSlices alternates which way of a pair comes first", () => {
  const order = planSlices(["edge", "straight"], 3, 5000).map(({ target }) => target);
  assert.deepEqual(order, ["edge", "straight", "straight", "edge", "edge", "straight"]);
});

test("judgePairs compares within pairs only, so that drift cancels out", () => {
  const slices = planSlices(["edge", "straight"], 10, 5000).map(({ target }, index) => {
    const speed = 1000 + index * 10;
    return target === "edge" ? slice("edge", speed * 0.9, 12) : slice("straight", speed, 10);
  });
  const judged = judgePairs(slices, "edge", "straight");
  assert.equal(judged.pairs, 10);
  for (const ratio of judged.ratios) assert.ok(ratio > 0.88 && ratio < 0.92, `${ratio}`);
  assert.ok(Math.abs(judged.ratio - 0.9) < 0.001, `${judged.ratio}`);
  assert.equal(judged.addedP50Ms, 2);
  assert.ok(judged.interval !== undefined && judged.interval.low <= judged.ratio);
});

test("judgePairs gives processor time per request by way and process", () => {
  const slices = [slice("edge", 100, 1), slice("straight", 200, 1)];
  const { cpuPerRequestMs, rate } = judgePairs(slices, "edge", "straight");
  assert.deepEqual(cpuPerRequestMs, {
    edge: { java: 2, haproxy: 1 },
    straight: { java: 2, haproxy: 0 },
  });
  assert.deepEqual(rate, { edge: 20, straight: 40 });
});

test("judgePairs leaves out a slice without its counterpart", () => {
  const slices = [slice("edge", 100, 1), slice("straight", 200, 1), slice("edge", 1, 1)];
  assert.equal(judgePairs(slices, "edge", "straight").pairs, 1);
});
