// Agents that export a resource each and collect everybody's, and purge what they don't collect:
// whoever answers their collectors with too little shows on their disks.

import assert from "node:assert/strict";
import type { Cluster } from "../cluster.ts";
import type { LabHost } from "../host.ts";
import type { Crew } from "./crew.ts";
import { untilSame } from "./puppetdb.ts";
import { AUTOSIGNED } from "./site.ts";

/** Names of these agents, below the allowlisted domain. */
export const EXPORTERS = ["one", "two", "three"];

const ENVIRONMENT = "/etc/puppet/code/environments/production";

const SITE = `node default {
  include demo
  $own = "/srv/exported/\${trusted['certname']}"
  file { ['/srv/exported', $own]: ensure => directory }
  File[$own] { recurse => true, purge => true }
  @@demo::export { $trusted['certname']: }
  Demo::Export <<| |>>
}
`;
const EXPORT = `define demo::export() {
  file { "/srv/exported/\${trusted['certname']}/\${title}": content => "\${title}\\n" }
}
`;

export async function writeExports(server: LabHost): Promise<void> {
  await server.writeFile(`${ENVIRONMENT}/modules/demo/manifests/export.pp`, EXPORT);
  await server.writeFile(`${ENVIRONMENT}/manifests/site.pp`, SITE);
}

/** Waits for `count` more whole runs of every agent. */
export async function rounds(crew: Crew, count: number): Promise<void> {
  for (let round = 0; round < count; round += 1) await crew.allRun();
}

/**
 * Ends the crew's runs; then the PuppetDBs of the first two servers must have the same since
 * `fromMs`, a report of each run among it, and every agent must have what every other exports.
 */
export async function settle(cluster: Cluster, crew: Crew, fromMs: number): Promise<void> {
  await crew.stop();
  const content = await untilSame(cluster.servers.slice(0, 2), fromMs);
  for (const { certname } of crew.agents) {
    const runs = crew.since(0).filter((run) => run.agent === certname && run.startedAt > fromMs);
    const reports = content.filter((line) => line.startsWith(`reports ${certname} `));
    assert.ok(reports.length >= runs.length, `${certname}: ${reports.length} of ${runs.length}`);
    await assertCollected(cluster, certname);
  }
}

/** `certname` has what every agent exports. */
export async function assertCollected(cluster: Cluster, certname: string): Promise<void> {
  const collected = await cluster.agentHost.run(`ls /srv/exported/${certname}`);
  const names = EXPORTERS.map((name) => `${name}.${AUTOSIGNED}`);
  assert.deepEqual(collected.trim().split("\n"), names.toSorted());
}
