import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describeMeasured,
  NOTHING_MEASURED,
  PROBES_KEPT,
  probeNotes,
  probeWarnings,
  withProbe,
} from "./probe-status.ts";
import { answer, local } from "./testing/status.ts";

const got = (ms: number) => ({ atMs: 1, ok: true, because: "", ms });
const lost = { atMs: 2, ok: false, because: "ECONNREFUSED", ms: 3 };
const measure = (...probes: Parameters<typeof withProbe>[1][]) =>
  probes.reduce(withProbe, NOTHING_MEASURED);

test("describeMeasured counts all, and the last ones apart", () => {
  const many = Array.from({ length: PROBES_KEPT }, () => got(50));
  const { total, failed, lately, ok } = describeMeasured(measure(lost, ...many));
  assert.deepEqual([total, failed, ok], [PROBES_KEPT + 1, 1, true]);
  assert.deepEqual(lately, { total: PROBES_KEPT, failed: 0, medianMs: 50 });
});

test("describeMeasured of nothing is no failure", () => {
  const { at, ok, total } = describeMeasured(NOTHING_MEASURED);
  assert.deepEqual([at, ok, total], ["", true, 0]);
});

test("probeWarnings tells of two failures in a row, and no more after one success", () => {
  assert.deepEqual(probeWarnings(measure(got(50), lost)), []);
  assert.match(probeWarnings(measure(lost, lost)).join(), /no catalog: ECONNREFUSED/);
  assert.deepEqual(probeWarnings(measure(lost, lost, got(50))), []);
});

test("probeNotes sums up what members measured, and says nothing where none does", () => {
  assert.deepEqual(probeNotes([answer("s1")]), []);
  const probe = describeMeasured(measure(got(50), lost));
  const members = ["s1", "s2"].map((id) => answer(id, local(id, { probe })));
  assert.match(probeNotes(members).join(), /4 catalogs of late, 2 failed; the median took 50 ms/);
});
