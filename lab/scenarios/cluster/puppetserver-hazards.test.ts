// What may befall the processes that serve agents, and what may not come of it: puppetservers
// killed, starting, overloaded, silent, cut off, all gone at once, poisoned by one node's catalog;
// daemon, HAProxy and keepalived stopped or killed; strangers at every port. One cluster, and
// agents that run all the while, of whose runs none may fail. A catalog from an agent's cache is a
// failure.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { type Agent, createAgents } from "../../agents.ts";
import type { Cluster } from "../../cluster.ts";
import {
  assertFine,
  COMPILE_MS_MAX,
  compileElsewhere,
  downPuppetservers,
  jvms,
  PUPPETSERVER,
  slowCompiles,
  startPuppetservers,
  starts,
  waitingInside,
  watchEnd,
  whereCompiling,
} from "../../cluster/compiles.ts";
import { enrol, HUNG_MS } from "../../cluster/crew.ts";
import {
  assertDoorsShut,
  assertHeadersIgnored,
  assertLargeServed,
  throwGarbage,
} from "../../cluster/doors.ts";
import { killMidCompile } from "../../cluster/kill.ts";
import { lives, newLife, playOutage } from "../../cluster/lives.ts";
import { lasting, scenario, type Scene, seconds } from "../../cluster/scenario.ts";
import { AUTOSIGNED } from "../../cluster/site.ts";
import type { LabHost } from "../../host.ts";

const DAEMON = "understudy.service";
const PROBES = ["probe1", "probe2", "probe3", "probe4"];
const DOWN_MS = 40_000;
const SILENCE_MS = 6000;
const DAEMON_STOPPED_MS = 60_000;
const NAMED_MS_MAX = 60_000;
const MOVED_MS_MAX = 60_000;
/** For longer than its daemon takes to act on being alone. */
const ALONE_MS = 10_000;

const probes: Agent[] = [];
const { hazard } = scenario({
  crew: ["crew1", "crew2"],
  // Puppet's own read timeout: all puppetservers are down for longer than the advised one here.
  settings: {},
  prepare: async (cluster) => void probes.push(...(await enrol(cluster, PROBES))),
});

hazard(
  "a puppetserver killed in mid-compile: replayed once, and its start fails no run",
  async (scene) => {
    const { cluster, report } = scene;
    const agent = probe(0);
    await slowCompiles(scene, [agent], 8);
    const before = await starts(cluster, agent);
    const [run, kill] = await Promise.all([
      agent.run({ withinMs: HUNG_MS }),
      killMidCompile(cluster.servers, [agent.certname], COMPILE_MS_MAX),
    ]);
    assertFine(run);
    assert.equal((await starts(cluster, agent)) - before, 2, "compiles that began");
    report(`killed ${kill.server.name}; the run took ${seconds(run.ms)} with a compile of 8 s`);
  },
);

hazard("more agents than JRubies: they wait at the edge, none inside a JVM", async (scene) => {
  const { cluster, report } = scene;
  await slowCompiles(scene, probes, 12);
  const running = Promise.all(probes.map(async (agent) => agent.run({ withinMs: HUNG_MS })));
  const isOver = watchEnd(running);
  const seen = { atEdge: 0, looks: 0, inside: [] as string[] };
  while (!isOver()) {
    for (const { local } of (await cluster.status()).members) {
      seen.atEdge = Math.max(seen.atEdge, local?.edge?.waiting ?? 0);
    }
    for (const server of cluster.servers) seen.inside.push(...(await waitingInside(server)));
    seen.looks += 1;
  }
  const runs = await running;
  runs.forEach(assertFine);
  assert.deepEqual(seen.inside, []);
  assert.ok(seen.atEdge > 0, "nothing ever waited at the edge: it was not overloaded");
  const longest = seconds(Math.max(...runs.map(({ ms }) => ms)));
  report(
    `up to ${seen.atEdge} waited at the edge, none in a JVM (${seen.looks} looks); longest run ${longest}`,
  );
});

hazard("a puppetserver silent for 6 s: its compile is neither lost nor replayed", async (scene) => {
  const { cluster, report, undo } = scene;
  const agent = probe(1);
  await slowCompiles(scene, [agent], 12);
  const before = await starts(cluster, agent);
  const running = agent.run({ withinMs: HUNG_MS });
  const server = await whereCompiling(cluster, agent);
  undo(async () => server.signal(PUPPETSERVER, "SIGCONT", "all"));
  await server.signal(PUPPETSERVER, "SIGSTOP", "all");
  await lasting(SILENCE_MS);
  await server.signal(PUPPETSERVER, "SIGCONT", "all");
  const run = await running;
  assertFine(run);
  assert.equal((await starts(cluster, agent)) - before, 1, "compiles that began");
  report(`${server.name} was silent for ${seconds(SILENCE_MS)}; the run took ${seconds(run.ms)}`);
});

