// The longer outages behind couriers, on three servers with two PuppetDBs, while agents run that
// purge what they don't collect: an enable cut short, a PuppetDB killed with a query in it, both
// down, one wiped, one restored from an old dump, a server away for many runs, a full disk under a
// spool, a server that leaves. Whatever was acknowledged is in both afterwards, and nothing that is
// exported was purged.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { z } from "zod";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import { type Cluster, findHolder, openCluster } from "../cluster.ts";
import { curlCourier, factsOf, postFacts, unfit } from "../cluster/courier.ts";
import { startCrew } from "../cluster/crew.ts";
import { cutShort, type Interruption } from "../cluster/cut-short.ts";
import { isDrainedEverywhere } from "../cluster/drained.ts";
import { assertCollected, EXPORTERS, rounds, settle, writeExports } from "../cluster/exports.ts";
import { dumpDatabase, restoreDatabase, wipeDatabase } from "../cluster/database.ts";
import { DATABASE, queryPuppetdb, startPuppetdb, untilSame } from "../cluster/puppetdb.ts";
import { scenesOn } from "../cluster/scenes.ts";
import { AUTOSIGNED } from "../cluster/site.ts";
import type { LabHost } from "../host.ts";

const SLOW_MS_MAX = 600_000;
const FIT_MS_MAX = 240_000;
const DUMP = "/srv/puppetdb.dump";
const POSTGRESQL = "postgresql@15-main";
/** Where `puppetdb enable` is ended, once each. */
const CUTS: Interruption[] = [
  [/✓ PuppetDB lets go/, "SIGKILL"],
  [/✓ the courier runs/, "power cut"],
  [/✓ puppetserver's files/, "SIGKILL"],
];
const Status = z.object({
  puppetdbs: z.array(z.object({ id: z.string(), usedBy: z.array(z.string()) })),
});
/** Rounds of all agents that count as a long time: a stale PuppetDB lacks each of them. */
const MANY_RUNS = 6;

let cluster: Cluster;
let s1: LabHost;
let s2: LabHost;
let s3: LabHost;
/** Since when both PuppetDBs get everything. */
let bothMs: number;
/** What an enable changes on s3, as it was. */
let stock: string;
/** Whose database is in DUMP, as it was before one was wiped. */
let dumped: LabHost;

before(async () => {
  cluster = await openCluster({ servers: 3, agentHosts: 1, prepare: writeExports });
  [s1, s2, s3] = cluster.servers as [LabHost, LabHost, LabHost];
  await Promise.all([s1, s2].map(startPuppetdb));
  stock = await filesOf(s3);
});

after(async () => cluster?.down());

const scene = scenesOn(() => cluster);

scene("an enable that is killed or loses power is finished by the same command", async () => {
  for (const server of cluster.servers) {
    const without = server === s3 ? " --without-puppetdb" : "";
    const enable = `understudy puppetdb enable${without}`;
    for (const cut of server === s3 ? [] : CUTS) await cutShort(server, enable, cut);
    await server.run(enable, { withinMs: SLOW_MS_MAX });
  }
  await cluster.untilWhole();
  await untilFit();
  bothMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  await crew.assertUnharmed(bothMs);
  await settle(cluster, crew, bothMs);
});

scene("a PuppetDB that is killed with a query in it answers none of it cut short", async () => {
  const fromMs = wallMs();
  const used = await usedPuppetdb();
  await used.signal(POSTGRESQL, "SIGSTOP", "all");
  const query = encodeURIComponent(JSON.stringify(["from", "resources"]));
  const asked = curlCourier(used, `/pdb/query/v4?query=${query}`, "-w '\\n%{http_code}'", {
    withinMs: FIT_MS_MAX,
  });
  await using crew = await startCrew(cluster, EXPORTERS);
  await used.untilHolds("[ $(ss -Htn state established dst 127.0.0.1:8080 | wc -l) -gt 0 ]");
  await used.signal("puppetdb.service", "SIGKILL", "all");
  const lines = (await asked).trimEnd().split("\n");
  assert.equal(lines.pop(), "200");
  assert.ok((JSON.parse(lines.join("\n")) as unknown[]).length > 0);
  await rounds(crew, 1);
  await used.signal(POSTGRESQL, "SIGCONT", "all");
  await used.run("systemctl restart puppetdb", { withinMs: SLOW_MS_MAX });
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, bothMs);
});

