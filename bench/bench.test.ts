import assert from "node:assert/strict";
import { test } from "node:test";
import { groupsOf, selectStands } from "./bench.ts";
import { caBench } from "./ca.ts";
import { courierBench } from "./courier.ts";
import { failoverBench } from "./failover.ts";
import { operateBench } from "./operate.ts";

const BENCHES = [failoverBench(), caBench(), courierBench(), operateBench()];

test("benches and their groups have names of their own, and no figures before they are measured", () => {
  const groups = BENCHES.flatMap(groupsOf);
  const names = [...BENCHES, ...groups].map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  for (const group of groups) assert.deepEqual(group.figures(), [], group.name);
});

test("selectStands opens all of a bench, or only what one of its groups needs", () => {
  const ca = caBench();
  assert.equal(selectStands([ca], "ca")?.length, ca.stands.length);
  const kinds = selectStands(BENCHES, "statuses")?.map(({ kind, groups }) => [
    kind,
    ...groups.map(({ name }) => name),
  ]);
  assert.deepEqual(kinds, [
    ["baseline", "statuses"],
    ["understudy", "statuses"],
  ]);
  assert.equal(selectStands(BENCHES, "nothing"), undefined);
});

test("every group that has trials of a baseline is measured on one, and on Understudy after it", () => {
  for (const { stands } of BENCHES) {
    for (const group of groupsOf({ stands })) {
      const kinds = stands.filter(({ groups }) => groups.includes(group)).map(({ kind }) => kind);
      assert.equal(kinds.at(-1), "understudy", group.name);
      if (group.trials.baseline > 0) assert.equal(kinds[0], "baseline", group.name);
    }
  }
});
