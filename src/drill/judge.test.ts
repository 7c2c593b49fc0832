import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { judgeSamples } from "./judge.ts";
import type { Sample, Samples } from "./samples.ts";
import { ACT_MS, exampleSamples, sample, START_MS } from "./testing/report.ts";

const NONE: Samples = { connects: [], catalogs: [], kept: [], sightings: [], replays: 0 };

test("judgeSamples measures an outage from the last success before it to the first one after", () => {
  const figures = judgeSamples(exampleSamples(), ACT_MS);
  // The last success ends at 5.002 s, the next at 5.502 s.
  assert.deepEqual(figures.outages, [{ fromMs: START_MS + 5002, ms: 500 }]);
  assert.equal(figures.outageMs, 500);
  assert.equal(figures.takeoverMs, 502);
  assert.deepEqual([figures.detectedMs, figures.detectedBy], [101, "ECONNREFUSED"]);
  assert.equal(figures.connects.failed, 4);
  assert.equal(figures.broken, 1);
  assert.equal(figures.replays, 2);
  assert.deepEqual(figures.reasons[0], { because: "ECONNREFUSED", count: 4 });
});

test("judgeSamples takes no connection for broken that an answer ended in good order", () => {
  const brokenAfter = (more: { isLast?: boolean }) => {
    const kept = [
      { ...sample(5100, 90), port: 40_001, ...more },
      { ...sample(6000, 90), port: 40_002 },
    ];
    return judgeSamples({ ...NONE, kept }, ACT_MS).broken;
  };
  assert.equal(brokenAfter({}), 1);
  assert.equal(brokenAfter({ isLast: true }), 0);
});

test("judgeSamples keeps what was before apart", () => {
  const { steady, connects } = judgeSamples(exampleSamples(), ACT_MS);
  assert.deepEqual([steady.connects.count, steady.connects.failed], [50, 0]);
  assert.equal(steady.catalogs.medianMs, 90);
  assert.equal(connects.count, 50);
});

test("judgeSamples finds nothing where nothing was to be seen", () => {
  const connects = Array.from({ length: 100 }, (_, index) => sample(index * 100, 2));
  const figures = judgeSamples({ ...NONE, connects }, ACT_MS);
  assert.deepEqual(figures.outages, []);
  assert.equal(figures.outageMs, 0);
  assert.equal(figures.detectedMs, undefined);
  assert.equal(figures.takeoverMs, undefined);
});

test("judgeSamples detects by a server's word, or by a slow catalog, where no attempt fails", () => {
  const sightings = [{ atMs: ACT_MS + 700, what: "s1's edge sees s2's puppetserver as down" }];
  assert.equal(judgeSamples({ ...NONE, sightings }, ACT_MS).detectedMs, 700);
  const catalogs = [sample(0, 100), sample(5100, 5000)];
  const slow = judgeSamples({ ...NONE, catalogs }, ACT_MS);
  assert.deepEqual([slow.detectedMs, slow.detectedBy], [100 + 2 * 100 + 500, "a slow catalog"]);
});

test("judgeSamples tells no takeover of an address that never came back", () => {
  const connects = [
    sample(4900, 2),
    sample(5100, 1, "EHOSTUNREACH"),
    sample(5200, 1, "EHOSTUNREACH"),
  ];
  const figures = judgeSamples({ ...NONE, connects }, ACT_MS);
  assert.equal(figures.takeoverMs, undefined);
  assert.ok(figures.outageMs > 0);
});

test("judgeSamples: a longest outage is one of them, and there is one exactly when one failed", () => {
  const one = fc.record({
    atMs: fc.integer({ min: 5001, max: 60_000 }),
    tookMs: fc.integer({ min: 0, max: 200 }),
    ok: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 60 }), (list) => {
      const connects: Sample[] = list.map(({ atMs, tookMs, ok }) =>
        sample(atMs, tookMs, ok ? "" : "x"),
      );
      const figures = judgeSamples({ ...NONE, connects }, ACT_MS);
      const failed = list.filter(({ ok }) => !ok).length;
      assert.equal(figures.connects.failed, failed);
      assert.equal(figures.outages.length > 0, failed > 0);
      const longest = Math.max(0, ...figures.outages.map(({ ms }) => ms));
      assert.equal(figures.outageMs, longest);
      assert.ok(figures.outages.every(({ ms }) => ms >= 0));
    }),
  );
});

test("judgeSamples counts an outage from the last success before the act, as others see it", () => {
  const connects = [sample(4950, 2), sample(5010, 1, "ECONNREFUSED"), sample(5100, 2)];
  const figures = judgeSamples({ ...NONE, connects }, ACT_MS);
  assert.deepEqual(figures.outages, [{ fromMs: START_MS + 4952, ms: 150 }]);
  const before = [sample(1000, 2), sample(1100, 1, "x"), sample(1200, 2), sample(5100, 2)];
  assert.deepEqual(judgeSamples({ ...NONE, connects: before }, ACT_MS).outages, []);
});