scene(
  "while no PuppetDB answers, agents apply their cached catalogs and purge nothing",
  async () => {
    await untilFit();
    await using crew = await startCrew(cluster, EXPORTERS, { asService: true });
    await rounds(crew, 1);
    for (const server of [s1, s2]) await server.run("systemctl stop puppetdb");
    await until("none is fit", async () => (await unfit(s3)).length === 2, {
      withinMs: FIT_MS_MAX,
    });
    const fromMs = wallMs();
    await rounds(crew, 2);
    const runs = crew.since(fromMs).filter(({ startedAt }) => startedAt > fromMs);
    const other = runs.filter(({ because }) => !/Using cached catalog/.test(because));
    assert.deepEqual(
      other.map(({ because, output }) => `${because}\n${output}`),
      [],
    );
    for (const { certname } of crew.agents) await assertCollected(cluster, certname);
    for (const server of [s1, s2]) {
      await server.run("systemctl start puppetdb", { withinMs: SLOW_MS_MAX });
    }
    await untilFit();
    const againMs = wallMs();
    await rounds(crew, 1);
    await crew.assertUnharmed(againMs, ({ startedAt }) => startedAt <= againMs);
    await settle(cluster, crew, bothMs);
  },
);

scene("the PuppetDB in use, wiped and rebuilt, answers only when it has everything", async () => {
  const used = await usedPuppetdb();
  dumped = used;
  await dumpDatabase(used, DATABASE, DUMP);
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  await used.run("systemctl stop puppetdb");
  await wipeDatabase(used, DATABASE);
  await rounds(crew, 1);
  await used.run("systemctl start puppetdb", { withinMs: SLOW_MS_MAX });
  await untilFit();
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, bothMs);
});

scene("one that is restored from an old dump gets what is newer before it answers", async () => {
  const used = dumped;
  await s3.run(`understudy puppetdb use ${used.fqdn}`);
  await until("queries go to it", async () => (await usedPuppetdb()) === used, {
    withinMs: FIT_MS_MAX,
    everyMs: 1000,
  });
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  await used.run("systemctl stop puppetdb");
  await restoreDatabase(used, DATABASE, DUMP);
  await used.run("systemctl start puppetdb", { withinMs: SLOW_MS_MAX });
  await untilFit();
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, bothMs);
});

scene("a server that was away for many runs is brought all of them", async () => {
  const holder = await findHolder(cluster.servers, cluster.vip ?? "");
  // Agents' connections to the address end with its holder: that is another scenario.
  const away = holder === s1 ? s2 : s1;
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  await away.powerCut();
  await rounds(crew, MANY_RUNS);
  await crew.assertUnharmed(fromMs);
  await away.boot();
  await cluster.untilWhole();
  await untilFit();
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, bothMs);
});

scene("a courier whose disk is full says so, keeps no half command, and runs go on", async () => {
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  await s3.fillDisk();
  const refused = async () => (await postFacts(s3, `full.${AUTOSIGNED}`)) === "503";
  await until("the courier refuses commands", refused, { withinMs: 60_000, everyMs: 200 });
  await cluster.until(
    "no edge gives its puppetserver requests",
    (status) => isDrainedEverywhere(status, s3.fqdn),
    60_000,
  );
  const drainedMs = wallMs();
  await rounds(crew, 2);
  await s3.freeDisk();
  const taken = async () => (await postFacts(s3, `later.${AUTOSIGNED}`)) === "200";
  await until("the courier takes commands again", taken, { withinMs: 60_000, everyMs: 200 });
  await cluster.untilWhole();
  await rounds(crew, 1);
  // Its compiles fail until every edge has heard that its puppetserver has no room.
  await crew.assertUnharmed(
    fromMs,
    ({ startedAt, output }) => startedAt < drainedMs && /No space left on device/.test(output),
  );
  await settle(cluster, crew, bothMs);
  for (const server of [s1, s2]) {
    const has = async () => (await queryPuppetdb(server, factsOf(`later.${AUTOSIGNED}`))).length;
    await until(`${server.name} has it`, async () => (await has()) === 1, { withinMs: 60_000 });
  }
  await untilSame([s1, s2], bothMs);
});

scene("a server that leaves has its files back, and the others' couriers go on", async () => {
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  await s3.run("understudy leave --yes", { withinMs: SLOW_MS_MAX });
  assert.equal(await filesOf(s3), stock);
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, bothMs);
});

/** What puppetserver is told of PuppetDB; the rest of puppet.conf belongs to init. */
async function filesOf(server: LabHost): Promise<string> {
  const files = "puppet/puppetdb.conf puppet/routes.yaml";
  return server.run(`cd /etc && sha256sum ${files} 2>/dev/null
    grep -nE 'puppetdb|storeconfigs|^ *reports' puppet/puppet.conf || true`);
}

async function untilFit(): Promise<void> {
  const all = async () => (await unfit(s3)).length === 0;
  await until("every PuppetDB is fit", all, { withinMs: FIT_MS_MAX, everyMs: 1000 });
}

/** The server whose PuppetDB s3's courier sends queries to. */
async function usedPuppetdb(): Promise<LabHost> {
  const { puppetdbs } = Status.parse(JSON.parse(await s3.run("understudy puppetdb status --json")));
  const used = puppetdbs.find(({ usedBy }) => usedBy.includes(s3.fqdn));
  assert.ok(used, "no PuppetDB is used");
  return cluster.server(used.id);
}
