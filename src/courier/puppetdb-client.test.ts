import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeHealth } from "./puppetdb-client.ts";

const said = (state: string, read: boolean, write: boolean, starting = false) =>
  JSON.stringify({
    state,
    status: { "maintenance_mode?": starting, "read_db_up?": read, "write_db_up?": write },
  });

void test("judgeHealth believes only a PuppetDB that says that it stores and answers", () => {
  const cases: [number, string, boolean, boolean, RegExp][] = [
    [200, said("running", true, true), true, true, /^$/],
    [503, said("starting", true, true, true), false, false, /is starting/],
    [503, said("error", false, false), false, false, /its database takes nothing/],
    [503, said("error", true, false), false, true, /its database takes nothing/],
    [200, JSON.stringify({ state: "running", status: {} }), false, false, /takes nothing/],
    [200, "not JSON", false, false, /it answers 200: not JSON/],
    [0, "connection refused", false, false, /doesn't answer: connection refused/],
  ];
  for (const [status, body, writable, readable, because] of cases) {
    const health = judgeHealth({ status, body });
    assert.deepEqual([health.writable, health.readable], [writable, readable], body);
    assert.match(health.because, because);
  }
});
