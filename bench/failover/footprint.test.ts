import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, type Sample, UNITS } from "./footprint.ts";

test("judge takes the worst server's median of the processor, and the worst of the memory", () => {
  const sample = (server: string, residentMB: number, corePercent: number): Sample[] =>
    (Object.keys(UNITS) as Sample["unit"][]).map((unit) => ({
      server,
      unit,
      residentMB,
      corePercent,
    }));
  const calm = [1, 1, 9].flatMap((percent) => sample("s1", 100, percent));
  const busy = [2, 3, 4].flatMap((percent) => sample("s2", 149, percent));
  const [memory, cpu] = judge([...calm, ...busy]);
  assert.deepEqual([memory?.value, memory?.goal, memory?.met], [149, "under 150", true]);
  assert.deepEqual([cpu?.value, cpu?.goal, cpu?.met], [3, "under 2", false]);
});
