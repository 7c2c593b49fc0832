import assert from "node:assert/strict";
import { test } from "node:test";
import { BEHIND_MS, chooseForQueries, judgeFit, type Backlog } from "./fit.ts";

const WELL = { readable: true, writable: true, because: "" };
const LEVEL: Backlog = { caughtUp: true, commands: 0, oldestMs: 0 };

void test("judgeFit refuses a PuppetDB that can't store, or lacks what any courier has for it", () => {
  const down = { readable: true, writable: false, because: "its database takes nothing" };
  const lacks: Backlog = { caughtUp: false, commands: 3, oldestMs: 10 };
  const slow: Backlog = { caughtUp: true, commands: 9, oldestMs: BEHIND_MS + 1 };
  const busy: Backlog = { caughtUp: true, commands: 9, oldestMs: 100 };
  const other = (backlog: Backlog | undefined) => [{ id: "s2", backlog }];
  const cases: [Parameters<typeof judgeFit>, RegExp | undefined][] = [
    [[WELL, LEVEL, other(LEVEL)], undefined],
    [[WELL, busy, other(busy)], undefined],
    [[WELL, LEVEL, other(undefined)], undefined],
    [[down, LEVEL, []], /takes nothing/],
    [[WELL, lacks, []], /^it lacks 3 commands still/],
    [[WELL, LEVEL, other(lacks)], /of s2's courier/],
    [[WELL, slow, []], /9 commands behind, by 60 s/],
  ];
  for (const [[health, own, others], because] of cases) {
    const judged = judgeFit(health, own, others);
    assert.equal(judged.fit, because === undefined);
    if (because !== undefined) assert.match(judged.because, because);
  }
});

void test("chooseForQueries stays where it is, follows others, and takes the first that is fit", () => {
  const order = ["s1", "s2", "s3"];
  const choose = (
    fit: string[],
    here?: string,
    elsewhere: (string | undefined)[] = [],
    told?: string,
  ) => chooseForQueries(order, (id) => fit.includes(id), { told, here, elsewhere });
  assert.equal(choose(["s1", "s2"]), "s1");
  assert.equal(choose(["s1", "s2"], "s2"), "s2");
  assert.equal(choose(["s1"], "s2"), "s1");
  assert.equal(choose(["s1", "s3"], undefined, [undefined, "s3"]), "s3");
  assert.equal(choose(["s1", "s3"], "s1", ["s3"]), "s1");
  assert.equal(choose(["s1", "gone"], "gone", ["gone"]), "s1");
  assert.equal(choose([]), undefined);
  assert.equal(choose(["s1", "s2"], "s1", ["s1"], "s2"), "s2");
  assert.equal(choose(["s1"], "s1", [], "s2"), "s1");
  assert.equal(choose(["s1", "gone"], "s1", [], "gone"), "s1");
});
