// What puppetservers do to the agents that they serve, and what may not come of it: killed, starting,
// overloaded, silent for a while, silent for good, cut off, all gone at once, poisoned by one node's
// catalog. All on one cluster, with agents that run all the while and of whose runs none may fail.

import assert from "node:assert/strict";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import type { Agent, AgentRun } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import { describe, enrol, HUNG_MS } from "../cluster/crew.ts";
import { killMidCompile } from "../cluster/kill.ts";
import { scenario, type Scene, seconds } from "../cluster/scenario.ts";
import { type Compile, compilesOn, countStarts, setMood } from "../cluster/site.ts";
import type { LabHost } from "../host.ts";

const COMPILE_MS_MAX = 120_000;
const DOWN_MS = 40_000;
const SILENCE_MS = 6000;
const PUPPETSERVER = "puppetserver.service";

const PROBES = ["probe1", "probe2", "probe3", "probe4", "probe5", "probe6"];
const probes: Agent[] = [];
const { hazard } = scenario({
  crew: ["crew1", "crew2"],
  prepare: async (cluster) => void probes.push(...(await enrol(cluster, PROBES))),
});

hazard(
  "a puppetserver killed in mid-compile: the request is replayed once, and its start fails no run",
  async (scene) => {
    const { cluster, report } = scene;
    const [agent] = take(1);
    await slow(scene, [agent], 8);
    const before = await starts(cluster, agent);
    const [run, kill] = await Promise.all([
      agent.run({ withinMs: HUNG_MS }),
      killMidCompile(cluster.servers, [agent.certname], COMPILE_MS_MAX),
    ]);
    assertFine(run);
    assert.equal((await starts(cluster, agent)) - before, 2);
    report(`killed ${kill.server.name}; the run took ${seconds(run.ms)} with a compile of 8 s`);
  },
);

hazard(
  "more agents than JRubies: they wait at the edge, none inside a JVM, and none fails",
  async (scene) => {
    const { cluster, report } = scene;
    const agents = take(6);
    await slow(scene, agents, 5);
    const runs = Promise.all(agents.map(async (agent) => agent.run({ withinMs: HUNG_MS })));
    const ended = runs.then(() => true);
    let atEdge = 0;
    let samples = 0;
    const insideJvm: string[] = [];
    while (!(await Promise.race([ended, Promise.resolve(false)]))) {
      const status = await cluster.status();
      const backends = status.members.flatMap(({ local }) => local?.edge?.backends ?? []);
      atEdge = Math.max(atEdge, ...backends.map(({ waiting }) => waiting));
      for (const server of cluster.servers) insideJvm.push(...(await waitingInJvm(server)));
      samples += 1;
    }
    (await runs).forEach(assertFine);
    assert.deepEqual(insideJvm, []);
    assert.ok(atEdge > 0, "nothing ever waited at the edge: was it overloaded at all?");
    const longest = Math.max(...(await runs).map(({ ms }) => ms));
    report(
      `up to ${atEdge} waited at the edge, 0 inside a JVM (${samples} looks); longest run ${seconds(longest)}`,
    );
  },
);

hazard("a puppetserver silent for 6 s: its compile is neither lost nor replayed", async (scene) => {
  const { cluster, report, undo } = scene;
  const [agent] = take(1);
  await slow(scene, [agent], 12);
  const before = await starts(cluster, agent);
  const running = agent.run({ withinMs: HUNG_MS });
  const { server } = await compiling(cluster, agent);
  undo(async () => server.signal(PUPPETSERVER, "SIGCONT", "all"));
  await server.signal(PUPPETSERVER, "SIGSTOP", "all");
  // The silence is the scenario.
  await silence();
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
    const [agent] = take(1);
    await slow(scene, [agent], 8);
    const before = await starts(cluster, agent);
    const running = agent.run({ withinMs: HUNG_MS });
    const { server } = await compiling(cluster, agent);
    undo(async () => server.signal(PUPPETSERVER, "SIGKILL", "all"));
    await server.signal(PUPPETSERVER, "SIGSTOP", "all");
    const run = await running;
    assertFine(run);
    assert.equal((await starts(cluster, agent)) - before, 2, "compiles that began");
    report(`${server.name} fell silent; the run took ${seconds(run.ms)} with a compile of 8 s`);
  },
);

hazard(
  "the link of a server goes silent while it compiles for another one's edge",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const [agent] = take(1);
    const { running, server, before } = await compileElsewhere(scene, agent, 15);
    undo(async () => server.heal());
    await server.cutLink({ direction: "silent" });
    const run = await running;
    assertFine(run);
    assert.equal((await starts(cluster, agent)) - before, 2, "compiles that began");
    report(`${server.name} was cut off; the run took ${seconds(run.ms)} with a compile of 15 s`);
  },
);

hazard(
  "a node whose compile kills its JVM takes two puppetservers at most, and is named",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const [agent] = take(1);
    undo(async () => cluster.mood(agent.certname, { is: "plain" }));
    await cluster.mood(agent.certname, { is: "deadly" });
    const before = await jvms(cluster);
    const run = await agent.run({ withinMs: HUNG_MS });
    const after = await jvms(cluster);
    const died = [...before].filter(([name, pid]) => after.get(name) !== pid).map(([name]) => name);
    assert.equal(run.ok, false);
    assert.ok(died.length >= 1 && died.length <= 2, `puppetservers that died: ${died.join(", ")}`);
    await cluster.until(
      "status names the node",
      ({ warnings }) => warnings.some((text) => text.includes(agent.certname)),
      30_000,
    );
    const text = await cluster.first.run(["understudy", "status"]);
    assert.match(text, new RegExp(`catalog of ${agent.certname.replaceAll(".", "\\.")}`));
    report(`it took ${died.join(" and ")} with it; its own run: ${run.because}`);
  },
);

