import assert from "node:assert/strict";
import { test } from "node:test";
import { createComparison, judgeOrigin, pauseAfter } from "./follow-plan.ts";
import { blockKey, certKey, nameKey, revokedKey } from "./record.ts";

const CLUSTER = "6a6f1b0e-7a55-4b5c-9a55-0d5b5f3f3f01";
const OTHER = "6a6f1b0e-7a55-4b5c-9a55-0d5b5f3f3f02";
const MEMBER = { clusterId: CLUSTER, generation: 2 };

const meta = (generation: number, clusterId = CLUSTER) =>
  JSON.stringify({ format: 1, clusterId, generation, createdAt: "2026-11-20T10:00:00.000Z" });

void test("judgeOrigin lets a copy go on with its own record, and with no older or other one", () => {
  const mine = meta(2);
  const cases: [
    string,
    [string | undefined, number],
    [string | undefined, number],
    string | RegExp,
  ][] = [
    ["an empty copy", [mine, 10], [undefined, 0], "same"],
    ["a record that went on", [mine, 10], [mine, 10], "same"],
    ["an older one", [mine, 9], [mine, 10], /ends at revision 9, the copy at 10/],
    ["an empty etcd", [undefined, 9], [mine, 10], /no record of a cluster/],
    ["an empty etcd, an empty copy", [undefined, 9], [undefined, 0], /no record of a cluster/],
    ["another cluster's", [meta(2, OTHER), 99], [mine, 10], new RegExp(OTHER)],
    ["an older generation's", [meta(1), 99], [mine, 10], /generation 1/],
    ["a recovered one", [mine, 3], [meta(1), 10], "newer"],
    ["one of a generation before the copy's", [mine, 99], [meta(3), 10], /the copy of 3/],
    ["a copy of a cluster that was left", [mine, 3], [meta(7, OTHER), 10], "newer"],
    ["nonsense", ["{", 99], [mine, 10], /no record of a cluster/],
  ];
  for (const [what, [recordMeta, revision], [copyMeta, copied], expected] of cases) {
    const record = { revision, meta: recordMeta };
    const origin = judgeOrigin(MEMBER, record, { revision: copied, meta: copyMeta });
    if (typeof expected === "string") assert.equal(origin.is, expected, what);
    else assert.match(origin.is === "refused" ? origin.because : origin.is, expected, what);
  }
});

void test("createComparison misses what never goes away, and nothing else", () => {
  const kept = { key: certKey("0000000A"), value: "a" };
  const compare = (...copy: { key: string; value: string }[]) => {
    const comparison = createComparison();
    for (const entry of [kept, { key: nameKey("x"), value: "2" }]) comparison.there(entry);
    for (const entry of copy) comparison.copied(entry);
    return comparison.because();
  };
  assert.equal(
    compare(kept, { key: nameKey("x"), value: "1" }, { key: "elsewhere", value: "1" }),
    undefined,
  );
  assert.match(compare(kept, { key: certKey("0000000B"), value: "b" }) ?? "", /lacks 1 .*0000000B/);
  assert.match(compare({ key: certKey("0000000A"), value: "other" }) ?? "", /0000000A/);
  assert.match(compare({ key: revokedKey("0000000A"), value: "b" }) ?? "", /revoked/);
  assert.match(compare({ key: blockKey("0000000A"), value: "b" }) ?? "", /block/);
});

void test("pauseAfter grows to two seconds for etcd, to a minute where each attempt is dear", () => {
  const waits = (slow: boolean) => {
    const list: number[] = [];
    for (let last = 0; list.length < 10; list.push(last)) last = pauseAfter(slow, last);
    return list;
  };
  assert.deepEqual([...new Set(waits(false))], [500, 1000, 2000]);
  assert.deepEqual(
    [...new Set(waits(true))],
    [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000],
  );
  assert.equal(pauseAfter(false, 60_000), 2000);
});
