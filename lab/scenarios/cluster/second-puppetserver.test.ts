// A second puppetserver on one of the servers, set up by the commands of its page in docs/, typed
// as they stand there: it serves agents while every other puppetserver is down, loses no run when
// it is killed, and goes again without one noticing.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "../../agents.ts";
import type { Cluster } from "../../cluster.ts";
import {
  assertFine,
  COMPILE_MS_MAX,
  downPuppetservers,
  slowCompiles,
  startPuppetservers,
} from "../../cluster/compiles.ts";
import { enrol, HUNG_MS } from "../../cluster/crew.ts";
import { killMidCompile } from "../../cluster/kill.ts";
import { scenario, seconds } from "../../cluster/scenario.ts";
import { countStarts } from "../../cluster/site.ts";
import type { LabHost } from "../../host.ts";

const PAGE = join(import.meta.dirname, "../../../docs/second-puppetserver.md");
const UNIT = "puppetserver-second";
const START_MS_MAX = 300_000;
const SEEN_MS_MAX = 30_000;

let probe: Agent;
const { hazard } = scenario({
  crew: ["crew1", "crew2"],
  prepare: async (cluster) => {
    const [agent] = await enrol(cluster, ["second-probe"]);
    assert.ok(agent);
    probe = agent;
  },
});

hazard(
  "a second puppetserver on a server serves agents alone, and dies unnoticed",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const server = cluster.servers[1];
    assert.ok(server);
    undo(async () => remove(server));
    await server.run(["bash", "-e"], { input: await commandsOf(PAGE), withinMs: START_MS_MAX });
    const name = `${server.fqdn}_second`;
    await cluster.until("every edge sends to it", sentTo(name, cluster), SEEN_MS_MAX);

    undo(async () => startPuppetservers(cluster));
    await downPuppetservers(cluster);
    const before = await countStarts(server, probe.certname);
    const alone = await probe.run({ withinMs: HUNG_MS });
    assertFine(alone);
    assert.equal((await countStarts(server, probe.certname)) - before, 1, "compiles that began");

    await slowCompiles(scene, [probe], 8);
    const [killed] = await Promise.all([
      probe.run({ withinMs: HUNG_MS }),
      killMidCompile([server], [probe.certname], COMPILE_MS_MAX),
    ]);
    assertFine(killed);
    report(
      `runs with it alone took ${seconds(alone.ms)}, and ${seconds(killed.ms)} when it was killed`,
    );

    await startPuppetservers(cluster);
    await cluster.untilWhole();
    await server.run("understudy backend remove second");
    const isGone = sentTo(name, cluster, 0);
    await cluster.until("no edge knows it", isGone, SEEN_MS_MAX);
    assert.equal((await server.run(`systemctl is-active ${UNIT}`)).trim(), "active");
  },
);

/** The shell commands on a page of the documentation. */
async function commandsOf(page: string): Promise<string> {
  const [, commands] = /^```sh\n(.*?)^```$/ms.exec(await readFile(page, "utf8")) ?? [];
  assert.ok(commands !== undefined, `${page} has no commands`);
  return commands;
}

/** Whether as many edges as that, by default all, send requests to the puppetserver `name`. */
function sentTo(name: string, { servers }: Cluster, edges = servers.length) {
  return ({ members }: Awaited<ReturnType<Cluster["status"]>>): boolean => {
    const seen = members.flatMap(({ local }) => local?.edge?.backends ?? []);
    const there = seen.filter((each) => each.name === name);
    return there.length === edges && there.every(({ state }) => state === "up");
  };
}

async function remove(server: LabHost): Promise<void> {
  await server.exec("understudy backend remove second");
  await server.run(`systemctl disable --now ${UNIT}`);
  await server.run(
    `rm -rf /etc/systemd/system/${UNIT}.service /etc/puppet/${UNIT} /etc/default/${UNIT} /var/log/${UNIT}`,
  );
  await server.run("systemctl daemon-reload");
  const listing = await server.run("understudy backend list --json");
  assert.deepEqual(
    (JSON.parse(listing) as { name: string }[]).map((each) => each.name),
    ["puppetserver"],
  );
}
