// The edge of a server as its daemon keeps it, in front of a real HAProxy.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createActs } from "../base/acts.ts";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import type { Ca } from "../ca/authority.ts";
import type { Peers } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { NO_WORK } from "../cluster/work.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { TestEdge } from "../edge/testing/edge.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { createEdgeRunner } from "./edge.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";

test("an edge whose server has lost its Puppet certificate says so, and goes on being looked at and told", async () => {
  await using edge = await TestEdge.start({ puppetservers: 1 });
  assert.equal((await edge.ask(CATALOG)).status, 200);
  const { stateDir, runDir } = edge.config;
  const gone = join(edge.folder, "gone.pem");
  // The daemon has just started: it knows of HAProxy's configuration only that it is there.
  const runner = createEdgeRunner({
    node: { id: "s1.test", sharedName: "puppet.test" } as NodeFile,
    layout: { hostcert: gone, hostprivkey: gone, localcacert: gone } as PuppetLayout,
    memoryMiB: 1024,
    keeper: { current: () => ({ work: NO_WORK, members: [] }) } as unknown as ViewKeeper,
    peers: {} as Peers,
    ca: {
      currentCrl: () => ({ number: 3 }),
      issuerText: () => edge.pki.issuer,
      revocations: () => [{ serial: "a" }],
    } as unknown as Ca,
    acts: createActs(() => 0),
    log: createLog(() => undefined),
    folders: { stateDir, runDir },
  });
  await assert.rejects(runner.tick(), (error) => isFault(error, "edge.identity"));
  const { active, because, confirmedCrl, backends } = runner.status();
  assert.deepEqual(
    { active, because, confirmedCrl },
    { active: true, because: "", confirmedCrl: 3 },
  );
  assert.equal(backends.length, 1);
  assert.equal((await edge.ask(CATALOG)).status, 403);
});
