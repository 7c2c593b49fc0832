import assert from "node:assert/strict";
import { test } from "node:test";
import { type EnrolSlice, judgeEnrolment } from "./enrol-plan.ts";

function slice(changes: Partial<EnrolSlice>): EnrolSlice {
  const cpuMs = { daemon: 300, etcd: 100 };
  return {
    connections: 8,
    ms: 1000,
    enrolled: 100,
    errors: 0,
    error: "",
    latenciesMs: [10],
    cpuMs,
    ...changes,
  };
}

test("judgeEnrolment takes medians over the slices of as many connections", () => {
  const slices = [
    slice({ ms: 2000, latenciesMs: [10, 20] }),
    slice({ latenciesMs: [30, 40, 50] }),
    slice({ ms: 500 }),
    slice({ connections: 1, enrolled: 1, latenciesMs: [999] }),
  ];
  const judged = judgeEnrolment(slices, 8);
  assert.equal(judged?.rate, 100);
  assert.equal(judged?.p50Ms, 25);
  assert.equal(judged?.cpuMs, 4);
  assert.deepEqual(judged?.cpuOf, { daemon: 3, etcd: 1 });
});

test("judgeEnrolment leaves out slices in which nobody was enrolled, and has no word on none", () => {
  assert.equal(judgeEnrolment([slice({ enrolled: 0 })], 8), undefined);
  assert.equal(judgeEnrolment([slice({}), slice({ enrolled: 0 })], 8)?.cpuMs, 4);
  assert.equal(judgeEnrolment([slice({})], 64), undefined);
});
