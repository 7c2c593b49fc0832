import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { decideKeeper, type KeeperFacts } from "./decide.ts";

const NOW = 1_000_000;
const AGO = (ms: number) => NOW - ms;
const old: KeeperFacts = {
  side: "old",
  phase: "moved",
  nowMs: NOW,
  sinceMs: AGO(1000),
  endsAtMs: NOW + 900_000,
  go: false,
  end: false,
  held: 0,
  of: 1,
  keeps: true,
  hears: true,
  nudged: false,
  heldSinceMs: undefined,
  idleSinceMs: undefined,
  silentSinceMs: undefined,
};
const next: KeeperFacts = { ...old, side: "new", held: 1 };

const CASES: [string, KeeperFacts, Partial<KeeperFacts>, string][] = [
  ["waits until it hears the other", old, { phase: "preparing", hears: false }, "wait"],
  ["is ready once it hears the other", old, { phase: "preparing" }, "ready"],
  [
    "is ready at once with nothing to keep",
    old,
    { phase: "preparing", hears: false, keeps: false },
    "ready",
  ],
  [
    "gives up on one that it never hears",
    old,
    { phase: "preparing", hears: false, sinceMs: AGO(15_000) },
    "end",
  ],
  ["lets nothing go unasked", old, { phase: "prepared", held: 1 }, "wait"],
  ["lets go when it is told", old, { phase: "prepared", held: 1, go: true }, "hand-over"],
  [
    "lets nothing go to one that is silent",
    old,
    { phase: "prepared", go: true, hears: false },
    "end",
  ],
  [
    "ends when nobody tells it anything",
    old,
    { phase: "prepared", held: 1, sinceMs: AGO(60_000) },
    "end",
  ],
  ["waits for keepalived", old, { phase: "moving", held: 1 }, "wait"],
  ["goes on when keepalived has let go", old, { phase: "moving" }, "settle"],
  [
    "takes the number back when keepalived doesn't let go",
    old,
    { phase: "moving", held: 1, sinceMs: AGO(5000) },
    "end",
  ],
  ["keeps connections", old, {}, "wait"],
  ["waits a moment for a last connection", old, { idleSinceMs: AGO(1000) }, "wait"],
  ["ends with its last connection", old, { idleSinceMs: AGO(3000) }, "end"],
  ["ends at the limit", old, { endsAtMs: NOW }, "end"],
  [
    "goes on a little as the holder again",
    old,
    { held: 1, heldSinceMs: AGO(9000), endsAtMs: NOW },
    "wait",
  ],
  ["ends as the holder again", old, { held: 1, heldSinceMs: AGO(10_000) }, "end"],
  ["with nothing kept stays to be seen", old, { keeps: false }, "wait"],
  ["with nothing kept ends soon", next, { keeps: false, sinceMs: AGO(10_000) }, "end"],
  ["of the new holder waits for the address", next, { phase: "prepared", held: 0 }, "wait"],
  ["of the new holder waits for all addresses", next, { phase: "prepared", of: 2 }, "wait"],
  ["of the new holder settles with the address", next, { phase: "prepared" }, "settle"],
  [
    "of the new holder gives up waiting",
    next,
    { phase: "prepared", held: 0, sinceMs: AGO(60_000) },
    "end",
  ],
  ["of the new holder passes on", next, { silentSinceMs: AGO(500) }, "wait"],
  ["of the new holder has silent clients speak", next, { silentSinceMs: AGO(1000) }, "nudge"],
  ["of the new holder does that once", next, { silentSinceMs: AGO(2000), nudged: true }, "wait"],
  [
    "of the new holder ends when the old one is gone",
    next,
    { silentSinceMs: AGO(20_000), nudged: true },
    "end",
  ],
  ["of the new holder ends at the limit", next, { endsAtMs: NOW }, "end"],
];
for (const [what, facts, change, expected] of CASES) {
  test(`decideKeeper ${what}`, () => {
    assert.equal(decideKeeper({ ...facts, ...change }).do, expected);
  });
}

test("decideKeeper always ends when it is told to, and never stays for ever", () => {
  const facts = fc.record({
    side: fc.constantFrom("old" as const, "new" as const),
    phase: fc.constantFrom("preparing" as const, "prepared" as const, "moved" as const),
    go: fc.boolean(),
    held: fc.integer({ min: 0, max: 1 }),
    keeps: fc.boolean(),
    hears: fc.boolean(),
  });
  fc.assert(
    fc.property(facts, (some) => {
      assert.equal(decideKeeper({ ...old, ...some, end: true }).do, "end");
      const late = { nowMs: NOW + 3_600_000, heldSinceMs: some.held > 0 ? NOW : undefined };
      assert.notEqual(decideKeeper({ ...old, ...some, ...late }).do, "wait");
    }),
  );
});
