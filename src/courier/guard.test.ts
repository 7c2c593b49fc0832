import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, integer, property } from "fast-check";
import { type Counts, follow, type Memory, recall, tolerated } from "./guard.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const GOOD = counts();

function counts(more: Partial<Counts> = {}): Counts {
  return {
    active: 120,
    deactivated: 4,
    deleted: 0,
    exported: 600,
    catalogs: 124,
    halfSinceMs: NOW_MS,
    ...more,
  };
}

function after(good: Counts, now: Counts, more: { others?: Counts[]; shrunk?: string } = {}) {
  const { others = [], shrunk = "" } = more;
  return follow({ good, shrunk }, now, { accepted: undefined, others });
}

void test("follow finds a PuppetDB shrunk that was wiped, restored or expired, not one that changes", () => {
  const small = counts({ active: 5, exported: 12, catalogs: 5 });
  const big = counts({ active: 100_000, exported: 500_000, catalogs: 100_000 });
  const one = counts({ active: 1, exported: 0, catalogs: 1 });
  const empty = { active: 0, deactivated: 0, exported: 0, catalogs: 0, halfSinceMs: 0 };
  const cases: [string, Counts, Partial<Counts>, RegExp | undefined][] = [
    ["the same", GOOD, {}, undefined],
    ["it grew", GOOD, { active: 130, exported: 700 }, undefined],
    ["wiped", GOOD, empty, /^it has 0 of the 120 nodes that it had$/],
    ["wiped, and some runs since", GOOD, { ...empty, active: 3 }, /^it has 3 of the 120 nodes/],
    ["its clock hid them", GOOD, { active: 30, exported: 150 }, /30 of the 120 nodes/],
    ["a handful purged", GOOD, { active: 110, exported: 550 }, undefined],
    ["more than that", GOOD, { active: 107 }, /107 of the 120/],
    ["deactivated", GOOD, { active: 20, deactivated: 104, exported: 100 }, undefined],
    ["deleted by couriers", GOOD, { active: 20, deleted: 100, exported: 100 }, undefined],
    ["deactivated, but more are gone", GOOD, { active: 20, deactivated: 50 }, /20 of the 120/],
    ["deactivated ones purged", GOOD, { deactivated: 0, catalogs: 120 }, undefined],
    ["one node, wiped", one, empty, /0 of the 1 nodes/],
    ["small, two gone", small, { active: 3, exported: 6, catalogs: 3 }, undefined],
    ["small, three gone", small, { active: 2, catalogs: 2 }, /2 of the 5/],
    ["big, a tenth gone", big, { active: 90_000, exported: 450_000 }, undefined],
    ["big, more than a tenth", big, { active: 89_999 }, /89999 of the 100000/],
    ["last night's dump", GOOD, { halfSinceMs: NOW_MS - 8 * HOUR_MS }, /went back in time/],
    ["a clock put right", GOOD, { halfSinceMs: NOW_MS - HOUR_MS }, undefined],
    ["old ones brought", GOOD, { catalogs: 200, halfSinceMs: NOW_MS - 9 * HOUR_MS }, undefined],
    ["too few to say", small, { halfSinceMs: NOW_MS - 9 * HOUR_MS }, undefined],
    ["no exports left", GOOD, { exported: 0 }, /0 of the 600 exported resources/],
    ["half of the exports", GOOD, { exported: 300 }, undefined],
    ["one node's exports", small, { exported: 2 }, undefined],
  ];
  for (const [what, good, change, because] of cases) {
    const memory = after(good, { ...good, ...change });
    if (because === undefined) assert.equal(memory.shrunk, "", what);
    else assert.match(memory.shrunk, because, what);
    // What was good stays remembered until all of it is there again.
    assert.deepEqual(memory.good, because === undefined ? { ...good, ...change } : good, what);
  }
});

void test("follow takes fewer exported resources where another PuppetDB has no more either", () => {
  const now = counts({ exported: 10 });
  assert.equal(after(GOOD, now, { others: [counts({ exported: 15 })] }).shrunk, "");
  assert.match(after(GOOD, now, { others: [GOOD] }).shrunk, /10 of the 600/);
  // Of nodes it excuses nothing: both clocks may have hidden them.
  const hidden = counts({ active: 10 });
  assert.match(after(GOOD, hidden, { others: [hidden] }).shrunk, /10 of the 120/);
});

void test("follow wants all of them back once some were lost", () => {
  const memory = after(GOOD, counts({ active: 3 }));
  const nearly = after(memory.good, counts({ active: 119 }), memory);
  assert.match(nearly.shrunk, /119 of the 120/);
  const others: Counts[] = [];
  const gone = follow(nearly, counts({ active: 119, deactivated: 5 }), {
    accepted: undefined,
    others,
  });
  assert.equal(gone.shrunk, "");
  assert.equal(gone.good.active, 119);
});

void test("follow takes a PuppetDB as it is when that is ordered, once", () => {
  const few = counts({ active: 3 });
  const shrunk = after(GOOD, few);
  const ordered = follow(shrunk, few, { accepted: "t1", others: [] });
  assert.deepEqual(ordered, { good: few, shrunk: "", accepted: "t1" });
  const again = follow(ordered, counts({ active: 0 }), { accepted: "t1", others: [] });
  assert.match(again.shrunk, /0 of the 3/);
  assert.equal(again.accepted, "t1");
  assert.equal(follow(undefined, few, { accepted: undefined, others: [] }).shrunk, "");
});

void test("recall goes on with another courier's memory where its own is lost or older than the order", () => {
  const [old, fresh]: Memory[] = [
    { good: GOOD, shrunk: "it has 0" },
    { good: counts({ active: 3 }), shrunk: "", accepted: "t1" },
  ];
  assert.equal(recall(old, [], undefined), old);
  assert.equal(recall(undefined, [old!], undefined), old);
  assert.equal(recall(old, [fresh!], "t1"), fresh);
  assert.equal(recall(fresh, [old!], "t1"), fresh);
  assert.equal(recall(old, [], "t1"), old);
  assert.equal(recall(undefined, [], "t1"), undefined);
  // Nobody follows it yet: this courier takes what is there.
  assert.equal(recall(undefined, [old!], "t1"), undefined);
});

void test("follow lets no PuppetDB answer that lacks more than a look tolerates", () => {
  const nodes = integer({ min: 0, max: 100_000 });
  const history = array(nodes, { minLength: 1, maxLength: 8 });
  const holds = (looks: number[]) => {
    let memory: Memory | undefined;
    for (const active of looks) {
      const before: Memory = memory ?? { good: counts({ active }), shrunk: "" };
      memory = after(before.good, { ...before.good, active }, before);
      if (memory.shrunk !== "") continue;
      const may = before.shrunk === "" ? tolerated(before.good.active) : 0;
      assert.ok(active >= before.good.active - may);
      assert.ok(active > 0 || before.good.active === 0);
    }
  };
  check(property(history, holds));
});
