// Two PuppetDBs in front of one replicated PostgreSQL: the primary is killed while agents run and
// the standby is promoted. No run fails, and no report that was taken is missing.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import { type Cluster, openCluster } from "../cluster.ts";
import { type Crew, startCrew } from "../cluster/crew.ts";
import { promote, queryPuppetdb, startSharedPuppetdbs } from "../cluster/puppetdb.ts";
import { scenesOn } from "../cluster/scenes.ts";
import type { LabHost } from "../host.ts";

const ENABLE_MS_MAX = 600_000;
const AGENTS = ["one", "two"];

let cluster: Cluster;
let s1: LabHost;
let s2: LabHost;

before(async () => {
  cluster = await openCluster({ servers: 2, agentHosts: 1 });
  [s1, s2] = cluster.servers as [LabHost, LabHost];
  await startSharedPuppetdbs(s1, s2);
});

after(async () => cluster?.down());

const scene = scenesOn(() => cluster);

scene("PuppetDBs share a database all or none, and answer at once", async () => {
  const enable = "understudy puppetdb enable";
  await s1.run(`${enable} --shared-database`, { withinMs: ENABLE_MS_MAX });
  const refused = await s2.exec(enable, { withinMs: ENABLE_MS_MAX });
  assert.equal(refused.ok, false);
  assert.match(refused.stderr, /shares its database: all do, or none/);
  const said = await s2.run(`${enable} --shared-database --json`, { withinMs: ENABLE_MS_MAX });
  assert.match(said, /"puppetdb": "answers"/);
  await cluster.untilWhole();
});

scene("runs go on through a lost primary of PostgreSQL, and no report is lost", async () => {
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, AGENTS);
  await rounds(crew, 2);
  await s1.run("systemctl kill --signal SIGKILL postgresql@15-main");
  await promote(s2);
  await rounds(crew, 2);
  await crew.assertUnharmed(fromMs);
  await crew.stop();
  await untilStored(crew, fromMs);
});

scene("a PuppetDB that stops is one of two: the other stores and answers", async () => {
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, AGENTS);
  await s1.run("systemctl stop puppetdb");
  await rounds(crew, 2);
  await crew.assertUnharmed(fromMs);
  await crew.stop();
  await untilStored(crew, fromMs);
});

/** Waits for `count` more whole runs of every agent. */
async function rounds(crew: Crew, count: number): Promise<void> {
  for (let round = 0; round < count; round += 1) await crew.allRun();
}

/** Waits until the database has a report of every run. */
async function untilStored(crew: Crew, fromMs: number): Promise<void> {
  const since = [">=", "producer_timestamp", new Date(fromMs).toISOString()];
  const query = ["from", "reports", ["extract", ["certname"], since]];
  const stored = async () => {
    const rows = await queryPuppetdb(s2, query);
    return crew.agents.every(({ certname }) => {
      const reports = rows.filter((row) => row["certname"] === certname);
      return reports.length >= crew.since(fromMs).filter((run) => run.agent === certname).length;
    });
  };
  await until("every report is stored", stored, { withinMs: 120_000, everyMs: 1000 });
}
