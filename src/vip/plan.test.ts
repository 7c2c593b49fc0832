import assert from "node:assert/strict";
import { test } from "node:test";
import { configHash, planVip, type VipDesired, type VipObserved } from "./plan.ts";
import { decideStanding, parsePriority, REFUSING, RELUCTANT, WILLING } from "./priority.ts";

const standing = { priority: WILLING, because: "takes addresses" };
const desired: VipDesired = { config: "new", edgeWatch: "watch", standing };
const nothing: VipObserved = {
  config: undefined,
  loaded: undefined,
  edgeWatch: undefined,
  priority: undefined,
  active: false,
  enabled: false,
};
const settled: VipObserved = {
  config: "new",
  loaded: configHash("new"),
  edgeWatch: "watch",
  priority: WILLING,
  active: true,
  enabled: true,
};
const verbs = (want: VipDesired, observed: VipObserved) =>
  planVip(want, observed).map((action) => action.do);

test("planVip sets up a fresh server, what it needs first", () => {
  assert.deepEqual(verbs(desired, nothing), [
    "write-edge-watch",
    "set-priority",
    "write-config",
    "enable",
    "start",
  ]);
});

const CASES: [string, Partial<VipDesired>, Partial<VipObserved>, string[]][] = [
  ["leaves a settled server alone", {}, {}, []],
  [
    "reloads for a new configuration",
    {},
    { config: "old", loaded: "x" },
    ["write-config", "reload"],
  ],
  ["finishes an interrupted reload", {}, { loaded: configHash("old") }, ["reload"]],
  ["starts what was stopped", {}, { active: false }, ["start"]],
  ["writes a number without a reload", {}, { priority: REFUSING }, ["set-priority"]],
  ["stops where there are no addresses any more", { config: undefined }, {}, ["stop"]],
  ["has nothing to stop twice", { config: undefined }, { active: false, enabled: false }, []],
];
for (const [what, want, have, expected] of CASES) {
  test(`planVip ${what}`, () => {
    assert.deepEqual(verbs({ ...desired, ...want }, { ...settled, ...have }), expected);
  });
}

const NOBODYS = { drained: false, holds: false, tookBack: false };

test("decideStanding gives an address up only to somebody, and takes it back after", () => {
  const decide = (wantsAway: boolean, othersReady: boolean, isolated = false) =>
    decideStanding({ ...NOBODYS, wantsAway, othersReady, isolated }).priority;
  assert.equal(decide(false, true), WILLING);
  assert.equal(decide(false, false), WILLING);
  assert.equal(decide(true, true), REFUSING);
  assert.equal(decide(true, false), RELUCTANT);
  // Whom it last knew as ready says nothing when it can't reach anybody.
  assert.equal(decide(false, true, true), RELUCTANT);
});

test("decideStanding of a leaving server takes no address back as its own etcd ends", () => {
  const leaving = { ...NOBODYS, wantsAway: true, isolated: true };
  assert.equal(decideStanding({ ...leaving, othersReady: true }).priority, REFUSING);
  // The others have died meanwhile.
  assert.equal(decideStanding({ ...leaving, othersReady: false }).priority, RELUCTANT);
});

test("decideStanding of a drained server: away with what it has, and last in line from then on", () => {
  const cases: [Partial<Parameters<typeof decideStanding>[0]>, number][] = [
    [{ holds: true, othersReady: true }, REFUSING],
    [{ holds: true, othersReady: false }, RELUCTANT],
    [{ holds: false, othersReady: true }, RELUCTANT],
    [{ holds: false, othersReady: false }, RELUCTANT],
    [{ holds: true, othersReady: true, tookBack: true }, RELUCTANT],
    [{ holds: true, othersReady: true, isolated: true }, RELUCTANT],
    // It leaves as well: then there is no edge behind the address soon.
    [{ holds: false, othersReady: true, wantsAway: true }, REFUSING],
  ];
  for (const [more, priority] of cases) {
    const facts = { ...NOBODYS, drained: true, wantsAway: false, othersReady: false };
    const standing = decideStanding({ ...facts, isolated: false, ...more });
    assert.equal(standing.priority, priority, JSON.stringify(more));
  }
});

test("parsePriority reads what is written and nothing else", () => {
  assert.equal(parsePriority("-254\n"), -254);
  for (const text of [undefined, "", "x", "1 2", "0x1", "-"]) {
    assert.equal(parsePriority(text), undefined);
  }
});