hazard("all puppetservers dead for 40 s: runs wait, none fails", async (scene) => {
  const { cluster, report, undo } = scene;
  const [compiler, arriving] = take(2);
  await slow(scene, [compiler], 8);
  const begun = compiler.run({ withinMs: HUNG_MS });
  await compiling(cluster, compiler);
  undo(async () => startPuppetservers(cluster));
  await Promise.all(
    cluster.servers.map(async (server) => {
      await server.signal(PUPPETSERVER, "SIGKILL", "all");
      await server.run(`systemctl mask --runtime --now ${PUPPETSERVER}`);
    }),
  );
  const arrived = arriving.run({ withinMs: HUNG_MS });
  // How long they are down is the scenario.
  await new Promise((resolve) => void setTimeout(resolve, DOWN_MS));
  const startedMs = wallMs();
  await startPuppetservers(cluster);
  const runs = await Promise.all([begun, arrived]);
  runs.forEach(assertFine);
  const last = Math.max(...runs.map(({ endedAt }) => endedAt));
  report(
    `down for ${seconds(DOWN_MS)}; the run in mid-compile took ${seconds(runs[0].ms)}, the one that ` +
      `came meanwhile ${seconds(runs[1].ms)}; both were done ${seconds(last - startedMs)} after the start`,
  );
});

/** The first `count` of the agents that only run when a hazard has them run. */
function take(count: 1): [Agent];
function take(count: 2): [Agent, Agent];
function take(count: number): Agent[];
function take(count: number): Agent[] {
  return probes.slice(0, count);
}

async function slow(scene: Scene, agents: readonly Agent[], secondsLong: number): Promise<void> {
  const { cluster, undo } = scene;
  for (const { certname } of agents) {
    undo(async () => cluster.mood(certname, { is: "plain" }));
    await cluster.mood(certname, { is: "slow", seconds: secondsLong });
  }
}

/** Waits until a puppetserver has been compiling for `agent` for a while; which, and its process. */
async function compiling(
  cluster: Cluster,
  agent: Agent,
): Promise<{ server: LabHost; compile: Compile }> {
  return until(`a compile for ${agent.certname}`, () => cluster.compiling([agent.certname]), {
    withinMs: COMPILE_MS_MAX,
    everyMs: 100,
  });
}

/** A run whose catalog is compiled on a server that doesn't hold the address. */
async function compileElsewhere(scene: Scene, agent: Agent, secondsLong: number) {
  const { cluster, undo } = scene;
  const holder = await cluster.holder();
  const others = cluster.servers.filter((server) => server !== holder);
  undo(async () => setMood(cluster.servers, agent.certname, { is: "plain" }));
  // On the holder's own puppetserver it compiles at once, and is run again.
  await setMood(others, agent.certname, { is: "slow", seconds: secondsLong });
  return until(
    "a compile on another server than the address's",
    async () => {
      const before = await starts(cluster, agent);
      const running = agent.run({ withinMs: HUNG_MS });
      const ended = running.then(() => undefined);
      const look = async () => {
        for (const server of others) {
          if ((await compilesOn(server)).some(({ certname }) => certname === agent.certname)) {
            return server;
          }
        }
        return undefined;
      };
      for (;;) {
        const server = await look();
        if (server !== undefined) return { running, server, before };
        const over = await Promise.race([ended.then(() => true), Promise.resolve(false)]);
        if (over) return undefined;
      }
    },
    { withinMs: COMPILE_MS_MAX },
  );
}

async function starts(cluster: Cluster, agent: Agent): Promise<number> {
  let sum = 0;
  for (const server of cluster.servers) sum += await countStarts(server, agent.certname);
  return sum;
}

function assertFine(run: AgentRun): void {
  assert.ok(run.ok, describe(run));
}

async function silence(): Promise<void> {
  await new Promise((resolve) => void setTimeout(resolve, SILENCE_MS));
}

/** The process of each server's puppetserver. */
async function jvms(cluster: Cluster): Promise<Map<string, string>> {
  const show = `systemctl show -p ExecMainPID -p ExecMainStartTimestampMonotonic ${PUPPETSERVER}`;
  const found = await Promise.all(
    cluster.servers.map(async (server) => [server.name, await server.run(show)] as const),
  );
  return new Map(found);
}

async function startPuppetservers(cluster: Cluster): Promise<void> {
  await Promise.all(
    cluster.servers.map(async (server) =>
      server.run(
        `systemctl unmask --runtime ${PUPPETSERVER}; systemctl start --no-block ${PUPPETSERVER}`,
      ),
    ),
  );
}

/** Requests that wait inside a puppetserver for a JRuby, as its own metrics tell. */
async function waitingInJvm(server: LabHost): Promise<string[]> {
  const url = `https://${server.fqdn}:8141/status/v1/services/jruby-metrics?level=debug`;
  const pki = "/var/lib/understudy/pki/edge";
  const asked = await server.exec(
    `curl -sf --max-time 5 --cacert ${pki}/ca.crt --cert ${pki}/edge.pem ${url}`,
  );
  if (!asked.ok) return [];
  const found: unknown = JSON.parse(asked.stdout);
  const waits = JSON.stringify(found).match(/"requested-instances":\[(.*?)\]/)?.[1] ?? "";
  return [...waits.matchAll(/"duration-millis":(\d+)/g)]
    .filter(([, ms]) => Number(ms) > 500)
    .map(([, ms]) => `${server.name}: ${ms} ms`);
}
