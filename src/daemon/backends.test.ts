// A second puppetserver on one server: from the command's change of the record to a real edge.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createClusterRecord, readClusterRecord } from "../cluster/record.ts";
import { Member, Meta, NodeFile, Settings } from "../cluster/schema.ts";
import { TestEdge } from "../edge/testing/edge.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { backendCommands } from "./backends.ts";
import { desiredEdge } from "./edge-desired.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());

const NODE = NodeFile.parse({
  format: 1,
  clusterId: "7c0ac5f8-8f3f-4b7e-9f0e-2d6a5d3f0b11",
  generation: 1,
  id: "s1.test",
  role: "server",
  address: "127.0.0.1",
  sharedName: "puppet.test",
  phase: "ready",
  etcdEndpoints: ["https://10.0.0.1:9141"],
});

test("backendCommands add a second puppetserver of a server, which its edge then sends requests to", async () => {
  const client = etcd.client();
  const member = Member.parse({
    ...NODE,
    mayVote: true,
    backends: [],
    version: "1.0.0",
    joinedAt: "2026-01-02T03:04:05Z",
  });
  const meta = Meta.parse({ ...NODE, createdAt: "2026-01-02T03:04:05Z" });
  await createClusterRecord(client, {
    meta,
    settings: Settings.parse({ sharedName: NODE.sharedName }),
    member,
  });
  await using made = await TestEdge.make({ puppetservers: 2 });
  const ports = made.config.backends.map(({ port }) => port);
  const commands = backendCommands({ etcd: client, node: NODE });
  const names = async () => (await commands.list()).backends.map(({ name }) => name);
  assert.deepEqual(await names(), ["puppetserver"]);
  await commands.add({ name: "second", port: ports[0] ?? 0 });
  await commands.add({ name: "third", port: ports[1] ?? 0 });
  await commands.remove("puppetserver");
  assert.deepEqual(await names(), ["second", "third"]);
  await assert.rejects(commands.add({ name: "fourth", port: ports[1] ?? 0 }), (error) =>
    isFault(error, "backend.taken"),
  );

  const record = await readClusterRecord(client);
  assert.ok(record);
  const { backends } = desiredEdge(
    {
      revision: record.revision,
      meta,
      metaText: "",
      settings: record.settings.value,
      members: record.members.map(({ value }) => value),
      etcdMembers: [],
      work: record.work,
    },
    {
      id: NODE.id,
      memoryMiB: 4096,
      ipv6: false,
      certificateFile: "",
      puppetCaFile: "",
      issuers: [],
    },
  );
  // The toys' certificate has a name of its own.
  const named = backends.map((backend) => ({ ...backend, host: "ps.test", jrubies: 1 }));
  await using edge = made.with({ ...made.config, backends: named });
  await Promise.all(named.map(async ({ name }) => edge.startToy(name)));
  await edge.startHaproxy();
  const path = "/puppet/v3/catalog/agent1.test";
  const answers = ["a", "b"].map(async (id) => edge.ask(`${path}?id=${id}&gate=go`, { body: "x" }));
  await Promise.all(["a", "b"].map(async (id) => edge.begun(id)));
  await edge.open("go");
  const servers = (await Promise.all(answers)).map(({ json }) => json.server);
  assert.deepEqual(servers.toSorted(), ["s1.test_second", "s1.test_third"]);
});
