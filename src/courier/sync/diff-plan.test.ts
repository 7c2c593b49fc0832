import assert from "node:assert/strict";
import { test } from "node:test";
import { addReports, diffNodes, diffReports } from "./diff-plan.ts";
import type { NodeSummary, Summary } from "./summary.ts";

const AT = Date.parse("2026-11-20T12:00:00Z");
const stamp = (ms: number, hash = "h") => ({ ms, hash });

function diffOf(one: NodeSummary | undefined, other: NodeSummary | undefined): string[] {
  const summary = (node: NodeSummary | undefined): Summary =>
    new Map(node === undefined ? [] : [["a.test", node]]);
  const summaries = new Map([
    ["s1", summary(one)],
    ["s2", summary(other)],
  ]);
  return diffNodes(summaries).map(({ kind, has }) => `${kind}: ${JSON.stringify(has)}`);
}

void test("diffNodes shows what one has and another doesn't, or has of another time", () => {
  const [time, later] = ["2026-11-20T12:00:00.000Z", "2026-11-20T12:00:00.001Z"];
  const node = { catalog: stamp(AT), facts: stamp(AT) };
  assert.deepEqual(diffOf(node, node), []);
  assert.deepEqual(diffOf(node, { ...node, catalog: stamp(AT, "other hash") }), []);
  assert.deepEqual(diffOf(node, { ...node, catalog: stamp(AT + 1) }), [
    `catalog: {"s1":"${time}","s2":"${later}"}`,
  ]);
  assert.deepEqual(diffOf({ catalog: stamp(AT) }, undefined), [
    `catalog: {"s1":"${time}"}`,
    `state: {"s1":"active"}`,
  ]);
});

void test("diffNodes shows who finds a node gone, not when each found it silent", () => {
  const time = "2026-11-20T12:00:00.000Z";
  assert.deepEqual(diffOf({ expiredMs: AT }, { expiredMs: AT + 1 }), []);
  assert.deepEqual(diffOf({ expiredMs: AT }, {}), [`state: {"s1":"expired","s2":"active"}`]);
  assert.deepEqual(diffOf({ deactivatedMs: AT }, {}), [
    `state: {"s1":"deactivated ${time}","s2":"active"}`,
  ]);
});

void test("diffReports and addReports count the reports that not all have", () => {
  const report = (certname: string, hash: string) => ({ certname, hash, ms: AT });
  const [one, two] = [report("a.test", "1"), report("a.test", "2")];
  const rows = [
    ...diffReports(
      new Map([
        ["s1", [one, two]],
        ["s2", [one]],
      ]),
    ),
    ...diffReports(
      new Map([
        ["s1", [report("a.test", "3")]],
        ["s2", [report("b.test", "4")]],
      ]),
    ),
  ];
  assert.deepEqual(addReports(rows), [
    { certname: "a.test", kind: "reports", has: { s1: "2" } },
    { certname: "b.test", kind: "reports", has: { s2: "1" } },
  ]);
  assert.deepEqual(
    diffReports(
      new Map([
        ["s1", [one]],
        ["s2", [one]],
      ]),
    ),
    [],
  );
});
