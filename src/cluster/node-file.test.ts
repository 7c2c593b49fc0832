import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { claimNodeFile, readNodeFile } from "./node-file.ts";
import { NodeFile } from "./schema.ts";

const nodeOf = (clusterId: string) =>
  NodeFile.parse({
    format: 1,
    clusterId,
    generation: 1,
    id: "s1.lab.test",
    role: "server",
    address: "10.0.0.1",
    sharedName: "puppet.lab.test",
    phase: "setup",
    startedBy: "init",
    etcdEndpoints: ["https://10.0.0.1:9141"],
  });

test("claimNodeFile lets one of two setups at the same moment have the server, and go on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-node-"));
  const path = join(folder, "etc", "node.json");
  const nodes = [
    nodeOf("7c0ac5f8-8f3f-4b7e-9f0e-2d6a5d3f0b11"),
    nodeOf("6a6f1b0e-7a55-4b5c-9a55-0d5b5f3f3f01"),
  ];
  try {
    const claims = await Promise.allSettled(nodes.map(async (node) => claimNodeFile(node, path)));
    const refused = claims.filter((claim) => claim.status === "rejected");
    assert.deepEqual(
      refused.map(({ reason }) => isFault(reason, "setup.already-member")),
      [true],
    );
    const first = nodes[claims.findIndex(({ status }) => status === "fulfilled")];
    assert.ok(first);
    assert.deepEqual(await readNodeFile(path), first);
    await claimNodeFile({ ...first, etcdEndpoints: ["https://10.0.0.2:9141"] }, path);
    assert.equal((await readNodeFile(path))?.etcdEndpoints[0], "https://10.0.0.2:9141");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
