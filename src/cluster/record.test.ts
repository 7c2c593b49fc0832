import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { PORTS } from "../host/paths.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { createClusterRecord, readClusterRecord, updateMember, updateSettings } from "./record.ts";
import { memberKey, SETTINGS_KEY } from "./keys.ts";
import { Member, Meta, Settings } from "./schema.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());

const first = (settings: Partial<Settings> = {}) => ({
  meta: Meta.parse({
    format: 1,
    clusterId: "5e1d7a63-4c0e-4c5b-9a39-0f3a3f0a5c11",
    generation: 1,
    createdAt: "2026-01-02T03:04:05Z",
  }),
  settings: { ...Settings.parse({ sharedName: "puppet.test" }), ...settings },
  member: Member.parse({
    id: "s1.test",
    role: "server",
    address: "10.0.0.11",
    phase: "joining",
    mayVote: true,
    backends: [],
    version: "1.0.0",
    joinedAt: "2026-01-02T03:04:05Z",
  }),
});

test("createClusterRecord refuses what could not be read again, and writes nothing", async () => {
  const client = etcd.client();
  const many = Array.from({ length: 65 }, (_, index) => `n${index}.test`);
  for (const settings of [{ otherNames: many }, { virtualIps: many }]) {
    await assert.rejects(createClusterRecord(client, first(settings)), (error) =>
      isFault(error, "cluster.settings"),
    );
  }
  assert.equal(await readClusterRecord(client), undefined);
});

test("createClusterRecord that is run again takes the settings that are wanted now", async () => {
  const client = etcd.client();
  await createClusterRecord(client, first({ virtualIps: ["10.0.0.10/24"] }));
  await updateSettings(client, (settings) => ({ ...settings, voters: 5 }));
  await createClusterRecord(
    client,
    first({ virtualIps: ["10.0.0.20/24"], acceptProxyFrom: ["10.0.0.5"] }),
  );
  const record = await readClusterRecord(client);
  assert.deepEqual(record?.settings.value, {
    sharedName: "puppet.test",
    otherNames: [],
    virtualIps: ["10.0.0.20/24"],
    acceptProxyFrom: ["10.0.0.5"],
    isolatedEdge: "serve",
    voters: 5,
  });
  const before = record?.revision;
  await createClusterRecord(
    client,
    first({ virtualIps: ["10.0.0.20/24"], acceptProxyFrom: ["10.0.0.5"] }),
  );
  assert.equal((await readClusterRecord(client))?.revision, before);
});

test("createClusterRecord leaves another cluster's record alone", async () => {
  const other = first();
  other.meta.clusterId = "0b9f4f30-8f0e-4d8e-bb0f-0d6f6f1c2a22";
  await assert.rejects(createClusterRecord(etcd.client(), other), (error) =>
    isFault(error, "cluster.exists"),
  );
});

test("what a newer version has added to a member, its puppetservers and settings stays", async () => {
  const client = etcd.client();
  const backend = { name: "s1.test", port: 8140, jrubies: 2, unfit: "", zone: "north" };
  const member = { ...first().member, site: "x", backends: [backend] };
  const channel = { name: "ops", type: "mail", minSeverity: "warning", quietHours: "22-6" };
  const settings = { ...first().settings, alertChannels: [channel], api: { requireMtls: true } };
  await client.transact({
    when: [],
    then: [
      { put: memberKey("s1.test"), value: JSON.stringify(member) },
      { put: SETTINGS_KEY, value: JSON.stringify(settings) },
    ],
  });
  const kept = async (key: string) => JSON.parse((await client.get(key))?.value ?? "") as object;
  await updateMember(client, "s1.test", (now) => {
    return now && { ...now, backends: now.backends.map((each) => ({ ...each, jrubies: 4 })) };
  });
  assert.deepEqual(await kept(memberKey("s1.test")), {
    ...member,
    backends: [{ ...backend, jrubies: 4 }],
  });
  await updateSettings(client, (now) => ({ ...now, voters: 5 }));
  assert.deepEqual(await kept(SETTINGS_KEY), {
    ...settings,
    voters: 5,
    api: { requireMtls: true, port: PORTS.api, metricsFrom: [] },
  });
  await updateSettings(client, (now) => ({ ...now, alertChannels: [] }));
  assert.doesNotMatch(JSON.stringify(await kept(SETTINGS_KEY)), /quietHours/);
});
