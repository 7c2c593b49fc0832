import assert from "node:assert/strict";
import { test } from "node:test";
import { capacityWarnings, judgeCapacity } from "./capacity.ts";
import { busiestOf, type EdgeLoad, SLOT_MS } from "./load.ts";
import { answer, edge, local, row, silent } from "./testing/status.ts";

const SLOT = 1000;
const load = (past: (number | null)[], slot = SLOT): EdgeLoad => ({
  slot,
  now: past[0] ?? 0,
  past,
});

/** A cluster whose members have so many JRubies, and whose edges had such a load. */
function cluster(jrubies: Record<string, number>, loads: (EdgeLoad | undefined)[]) {
  return Object.keys(jrubies).map((id, index) => {
    const seen = loads[index];
    const backends = Object.entries(jrubies).map(([name, count]) => row(name, { jrubies: count }));
    const more = { backends, ...(seen === undefined ? {} : { load: seen }) };
    return answer(id, local(id, { edge: edge(more) }));
  });
}

test("busiestOf adds up the same half hour of all edges, also when their clocks are a slot apart", () => {
  assert.deepEqual(busiestOf([load([1, 5, 2]), load([2, 1, 3])]), {
    load: 6,
    fromMs: (SLOT - 2) * SLOT_MS,
  });
  assert.deepEqual(busiestOf([load([1, 5]), load([5, 1], SLOT - 1)]), {
    load: 10,
    fromMs: (SLOT - 2) * SLOT_MS,
  });
});

test("busiestOf knows nothing before a half hour has ended", () => {
  assert.equal(busiestOf([load([null, null]), load([])]), undefined);
});

const CASES: [string, Record<string, number>, number, { id: string; lacking: number }][] = [
  ["is carried where the rest is idle enough", { a: 4, b: 4 }, 3.2, { id: "a", lacking: 0 }],
  ["isn't where they would queue", { a: 4, b: 4 }, 3.3, { id: "a", lacking: 1 }],
  ["counts on the loss of the largest", { a: 1, b: 8, c: 1 }, 3, { id: "b", lacking: 2 }],
  ["says by how much", { a: 4, b: 4 }, 8, { id: "a", lacking: 6 }],
];
for (const [what, jrubies, seen, expected] of CASES) {
  test(`judgeCapacity: a load ${what}`, () => {
    const { without } = judgeCapacity(cluster(jrubies, [load([seen])]));
    assert.equal(without?.id, expected.id);
    assert.equal(without.lacking, expected.lacking);
    assert.equal(without.carries, expected.lacking === 0);
  });
}

test("judgeCapacity adds up what all edges see of a member's puppetservers", () => {
  const [a, b] = cluster({ a: 2, b: 2 }, []);
  assert.ok(a && b);
  a.local?.edge?.backends.splice(
    0,
    1,
    row("a", { jrubies: 2, busy: 1, queued: 3, responseMs: 10 }),
  );
  b.local?.edge?.backends.splice(
    0,
    1,
    row("a", { jrubies: 2, busy: 1, queued: 1, responseMs: 30 }),
  );
  const [first] = judgeCapacity([a, b]).members;
  assert.deepEqual(first, { id: "a", jrubies: 2, up: 2, busy: 2, queued: 4, responseMs: 30 });
});

for (const state of ["down", "silent", "drained", "starting"] as const) {
  test(`judgeCapacity doesn't count on a puppetserver that is ${state}`, () => {
    const backends = [row("a"), row("b"), row("c", { state })];
    const members = ["a", "b", "c"].map((id) =>
      answer(id, local(id, { edge: edge({ backends }) })),
    );
    members[0]!.local!.edge!.load = load([5]);
    const capacity = judgeCapacity(members);
    assert.equal(capacity.jrubies, 8);
    assert.deepEqual(capacity.without, { id: "a", jrubies: 4, carries: false, lacking: 3 });
    assert.deepEqual(
      capacity.members.map(({ id, jrubies, up }) => [id, jrubies, up]),
      [
        ["a", 4, 4],
        ["b", 4, 4],
        ["c", 4, 0],
      ],
    );
    assert.match(capacityWarnings(members)[0]?.text ?? "", /^Without a the others' 4 JRubies/);
  });
}

test("judgeCapacity names servers whose edge can't be asked: what they had isn't counted", () => {
  const [a, b] = cluster({ a: 4, b: 4 }, [load([1])]);
  assert.ok(a && b);
  assert.deepEqual(judgeCapacity([a, b]).missing, []);
  assert.deepEqual(judgeCapacity([a, silent("b")]).missing, ["b"]);
});

test("capacityWarnings leaves it to others to say that nobody is left", () => {
  const backends = [row("a"), row("b", { state: "down" })];
  const seen = edge({ backends, load: load([3]) });
  assert.deepEqual(capacityWarnings([answer("a", local("a", { edge: seen }))]), []);
});

test("capacityWarnings speaks of what a loss would do, and not of what isn't known", () => {
  assert.deepEqual(capacityWarnings(cluster({ a: 4, b: 4 }, [load([null])])), []);
  assert.deepEqual(capacityWarnings(cluster({ a: 4 }, [load([9])])), []);
  const [warning] = capacityWarnings(cluster({ a: 4, b: 4 }, [load([3.6])]));
  assert.match(
    warning?.text ?? "",
    /^Without a the others' 4 JRubies would be asked for 3\.6 at once/,
  );
  assert.match(warning?.text ?? "", /1 more would carry it/);
});
