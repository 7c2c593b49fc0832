import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeReceipt } from "./receiver.ts";
import { hostIn } from "./uploads.ts";

void test("judgeReceipt tells a receiver that is down from a report that it will never take", () => {
  const cases: [number, number, ReturnType<typeof judgeReceipt>["is"]][] = [
    [200, 1, "done"],
    [204, 1, "done"],
    [0, 99, "later"],
    [302, 99, "later"],
    [401, 99, "later"],
    [404, 99, "later"],
    [429, 99, "later"],
    [502, 99, "later"],
    [503, 99, "later"],
    [400, 1, "dead"],
    [413, 1, "dead"],
    [422, 1, "dead"],
    [500, 1, "again"],
    [500, 7, "again"],
    [500, 8, "dead"],
  ];
  for (const [status, tries, is] of cases) {
    assert.equal(judgeReceipt({ status, body: "said" }, tries).is, is, `${status} ${tries}`);
  }
  assert.match(judgeReceipt({ status: 302, body: "" }, 1).because, /redirects aren't followed/);
});

void test("hostIn finds the agent of a report in YAML", () => {
  const cases: [string, string][] = [
    ["--- !ruby/object\nmetrics: {}\nhost: a1.lab.test\ntime: 1\n", "a1.lab.test"],
    ['---\nhost: "a1.lab.test"\n', "a1.lab.test"],
    ["---\n  host: inner\nhost: outer", "outer"],
    ["{}", ""],
    ["", ""],
  ];
  for (const [yaml, host] of cases) assert.equal(hostIn(Buffer.from(yaml)), host);
});
