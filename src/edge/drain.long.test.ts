// A drained server at a real edge: what runs there ends there, nothing new comes, and it is asked
// all the same when nobody else is left. Nothing but HAProxy runs meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import type { EdgeConfig } from "./config.ts";
import { settleEdge } from "./loop.ts";
import { observeEdge } from "./observe.ts";
import { edgeRuntime } from "./runtime.ts";
import { TestEdge } from "./testing/edge.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";
const HAPROXY = { haproxy: toolPath("haproxy"), env: toolEnv() };
const WAIT = { withinMs: 60_000, everyMs: 50 };

function withDrained(config: EdgeConfig, name: string): EdgeConfig {
  const backends = config.backends.map((each) => ({ ...each, lastResort: each.name === name }));
  return { ...config, backends };
}

test("a drained server ends what it has, gets nothing new, and is the last that is asked", async () => {
  await using edge = await TestEdge.start({ puppetservers: 2 });
  const observe = async () => observeEdge(edgeRuntime(edge.config));
  const agent = edge.connection();
  const long = edge.ask(`${CATALOG}?id=long&gate=go`, { agent });
  const drained = await edge.begun("long");
  const other = drained === "p1" ? "p2" : "p1";
  assert.ok((await observe()).connections > 0);

  await settleEdge(withDrained(edge.config, drained), HAPROXY);
  const during = await observe();
  assert.equal(during.servers.find(({ name }) => name === drained)?.state, "drained");
  assert.ok(
    during.workers.some(({ former }) => former),
    "the worker that has the request is still there",
  );
  for (let round = 0; round < 6; round += 1) {
    assert.equal((await edge.ask(CATALOG)).json.server, other);
  }
  await edge.open("go");
  const answer = await long;
  assert.equal(answer.status, 200);
  assert.equal(answer.json.server, drained);
  agent.destroy();
  const quiet = async () => !(await observe()).workers.some(({ former }) => former);
  await until("no former worker", quiet, WAIT);

  edge.signal(other, "SIGKILL");
  assert.equal((await edge.ask(CATALOG)).json.server, drained);
  await edge.startToy(other);
  const back = async () => (await edge.ask(CATALOG)).json.server === other;
  await until("the other one is asked again", back, WAIT);

  await settleEdge(edge.config, HAPROXY);
  const both = new Set<string>();
  const seen = async () => {
    both.add((await edge.ask(CATALOG)).json.server);
    return both.size === 2;
  };
  await until("both are asked", seen, WAIT);
});
