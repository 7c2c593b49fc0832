import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  GRACE_MS,
  settledBy,
  type Item,
  KEEP_MS,
  type NodePlan,
  planNodes,
  planReports,
} from "./plan.ts";
import { newestMs, type NodeSummary, type Summary } from "./summary.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const AT = { nowMs: NOW, settledMs: NOW - GRACE_MS };
const HOUR = 3_600_000;
const stamp = (ms: number, hash = "h") => ({ ms, hash });
const data = (ms: number) => ({ catalog: stamp(ms), facts: stamp(ms), inputs: stamp(ms) });
const never = () => undefined;

/** Plans for one node, known as `own` here and as `others` in s2, s3, …; in short. */
function planOf(own: NodeSummary | undefined, ...others: (NodeSummary | undefined)[]): string[] {
  const there = others.map((node, index) => [`s${index + 2}`, summaryOf(node)] as const);
  return shortly(planNodes(summaryOf(own), new Map(there), { ...AT, tried: never }));
}

function summaryOf(node: NodeSummary | undefined): Summary {
  return new Map(node === undefined ? [] : [["a.test", node]]);
}

function shortly({ bring, left }: NodePlan): string[] {
  return [
    ...bring.map(({ kind, from, hides }) => `${kind} of ${from}${hides ? ", hidden" : ""}`),
    ...left.map(({ kind, because }) => `not ${kind}: ${because}`),
  ];
}

void test("planNodes brings of each kind what is newest, from whoever has it", () => {
  const [old, mid, fresh] = [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR];
  const ALL = ["catalog of s2, hidden", "facts of s2", "inputs of s2"];
  const cases: [string[], ...Parameters<typeof planOf>][] = [
    [ALL, undefined, data(old)],
    [["catalog of s3", "facts of s3", "inputs of s3"], data(old), data(mid), data(fresh)],
    [["facts of s2"], data(mid), { ...data(mid), facts: stamp(fresh) }],
    [["catalog of s2, hidden"], { facts: stamp(fresh) }, { catalog: stamp(old) }],
    // Newer here, equal, another hash of the same run, and what is on its way.
    [[], data(fresh), data(mid), data(old)],
    [[], data(fresh), data(fresh)],
    [[], { catalog: stamp(mid, "x") }, { catalog: stamp(mid, "y") }],
    [[], data(mid), data(NOW - GRACE_MS + 1)],
    [[], data(mid), undefined],
  ];
  for (const [expected, own, ...others] of cases) {
    assert.deepEqual(planOf(own, ...others), expected);
  }
});

void test("settledBy takes in what is young where it may have been lost, and nothing of the future", () => {
  const cases: [number, number][] = [
    [Number.NEGATIVE_INFINITY, NOW - GRACE_MS],
    [NOW - 2 * GRACE_MS, NOW - GRACE_MS],
    [NOW - 5000, NOW - 5000],
    // The clock was set back.
    [NOW + HOUR, NOW],
  ];
  for (const [doubtMs, expected] of cases) assert.equal(settledBy(NOW, doubtMs), expected);
  const there = new Map([["s2", summaryOf(data(NOW - 5000))]]);
  const plan = planNodes(new Map(), there, { nowMs: NOW, settledMs: NOW - 4000, tried: never });
  assert.deepEqual(shortly(plan), ["catalog of s2, hidden", "facts of s2", "inputs of s2"]);
});

void test("planNodes carries a deactivation over before the data, unless the node has run since", () => {
  const [old, fresh] = [NOW - 3 * HOUR, NOW - HOUR];
  const gone = { ...data(old), deactivatedMs: fresh };
  const cases: [string[], ...Parameters<typeof planOf>][] = [
    [["deactivation of s2"], data(old), gone],
    [["deactivation of s2", "catalog of s2", "facts of s2", "inputs of s2"], undefined, gone],
    [["deactivation of s3"], { ...data(old), deactivatedMs: old }, data(old), gone],
    [[], gone, gone],
    [[], data(NOW - HOUR / 2), gone],
    // It ran for a third one, which brings it back everywhere.
    [["catalog of s3", "facts of s3", "inputs of s3"], gone, gone, data(NOW - HOUR / 2)],
  ];
  for (const [expected, own, ...others] of cases) {
    assert.deepEqual(planOf(own, ...others), expected);
  }
  const long = { ...data(NOW - KEEP_MS - 2), deactivatedMs: NOW - KEEP_MS - 1 };
  assert.deepEqual(planOf(data(NOW - KEEP_MS - 3), long)[0], "deactivation of s2");
  assert.match(planOf(undefined, long).join(), /^not deactivation: deactivated long ago/);
});

void test("planNodes leaves a node alone that has expired there, and knows no other's", () => {
  const expired = { ...data(NOW - 9 * 24 * HOUR), expiredMs: NOW - HOUR };
  assert.match(planOf(undefined, expired).join(), /^not catalog: the node has expired there/);
  assert.deepEqual(
    planOf(undefined, expired, data(NOW - 9 * 24 * HOUR))[0],
    "catalog of s3, hidden",
  );
});

