import assert from "node:assert/strict";
import { test } from "node:test";
import { figure } from "./figure.ts";
import { type Group, judgedFigures, makeTrials, type Seen } from "./group.ts";
import { renderReport } from "./report.ts";
import type { Site } from "./site.ts";

function group(made: number): Group {
  return {
    name: "x",
    about: "x",
    trials: { full: 20, quick: 1, baseline: 0 },
    measure: async () => undefined,
    made: () => made,
    figures: () => [figure("failed", 0, "runs", { goal: { atMost: 0 } }), figure("beside", 1, "s")],
    raw: () => undefined,
  };
}

test("judgedFigures calls no goal met with fewer trials than it asks for", () => {
  assert.deepEqual(
    judgedFigures(group(20)).map(({ met }) => met),
    [true, null],
  );
  const [figure, ...others] = judgedFigures(group(19));
  assert.deepEqual([figure?.met, figure?.goal, figure?.value], [null, "0", 0]);
  assert.deepEqual(
    others.map(({ met }) => met),
    [null],
  );
  const machine = { cpu: "Z80", cores: 2, memoryGiB: 23, kernel: "6.1", versions: {} };
  const text = renderReport({ figures: judgedFigures(group(19)), machine, trials: 19 });
  assert.match(text, /^failed .* 0 +too few trials$/m);
});

test("makeTrials keeps the trials that were made before one failed", async () => {
  const seen: Seen<number[]> = {};
  const site = { kind: "understudy" } as Site;
  const make = async (number: number, keep: (trial: number) => void) => {
    keep(number);
    if (number === 3) throw new Error("no more");
  };
  const measuring = { trials: 5, say: () => undefined };
  await assert.rejects(makeTrials(seen, site, measuring, make), /no more/);
  assert.deepEqual(seen.understudy, [1, 2, 3]);
});