hazard(
  "a puppetserver silent for good in mid-compile: the request goes to another, once",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const agent = probe(2);
    await slowCompiles(scene, [agent], 8);
    const before = await starts(cluster, agent);
    const running = agent.run({ withinMs: HUNG_MS });
    const server = await whereCompiling(cluster, agent);
    undo(async () => server.signal(PUPPETSERVER, "SIGKILL", "all"));
    await server.signal(PUPPETSERVER, "SIGSTOP", "all");
    const run = await running;
    assertFine(run);
    assert.equal((await starts(cluster, agent)) - before, 2, "compiles that began");
    report(`${server.name} fell silent; the run took ${seconds(run.ms)} with a compile of 8 s`);
  },
);

hazard("a link goes silent while its server compiles for another one's edge", async (scene) => {
  const { cluster, report, undo } = scene;
  const agent = probe(3);
  const { running, server, startsBefore } = await compileElsewhere(scene, agent, 15);
  undo(async () => server.heal());
  await server.cutLink({ direction: "silent" });
  const run = await running;
  assertFine(run);
  assert.equal((await starts(cluster, agent)) - startsBefore, 2, "compiles that began");
  report(`${server.name} was cut off; the run took ${seconds(run.ms)} with a compile of 15 s`);
});

hazard(
  "a compile that kills its JVM takes two puppetservers at most, and its node is named",
  async (scene) => {
    const { cluster, report, undo } = scene;
    // An agent of its own: its catalogs aren't replayed for an hour from now on.
    const [agent] = await enrol(cluster, [`deadly${wallMs()}`]);
    assert.ok(agent);
    undo(async () => cluster.mood(agent.certname, { is: "plain" }));
    await cluster.mood(agent.certname, { is: "deadly" });
    const [before, begun] = [await jvms(cluster), await starts(cluster, agent)];
    const run = await agent.run({ withinMs: HUNG_MS });
    assert.equal(run.ok, false, "its own run can't succeed");
    assert.equal((await starts(cluster, agent)) - begun, 2, "compiles that began");
    await cluster.until(
      "status names the node",
      ({ warnings }) => warnings.some((text) => text.includes(agent.certname)),
      NAMED_MS_MAX,
    );
    assert.match(await cluster.first.run("understudy status"), new RegExp(agent.certname));
    await cluster.mood(agent.certname, { is: "plain" });
    await cluster.untilWhole();
    const after = await jvms(cluster);
    const died = [...before]
      .filter(([name, life]) => after.get(name) !== life)
      .map(([name]) => name);
    assert.equal(died.length, 2, `puppetservers that died: ${died.join(", ")}`);
    report(`it took ${died.join(" and ")} with it, no more; its own run: ${run.because}`);
  },
);

hazard("all puppetservers dead for 40 s: runs wait, and none fails", async (scene) => {
  const { cluster, report, undo } = scene;
  const [compiles, arrives] = [probe(1), probe(2)];
  await slowCompiles(scene, [compiles], 8);
  const begun = compiles.run({ withinMs: HUNG_MS });
  await whereCompiling(cluster, compiles);
  undo(async () => startPuppetservers(cluster));
  await downPuppetservers(cluster);
  const arrived = arrives.run({ withinMs: HUNG_MS });
  await lasting(DOWN_MS);
  const startedMs = wallMs();
  await startPuppetservers(cluster);
  const runs = await Promise.all([begun, arrived]);
  runs.forEach(assertFine);
  const last = Math.max(...runs.map(({ endedAt }) => endedAt));
  report(
    `down for ${seconds(DOWN_MS)}: the run in mid-compile took ${seconds(runs[0].ms)}, one that came ` +
      `meanwhile ${seconds(runs[1].ms)}; all done ${seconds(last - startedMs)} after the start`,
  );
});

hazard(
  "the daemon of the address's holder hangs: a new agent enrols, and systemd replaces the daemon",
  async (scene) => {
    const { cluster } = scene;
    const holder = (await cluster.holder()) ?? cluster.first;
    const former = await lives(holder, DAEMON);
    await holder.signal(DAEMON, "SIGSTOP", "all");
    await enrolsMeanwhile(scene, `${holder.name}'s daemon hung`);
    await newLife(holder, DAEMON, former);
  },
);

