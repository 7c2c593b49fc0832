// Agents that come by IPv6 are served as those that come by IPv4, on the same port.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hasIpv6 } from "../host/network.ts";
import { TestEdge } from "./testing/edge.ts";

test("an edge that is bound to both families serves an agent over either", async (t) => {
  if (!(await hasIpv6())) return t.skip("no IPv6 here");
  await using made = await TestEdge.make({ puppetservers: 1 });
  const port = made.config.bind[0]?.port ?? 0;
  const bind = ["0.0.0.0", "::"].map((address) => ({ address, port }));
  await using edge = made.with({ ...made.config, bind, acceptProxyFrom: ["192.0.2.0/24"] });
  await edge.startToy("p1");
  await edge.startHaproxy();
  for (const host of ["127.0.0.1", "::1"]) {
    const { status, json } = await edge.ask("/puppet/v3/node/a?environment=production", { host });
    assert.equal(status, 200, host);
    assert.equal(json.server, "p1");
  }
});