void test("planNodes revives what has expired here only, first, and once for the same data", () => {
  const [old, fresh] = [NOW - 9 * 24 * HOUR, NOW - 3 * HOUR];
  const expiredMs = NOW - HOUR;
  const revivedMs = NOW - 2 * HOUR;
  const REVIVAL = "revival of s2, hidden";
  const BEHIND = [REVIVAL, "catalog of s2", "facts of s2", "inputs of s2"];
  const cases: [string[], ...Parameters<typeof planOf>][] = [
    [BEHIND, { ...data(old), expiredMs }, data(fresh)],
    // All of its data came through the couriers, after it had expired.
    [[REVIVAL], { ...data(fresh), expiredMs }, data(fresh)],
    // Revived there itself: no proof.
    [[], { ...data(old), expiredMs }, { ...data(old), revivedMs }],
    [[REVIVAL], { ...data(fresh), expiredMs }, { ...data(fresh), revivedMs: old }],
    [[], { ...data(old), expiredMs, revivedMs }, data(old)],
    [[], { ...data(fresh), expiredMs }, { ...data(fresh), expiredMs }],
    [[], { ...data(fresh), expiredMs }, data(old)],
  ];
  for (const [expected, own, ...others] of cases) {
    assert.deepEqual(planOf(own, ...others), expected);
  }
});

void test("planNodes leaves alone what was tried, and says why", () => {
  const tried = ({ kind }: Item) => (kind === "facts" ? "refused" : undefined);
  const there = new Map([["s2", summaryOf(data(NOW - HOUR))]]);
  const plan = planNodes(new Map(), there, { ...AT, tried });
  assert.deepEqual(shortly(plan), ["catalog of s2, hidden", "inputs of s2", "not facts: refused"]);
});

const time = fc.integer({ min: NOW - 15 * 24 * HOUR, max: NOW - GRACE_MS });
const node: fc.Arbitrary<NodeSummary> = fc
  .record(
    { catalog: time, facts: time, deactivatedMs: time, expiredMs: time },
    { requiredKeys: [] },
  )
  .map(({ catalog, facts, ...rest }) => ({
    ...rest,
    ...(catalog === undefined ? {} : { catalog: stamp(catalog) }),
    ...(facts === undefined ? {} : { facts: stamp(facts) }),
  }));

/** What a PuppetDB has after `items`, by its own rules. */
function after(own: NodeSummary | undefined, items: readonly Item[]): NodeSummary {
  const now: NodeSummary = { ...own };
  for (const { kind, ms } of items) {
    if (kind === "deactivation") {
      if (ms >= newestMs(now)) now.deactivatedMs = Math.max(ms, now.deactivatedMs ?? -Infinity);
      continue;
    }
    if (kind === "report") continue;
    const atMs = kind === "revival" ? NOW : ms;
    if ((now.deactivatedMs ?? Infinity) < atMs) delete now.deactivatedMs;
    if ((now.expiredMs ?? Infinity) < atMs) delete now.expiredMs;
    if (kind === "revival") now.revivedMs = NOW;
    else now[kind] = stamp(ms);
  }
  return now;
}

void test("planNodes plans nothing more once what it planned is here", () => {
  fc.assert(
    fc.property(
      fc.option(node, { nil: undefined }),
      fc.array(node, { maxLength: 3 }),
      (own, all) => {
        const there = new Map(all.map((each, index) => [`s${index + 2}`, summaryOf(each)]));
        const first = planNodes(summaryOf(own), there, { ...AT, tried: never });
        const here = summaryOf(first.bring.length === 0 ? own : after(own, first.bring));
        assert.deepEqual(planNodes(here, there, { ...AT, tried: never }).bring, []);
      },
    ),
    { numRuns: 2000 },
  );
});

void test("planNodes brings two PuppetDBs to rest that pull from each other", () => {
  fc.assert(
    fc.property(node, node, (one, other) => {
      const pair = [one, other] as [NodeSummary, NodeSummary];
      const planFor = (index: 0 | 1) => {
        const there = new Map([["other", summaryOf(pair[index === 0 ? 1 : 0])]]);
        return planNodes(summaryOf(pair[index]), there, { ...AT, tried: never }).bring;
      };
      for (let round = 0; round < 4; round += 1) {
        pair[0] = after(pair[0], planFor(0));
        pair[1] = after(pair[1], planFor(1));
      }
      assert.deepEqual([planFor(0), planFor(1)], [[], []]);
    }),
    { numRuns: 2000 },
  );
});

void test("planReports brings what isn't here, but for nodes that are gone and forgotten", () => {
  const report = (certname: string, hash: string) => ({ certname, hash, ms: NOW - HOUR });
  const reports = [report("a.test", "1"), report("a.test", "2"), report("gone.test", "3")];
  const nodes = new Map([["gone.test", { deactivatedMs: NOW - KEEP_MS - 1 }]]);
  const there = { from: "s2", reports, nodes };
  const planWith = (nodesHere: Summary) =>
    planReports(new Set(["1"]), there, { tried: never, nodesHere });
  const { bring, left } = planWith(new Map());
  assert.deepEqual(
    bring.map(({ hash }) => hash),
    ["2"],
  );
  assert.deepEqual(
    left.map(({ certname }) => certname),
    ["gone.test"],
  );
  assert.equal(planWith(nodes).bring.length, 2);
});