hazard(
  "the daemon of the address's holder stands still for a minute, and goes on as it was",
  async (scene) => {
    const { cluster, undo } = scene;
    const holder = (await cluster.holder()) ?? cluster.first;
    // Or systemd would replace it after half of that.
    const dropIn = `/run/systemd/system/${DAEMON}.d/no-watchdog.conf`;
    const restart = `systemctl daemon-reload && systemctl restart ${DAEMON}`;
    undo(async () => holder.run(`rm -f ${dropIn} && ${restart}`));
    await holder.run(`mkdir -p $(dirname ${dropIn})`);
    await holder.writeFile(dropIn, "[Service]\nWatchdogSec=0\n");
    await holder.run(restart);
    await cluster.untilWhole();
    const former = await lives(holder, DAEMON);
    undo(async () => holder.signal(DAEMON, "SIGCONT", "all"));
    await holder.signal(DAEMON, "SIGSTOP", "all");
    const stoppedMs = wallMs();
    await enrolsMeanwhile(scene, `${holder.name}'s daemon stood still`);
    await lasting(Math.max(0, DAEMON_STOPPED_MS - (wallMs() - stoppedMs)));
    await holder.signal(DAEMON, "SIGCONT", "all");
    await cluster.untilWhole();
    assert.equal(await lives(holder, DAEMON), former);
  },
);

hazard(
  "the daemon, keepalived and HAProxy of the holder are killed: systemd brings them back",
  async (scene) => {
    const { cluster, report } = scene;
    for (const unit of [DAEMON, "understudy-vip.service", "understudy-edge.service"]) {
      const holder = (await cluster.holder()) ?? cluster.first;
      const former = await lives(holder, unit);
      const cost = await playOutage(scene, async () => {
        await holder.signal(unit, "SIGKILL", "all");
        await newLife(holder, unit, former);
      });
      await cluster.untilWhole();
      report(`${unit} of ${holder.name} was killed: ${cost}`);
    }
  },
);

hazard("a server that was cut off and is back takes the address from nobody", async (scene) => {
  const { cluster, report, undo } = scene;
  // The first server outranks the others, which is what makes its return a danger.
  const first = cluster.first;
  if ((await cluster.holder()) === first) {
    undo(async () => first.run("systemctl unmask --runtime understudy-vip.service"));
    await playOutage(scene, async () => {
      // Masked, since its daemon would start it again, even amid the stop.
      await first.run("systemctl mask --runtime --now understudy-vip.service");
      await until("another holder", async () => hasMoved(cluster, first), {
        withinMs: MOVED_MS_MAX,
      });
    });
    await first.run("systemctl unmask --runtime understudy-vip.service");
    await first.run("systemctl start understudy-vip.service");
  }
  await cluster.untilWhole();
  const holder = await cluster.holder();
  undo(async () => first.heal());
  await first.cutLink({ direction: "silent" });
  await until(
    "it has taken the address on its side, and knows that it is alone",
    async () => {
      const { addresses, record } = (await cluster.status(first)).members.find(
        ({ member }) => member.id === first.fqdn,
      )?.local ?? { addresses: [], record: { reachable: true } };
      return addresses.length > 0 && !record.reachable;
    },
    { withinMs: MOVED_MS_MAX },
  );
  await lasting(ALONE_MS);
  await first.heal();
  await cluster.untilWhole();
  assert.equal((await cluster.holder())?.name, holder?.name);
  report(`${holder?.name} kept the address when ${first.name} came back`);
});

hazard(
  "requests bigger than the replay buffer are served, with and without a length",
  async (scene) => {
    await assertLargeServed(scene, probe(3));
  },
);

hazard("X-Client headers from outside change nothing, in any spelling", async (scene) => {
  await assertHeadersIgnored(scene, probe(0), probe(1));
});

hazard(
  "an agent's certificate opens the edge only; HAProxy's key opens neither etcd nor control",
  async (scene) => {
    await assertDoorsShut(scene, probe(0));
  },
);

hazard("garbage at every port ends no process and hurts nobody", async (scene) => {
  await throwGarbage(scene);
});

async function hasMoved(cluster: Cluster, from: LabHost): Promise<boolean> {
  const holder = await cluster.holder();
  return holder !== undefined && holder !== from;
}

/** A new agent's enrolment and first run go well. */
async function enrolsMeanwhile({ cluster, report }: Scene, what: string): Promise<void> {
  const [agent] = await createAgents(cluster.agentHost, [`new${wallMs()}.${AUTOSIGNED}`]);
  assert.ok(agent);
  const run = await agent.run({ withinMs: HUNG_MS });
  assertFine(run);
  report(`${what}; enrolment and first run took ${seconds(run.ms)}`);
}

function probe(index: number): Agent {
  const agent = probes[index];
  if (agent === undefined) throw new Error(`there is no probe ${index}`);
  return agent;
}
