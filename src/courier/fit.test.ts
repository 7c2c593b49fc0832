import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BEHIND_MS,
  chooseForQueries,
  judgeFit,
  judgeSynced,
  preferred,
  type Backlog,
} from "./fit.ts";

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

void test("chooseForQueries goes where it was decided last, and to the first that is fit", () => {
  const order = ["s1", "s2", "s3"];
  const at = (id: string, atMs: number) => ({ id, atMs });
  type Used = Partial<Parameters<typeof chooseForQueries>[2]>;
  const cases: [fit: string[], used: Used, id: string | undefined, atMs?: number][] = [
    [["s1", "s2"], {}, "s1", 100],
    [["s1", "s2"], { here: at("s2", 1) }, "s2", 1],
    [["s1"], { here: at("s2", 1) }, "s1", 100],
    [["s1", "s3"], { elsewhere: [at("s3", 7)] }, "s3", 7],
    [["s1", "s3"], { here: at("s1", 5), elsewhere: [at("s3", 7)] }, "s3", 7],
    [["s1", "s3"], { here: at("s1", 9), elsewhere: [at("s3", 7)] }, "s1", 9],
    [["s1", "s3"], { here: at("s3", 7), elsewhere: [at("s1", 7)] }, "s1", 7],
    [["s1"], { here: at("s1", 5), elsewhere: [at("s3", 7)] }, "s1", 5],
    [["s1", "gone"], { here: at("gone", 3), elsewhere: [at("gone", 3)] }, "s1", 100],
    [[], { here: at("s1", 1) }, undefined],
    [["s1", "s2"], { here: at("s1", 1), told: "s2" }, "s2", 100],
    [["s1"], { here: at("s1", 1), told: "s2" }, "s1", 1],
    [["s1", "gone"], { here: at("s1", 1), told: "gone" }, "s1", 1],
  ];
  for (const [fit, used, id, atMs] of cases) {
    const all = { told: undefined, here: undefined, elsewhere: [], nowMs: 100, ...used };
    const chosen = chooseForQueries(order, (one) => fit.includes(one), all);
    assert.deepEqual([chosen?.id, chosen?.atMs], [id, atMs], JSON.stringify(used));
  }
});

void test("judgeSynced lets one answer that its courier found level, and never one that fills unseen", () => {
  const fit = { fit: true, because: "" };
  const level = { standing: "level", because: "" } as const;
  const lacks = { standing: "lacks", because: "it lacks 3 nodes" } as const;
  const sole = { standing: "unknown", because: "" } as const;
  const cases: [Parameters<typeof judgeSynced>[1], RegExp | undefined][] = [
    [{ filling: false, sync: level }, undefined],
    [{ filling: true, sync: level }, undefined],
    [{ filling: false, sync: undefined }, undefined],
    [{ filling: false, sync: sole }, undefined],
    [{ filling: false, sync: lacks }, /^it lacks 3 nodes/],
    [{ filling: true, sync: lacks }, /^it is filling: it lacks 3 nodes/],
    [{ filling: true, sync: undefined }, /^it is filling/],
    [{ filling: true, sync: sole }, /^it is filling/],
  ];
  for (const [known, because] of cases) {
    const judged = judgeSynced(fit, known);
    assert.equal(judged.fit, because === undefined);
    if (because !== undefined) assert.match(judged.because, because);
  }
  const down = { fit: false, because: "it is down" };
  assert.deepEqual(judgeSynced(down, { filling: false, sync: level }), down);
});

void test("preferred leaves a PuppetDB to avoid for when no other is fit", () => {
  const asked = (fit: string[], avoid: string[]) =>
    ["s1", "s2", "s3"].filter(preferred(["s1", "s2", "s3"], avoid, (id) => fit.includes(id)));
  assert.deepEqual(asked(["s1", "s2"], []), ["s1", "s2"]);
  assert.deepEqual(asked(["s1", "s2"], ["s1"]), ["s2"]);
  assert.deepEqual(asked(["s1"], ["s1"]), ["s1"]);
  assert.deepEqual(asked(["s1", "s2"], ["s1", "s2"]), ["s1", "s2"]);
  assert.deepEqual(asked([], ["s1"]), []);
});
